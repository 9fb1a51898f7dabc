"""Analyses of what a network is drawn to: the shape of its resting points, and the basin of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.analyses.network import FixedPointsSpec
from zoo.specs.base import Count, Positive, located

Component = Annotated[int, Field(ge=0, le=999)]


class LoopsSpec(FixedPointsSpec):
    """How many loops fixed and slow points lie on, by persistent homology: one of a ring, two of a torus.

    Of points that cover them all, the Vietoris–Rips complex grows with a distance; a loop is born where it
    closes and dies where it is filled (Edelsbrunner, Letscher & Zomorodian 2002).
    """

    kind: Literal["loops"] = "loops"  # type: ignore[assignment]
    starts: Count = 512
    rounds: Annotated[int, Field(ge=0, le=20)] = 0
    slow: Annotated[float, Field(ge=0)] = 0.02
    apart: Positive = 0.02
    landmarks: Annotated[int, Field(ge=4, le=200)] = 80
    """Points that are looked at: each the furthest from those before it."""
    lasting: Annotated[float, Field(gt=1, le=100)] = 2.0
    """A loop counts that dies at so many times the distance at which it is born."""
    neutral: Positive = 0.01
    """How near to 1 the absolute eigenvalue of a direction is along which the state stays where it is put."""
    attracting: bool = True
    """Whether points with a direction that grows by more than that are left out."""


class BasinsSpec(MeasurementSpec):
    """Which resting point each initial state of a grid reaches under a constant input.

    The grid lies in a plane through the mean of the states along the trials, spanned by two of their
    principal components.
    """

    kind: Literal["basins"] = "basins"
    input: Literal["zero", "mean"] | Annotated[tuple[float, ...], Field(strict=False)] = "zero"
    """The constant input: numbers, zero, or the mean over the trials."""
    side: Annotated[int, Field(ge=2, le=500)] = 60
    """Initial states along each side of the grid."""
    extent: Positive = 1.5
    """Half the side of the grid, in units of the largest distance of a state from the mean in the plane."""
    components: Annotated[tuple[Component, Component], Field(strict=False)] = (0, 1)
    """Numbers of the principal components, from 0."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """Steps at most."""
    tolerance: Positive = 1e-6
    """Speed ``|F(h, u) - h|`` at which a state has come to rest."""
    apart: Positive = 0.01
    """Resting points nearer than this share of the extent of the trials are one."""

    @model_validator(mode="after")
    def _two_components(self) -> BasinsSpec:
        if self.components[0] == self.components[1]:
            raise located("names one component twice; a plane has two", "components")
        return self
