"""Spiking networks, trained by surrogate gradients."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import NonNegative, Positive, located
from zoo.specs.models.base import RecurrentSpec


class LIFSpec(RecurrentSpec):
    """Leaky integrate-and-fire network (Bellec et al. 2018; Neftci, Mostafa & Zenke 2019).

    i' = α i + (1-α) (W s + W_in u + b); v' = β v + i' minus the reset; s' = 1 where v' > θ; the readout is
    from r' = κ r + (1-κ) s'. α, β and κ are exp(-dt/τ) of synapse, membrane and readout: a spike adds its
    weight to v in all, if nothing leaks. The state is r (``trace``), v, i (``current``), s (``spikes``) and,
    with a refractory time, the steps of it that are left. On the way back ds/dv is the surrogate, and the
    reset has no derivative (Zenke & Vogels 2021).
    """

    signed: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = ("trace", "v", "current", "spikes", "refractory")

    kind: Literal["lif"] = "lif"
    dt: Positive = 1.0
    """Duration of a step, in the unit of the time constants; milliseconds, say."""
    tau_membrane: Positive = 20.0
    tau_synapse: NonNegative = 5.0
    """0 is a synapse without memory."""
    tau_readout: NonNegative = 20.0
    """0 reads the spikes themselves."""
    threshold: Positive = 1.0
    """θ."""
    reset: Literal["subtract", "zero"] = "subtract"
    """What a spike does to v in the next step: θ is subtracted, or v is forgotten."""
    refractory: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Steps after a spike in which there is none."""
    surrogate: Literal["fast-sigmoid", "atan", "triangle"] = "fast-sigmoid"
    """With x = slope × (v/θ - 1): 1/(1+|x|)² (Zenke & Ganguli 2018), 1/(1+(πx/2)²) (Fang et al. 2021), or
    max(0, 1-|x|) (Bellec et al. 2018)."""
    slope: Positive = 5.0
    """How narrow it is."""
    dampening: Positive = 1.0
    """Its height."""
    noise: NonNegative = 0.0
    """Deviation of what is added to what each unit receives in a step; only while training, unless it is
    passed in."""

    @property
    def decays(self) -> tuple[float, float, float]:
        """α, β and κ."""
        taus = self.tau_synapse, self.tau_membrane, self.tau_readout
        alpha, beta, kappa = (math.exp(-self.dt / tau) if tau else 0.0 for tau in taus)
        return alpha, beta, kappa

    @model_validator(mode="after")
    def _resolved(self) -> Self:
        for name in ("tau_membrane", "tau_synapse", "tau_readout"):
            tau = getattr(self, name)
            if 0 < tau < self.dt:
                raise located(f"{tau} is below dt {self.dt}: take shorter steps", name)
        return self
