"""Linear functions of the inputs of the past."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Name, Seed, Several, located
from zoo.specs.families import TaskSpec

Mode = Annotated[float, Field(gt=-1, lt=1)]


class LinearTeacherSpec(TaskSpec):
    """What a linear recurrent network, the teacher, makes of white noise.

    h_t = W h_{t-1} + B x_t and y_t = A h_t with y_t = P Σ_k diag(gain · mode^k) Qᵀ x_{t-k}: modes do not mix,
    with a channel of input and one of output for each, and rotations P and Q.
    """

    kind: Literal["linear-teacher"] = "linear-teacher"
    steps: Several = 15
    modes: Annotated[tuple[Mode, ...], Field(strict=False, min_length=1, max_length=1000)] = (
        0.8,
        0.6,
        0.4,
        0.2,
    )
    """Eigenvalues of W."""
    gains: Annotated[tuple[float, ...], Field(strict=False)] = ()
    """Of each mode from input to output; 1 without them."""
    rotation: Seed | None = 0
    """Draws P and Q; with none there are no rotations."""
    when: Literal["last", "every"] = "last"
    """The steps that count."""
    splits: dict[str, dict[str, Any]] = {"long": {"steps": 40}}

    @property
    def inputs(self) -> int:
        return len(self.modes)

    @property
    def outputs(self) -> int:
        return len(self.modes)

    @model_validator(mode="after")
    def _a_gain_each(self) -> Self:
        if self.gains and len(self.gains) != len(self.modes):
            raise located(f"has {len(self.gains)} entries for {len(self.modes)} modes", "gains")
        if self.gains and not any(self.gains):
            raise located("are all 0, so that there is nothing to learn", "gains")
        return self


class DelayedSumSpec(TaskSpec):
    """Add up random bits of the past: y_t = offset + Σ_i weight_i x_{t - delay_i}.

    The defaults are the Add task of Boopathy & Fiete (2022).
    """

    kind: Literal["delayed-sum"] = "delayed-sum"
    steps: Count = 100
    delays: Annotated[
        tuple[Annotated[int, Field(ge=0, le=10**6)], ...], Field(strict=False, min_length=1)
    ] = (2, 5)
    weights: Annotated[tuple[float, ...], Field(strict=False, min_length=1)] = (0.5, -0.25)
    offset: float = 0.5
    before: Literal["nothing", "end"] = "nothing"
    """What comes before the first bit: zeros, or, as in the authors' code, the end of the same trial, which
    nobody could know."""
    sequences: Annotated[int, Field(ge=1, le=10**6)] | None = None
    """If given, a split is a set of so many trials, from which batches are drawn."""
    part: Name = "train"
    """Which set; a split has that of its own name."""

    def for_split(self, split: str) -> Self:
        found = super().for_split(split)
        if self.sequences is None or split == "train" or "part" in self.splits.get(split, {}):
            return found
        return found.updated(part=split, splits={})

    @property
    def inputs(self) -> int:
        return 1

    @property
    def outputs(self) -> int:
        return 1

    @model_validator(mode="after")
    def _within_the_trial(self) -> Self:
        if len(self.weights) != len(self.delays):
            raise located(f"has {len(self.weights)} entries for {len(self.delays)} delays", "weights")
        if max(self.delays) >= self.steps:
            raise located(f"{max(self.delays)} is not within the {self.steps} steps of a trial", "delays")
        return self
