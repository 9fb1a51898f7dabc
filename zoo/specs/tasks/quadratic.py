"""Losses whose landscape is known: a quadratic of the outputs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.base import NonNegative, Spec
from zoo.specs.families import TaskSpec


class ModeSpec(Spec):
    """Directions of one curvature."""

    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    curvature: NonNegative = 1.0
    """λ, the eigenvalue of the Hessian; 0 for directions that do not matter."""
    optimum: float = 0.0
    """Where they should be."""


class QuadraticSpec(TaskSpec):
    """Outputs should be at an optimum: the loss is ½ Σ_i λ_i (y_i - c_i)² of the modes of a Hessian.

    Inputs are a standard normal number that says nothing, so that a network has to ignore it. With the model
    ``constant``, outputs are the parameters, and learning is that of a quadratic landscape.
    """

    kind: Literal["quadratic"] = "quadratic"
    modes: Annotated[tuple[ModeSpec, ...], Field(strict=False, min_length=1, max_length=1000)] = (
        ModeSpec(count=2, optimum=1.0),
        ModeSpec(count=6, curvature=0.01),
    )

    @property
    def inputs(self) -> int:
        return 1

    @property
    def outputs(self) -> int:
        return sum(mode.count for mode in self.modes)

    @property
    def steps(self) -> int:
        """An answer is a single step."""
        return 1
