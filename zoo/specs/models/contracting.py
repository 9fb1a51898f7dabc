"""Assemblies of networks that are stable by construction."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Positive, located
from zoo.specs.models.base import RecurrentSpec, refuse_structure

Below = Annotated[float, Field(gt=0, lt=1)]


class ContractingSpec(RecurrentSpec):
    """Network of contracting networks, and contracting itself (Kozachkov, Ennis & Slotine 2022, theorems on
    singular values and on negative feedback), here in discrete time.

    x' = (1-α) x + α (W φ(x) + L x + W_in u + b). W = Φ⁻¹ Ŵ Φ has one block a subnetwork, whose Ŵ has singular
    values of at most ``singular``; L = Φ⁻¹ S Φ with a skew S between subnetworks, so that what excites one is
    inhibited by it; Φ is a positive diagonal. S is kept small enough that two states that get the same input
    come nearer in the norm of Φ x, at each step by a factor of at most 1 - α (1 - ``singular``) ``reserve``,
    whatever is learned.
    """

    kind: Literal["contracting"] = "contracting"
    subnetworks: Count = 4
    """Of equally many units each."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    tau: Positive | None = None
    """Time constant in the unit of ``dt``; without it α = 1 (no leak)."""
    dt: Positive = 1.0
    singular: Below = 0.95
    """The largest singular value in a subnetwork."""
    reserve: Below = 0.1
    """Share of the contraction of single subnetworks that is left to the assembly."""

    @property
    def alpha(self) -> float:
        """α = dt/τ."""
        return 1.0 if self.tau is None else self.dt / self.tau

    @property
    def rate(self) -> float:
        """The largest factor of a step on the distance of two states."""
        return 1 - self.alpha * (1 - self.singular) * self.reserve

    @property
    def feedback(self) -> float:
        """The largest singular value of S for which α ``singular`` + √((1-α)² + α² s²) is ``rate``."""
        left = self.rate - self.alpha * self.singular
        return float((left**2 - (1 - self.alpha) ** 2) ** 0.5 / self.alpha)

    @model_validator(mode="after")
    def _contracts(self) -> Self:
        refuse_structure(self, "the connectivity is one of subnetworks")
        if self.tau is not None and self.dt > self.tau:
            raise located(f"{self.dt} is above tau {self.tau}: the Euler step would overshoot", "dt")
        if self.hidden % self.subnetworks:
            raise located(
                f"{self.hidden} units do not divide into {self.subnetworks} subnetworks", "subnetworks"
            )
        for name in ("spectral_radius", "rank"):
            if getattr(self.init, name) is not None:
                raise located("singular values are what the model bounds: leave it out", "init", name)
        return self
