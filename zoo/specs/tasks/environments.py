"""Trials of environments that others have written."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Name, located
from zoo.specs.families import TaskSpec

MAX_POOL = 2**27
"""Numbers in the trials of a split."""


class NeuroGymSpec(TaskSpec):
    """Trials of a NeuroGym environment, as supervised learning (Molano-Mazón et al. 2022).

    Inputs are the observations of a trial, targets what the environment holds to be right at each step. Each
    split has trials of its own, made once; batches are drawn from them. NeuroGym has to be installed, in an
    environment of its own: it asks for versions of libraries that others of ours do not go with.
    """

    kind: Literal["neurogym"] = "neurogym"
    environment: Annotated[str, Field(pattern=r"^[\w./:-]{1,100}$")]
    """Its name there, for example PerceptualDecisionMaking-v0."""
    options: dict[str, Any] = {}
    """What it is made with, for example ``{dt: 20, timing: {stimulus: 1000}}``."""
    observations: Count
    """Width of an observation."""
    actions: Count
    """How many actions there are; of values, how many at a step."""
    target: Literal["class", "value"] = "class"
    """Whether what is right is one of the actions, or values."""
    steps: Count = 100
    """Of the longest trial. What follows the end of a shorter one is not judged."""
    trials: Count = 1000
    """How many there are in each split."""
    part: Name = "train"
    """Which set of trials; a split has that of its own name."""

    @property
    def loss(self) -> str:  # type: ignore[override]
        """Cross-entropy of actions, or the squared error of values."""
        return "cross-entropy" if self.target == "class" else "mse"

    @property
    def inputs(self) -> int:
        return self.observations

    @property
    def outputs(self) -> int:
        return self.actions

    def for_split(self, split: str) -> Self:
        found = super().for_split(split)
        if split == "train" or "part" in self.splits.get(split, {}):
            return found
        return found.updated(part=split, splits={})

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.trials * self.steps * (self.observations + self.actions) > MAX_POOL:
            raise located(f"so many of {self.steps} steps are more than {MAX_POOL:,} numbers", "trials")
        return self
