"""Functions of many numbers, each example at a new point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.base import Positive
from zoo.specs.families import TaskSpec


class SineSumSpec(TaskSpec):
    """One number from several: y = Σ sin(x_i) / √d at points that are uniform in a cube of d dimensions."""

    kind: Literal["sine-sum"] = "sine-sum"
    dimensions: Annotated[int, Field(ge=1, le=10_000)] = 4
    reach: Positive = 2.0
    """Coordinates lie between -reach and reach."""

    @property
    def steps(self) -> int:
        """A point is a single step."""
        return 1

    @property
    def inputs(self) -> int:
        return self.dimensions

    @property
    def outputs(self) -> int:
        return 1
