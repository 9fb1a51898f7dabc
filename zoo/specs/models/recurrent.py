"""Recurrent networks that torch has kernels for: Elman, GRU, LSTM."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.specs.models.base import RecurrentSpec
from zoo.specs.models.rate import RateSpec

__all__ = ["ElmanSpec", "GRUSpec", "LSTMSpec", "RateSpec", "RecurrentSpec"]


class ElmanSpec(RecurrentSpec):
    """Elman (vanilla) network: h' = φ(W h + W_in u + b) (Elman 1990; torch's nn.RNN)."""

    signed: ClassVar[bool] = True

    kind: Literal["elman"] = "elman"
    offers: ClassVar[frozenset[str]] = frozenset({"step", "local"})
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    parametrisation: Literal["standard", "ntk"] = "standard"
    """With ``ntk`` (Jacot et al. 2018) products with a matrix are divided by √(its inputs), weights begin
    that much larger, the readout's as the others, and biases at 0."""


class GRUSpec(RecurrentSpec):
    """Gated recurrent unit in torch's variant (Cho et al. 2014; reset gate after the product)."""

    kind: Literal["gru"] = "gru"


class LSTMSpec(RecurrentSpec):
    """Long short-term memory without peepholes (Gers et al. 2000); the state is (h, c)."""

    parts: ClassVar[tuple[str, ...]] = ("h", "c")

    kind: Literal["lstm"] = "lstm"
