"""Driven linear systems that are simulated, not trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, Fraction, NonNegative, Positive, Seed, Spec
from zoo.specs.models.systems import SystemSpec


class GaussianMatrixSpec(Spec):
    """A random matrix with independent normal entries."""

    kind: Literal["gaussian"] = "gaussian"
    units: Count = 20
    radius: Positive = 0.9
    """Largest absolute eigenvalue."""
    draw: Seed = 0
    """Which of the matrices that the experiment's seed gives."""


class GivenMatrixSpec(Spec):
    """A matrix written out."""

    kind: Literal["given"] = "given"
    rows: Annotated[
        tuple[Annotated[tuple[float, ...], Field(strict=False, min_length=1)], ...],
        Field(strict=False, min_length=1),
    ]

    @property
    def units(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @model_validator(mode="after")
    def _square(self) -> GivenMatrixSpec:
        if any(len(row) != self.units for row in self.rows):
            raise ValueError(f"each of the {self.units} rows should have {self.units} entries")
        return self


class InputMatrixSpec(Spec):
    """Input weights: the columns are normal with a random (Wishart) covariance, of random orientation."""

    scale: Positive = 1.0
    draw: Seed = 0
    """Which of the matrices, and of their covariances, that the experiment's seed gives."""


class DrivenLinearSpec(SystemSpec):
    """A driven system, nearly linear: x' = A x + ε M tanh(A x) + B u (Huang, Ostrow et al. 2025, Fig. 2).

    M leaves out the units that are observed. It starts from zero.
    """

    kind: Literal["driven-linear"] = "driven-linear"
    dynamics: Annotated[GaussianMatrixSpec | GivenMatrixSpec, Field(discriminator="kind")] = (
        GaussianMatrixSpec()
    )
    """A."""
    drive: InputMatrixSpec = InputMatrixSpec()
    """B."""
    nonlinearity: NonNegative = 0.0
    """ε."""
    observed: Count | None = None
    """If given, the output is the first so many of the units, which ε leaves alone; otherwise all units are
    the output, and ε is for all of them."""

    @model_validator(mode="after")
    def _observable(self) -> DrivenLinearSpec:
        if self.observed is not None and self.observed > self.dynamics.units:
            raise ValueError(f"{self.observed} of {self.dynamics.units} units cannot be observed")
        return self


class SwitchingLinearSpec(SystemSpec):
    """A bank of leaky integrators that commits: from then on it leaks less and hears its input less.

    x' = A x + B u with A = Q diag(r/n, 2 r/n, …, r) Qᵀ, where Q is a random orthogonal and B a random normal
    matrix, both drawn from the experiment's seed. The slowest rate r is ``leaky`` before the commitment and
    ``persistent`` after it, when B counts ``gain`` times. A stand-in for the recordings of Huang, Ostrow et
    al. (2025), in which evidence drives the activity less after a decision.
    """

    kind: Literal["switching-linear"] = "switching-linear"
    units: Count = 5
    leaky: Fraction = 0.9
    """Largest eigenvalue of A before."""
    persistent: Fraction = 0.95
    """Largest eigenvalue of A after."""
    gain: Positive = 0.5
    """Factor on B after."""
    switch: Annotated[int, Field(ge=0)] = 100
    """Steps before the commitment; 0 is committed throughout."""
