"""Recurrent networks: rate, Elman, GRU, LSTM."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from zoo.specs.base import Count, NonNegative, Positive
from zoo.specs.families import ModelSpec
from zoo.specs.models.init import InitSpec


class RecurrentSpec(ModelSpec):
    """What all recurrent networks share: one hidden layer and a linear readout."""

    hidden: Count = 64
    """Units in the hidden layer."""
    init: InitSpec = InitSpec()

    @model_validator(mode="after")
    def _rank_fits(self) -> RecurrentSpec:
        if self.init.rank is not None and self.init.rank > self.hidden:
            raise ValueError(f"init.rank {self.init.rank} is above the {self.hidden} hidden units")
        return self


class RateSpec(RecurrentSpec):
    """Rate network in the potential form (Song, Yang & Wang 2016, eq. 1).

    x' = (1-α) x + α (W φ(x) + W_in u + b) + √(2α) σ ξ with α = dt/τ, readout from φ(x).
    """

    kind: Literal["rate"] = "rate"
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    tau: Positive | None = None
    """Time constant in the unit of ``dt``; without it α = 1 (no leak)."""
    dt: Positive = 1.0
    noise: NonNegative = 0.0
    """σ, deviation of the private noise of each unit; only while training, unless noise is passed in."""

    @model_validator(mode="after")
    def _stable(self) -> RateSpec:
        if self.tau is not None and self.dt > self.tau:
            raise ValueError(f"dt {self.dt} is above tau {self.tau}: the Euler step would overshoot")
        return self


class ElmanSpec(RecurrentSpec):
    """Elman (vanilla) network: h' = φ(W h + W_in u + b) (Elman 1990; torch's nn.RNN)."""

    kind: Literal["elman"] = "elman"
    nonlinearity: Literal["tanh", "relu"] = "tanh"


class GRUSpec(RecurrentSpec):
    """Gated recurrent unit in torch's variant (Cho et al. 2014; reset gate after the product)."""

    kind: Literal["gru"] = "gru"


class LSTMSpec(RecurrentSpec):
    """Long short-term memory without peepholes (Gers et al. 2000); the state is (h, c)."""

    kind: Literal["lstm"] = "lstm"
