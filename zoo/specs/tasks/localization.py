"""Where am I? A place that is seen a direction at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from zoo.specs.base import Count
from zoo.specs.families import TaskSpec


class LocalizationSpec(TaskSpec):
    """A hidden place u, seen by its projections on random directions, without noise (Boopathy et al. 2024).

    Place and directions are normal with variance 1 in each dimension. An input is a direction x and u · x,
    and the place is asked for at each step.
    """

    kind: Literal["localization"] = "localization"
    dimensions: Annotated[int, Field(ge=1, le=10_000)] = 10
    """m."""
    steps: Count = 49
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 200}}

    @property
    def inputs(self) -> int:
        return self.dimensions + 1

    @property
    def outputs(self) -> int:
        return self.dimensions
