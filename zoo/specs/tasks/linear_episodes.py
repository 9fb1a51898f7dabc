"""What the task linear-episodes declares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from zoo.specs.base import Positive, Several
from zoo.specs.families import TaskSpec


class LinearEpisodesSpec(TaskSpec):
    """Linear regression in context: each episode has weights of its own (Garg et al. 2022, with noise).

    y_t = w · x_t / √d + σ ξ with w, x and ξ standard normal. Inputs are x_t and the answer before, y_{t-1};
    the oracle is the mean that Bayes' rule predicts, which is ridge regression on what the episode has shown.
    """

    kind: Literal["linear-episodes"] = "linear-episodes"
    dimensions: Annotated[int, Field(ge=1, le=64)] = 4
    noise: Positive = 0.25
    """σ, in the unit of y, whose variance is 1 without it."""
    steps: Several = 20
    """Length of an episode in time steps."""
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 40}}

    @property
    def inputs(self) -> int:
        return self.dimensions + 1

    @property
    def outputs(self) -> int:
        return 1
