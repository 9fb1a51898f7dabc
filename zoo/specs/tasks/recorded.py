"""Which trials of a recording are looked at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count
from zoo.specs.families import TaskSpec


class RecordedSpec(TaskSpec):
    """The trials of a recording, by number; nothing is asked for, and targets are zero.

    The last ``held_out`` trials are the splits test and validation, the others train, and ``all`` is all of
    them. A split gives as many trials as are asked for, or as it has.
    """

    kind: Literal["recorded"] = "recorded"
    trials: Count
    steps: Count
    """Of the longest trial."""
    width: Count
    """Outputs of the recording."""
    held_out: Annotated[int, Field(ge=0)] = 0
    """Trials at the end that are for testing; 0 where no trial can be spared, and every split is all."""
    part: Literal["train", "test", "all"] = "all"
    """Which of the trials a split looks at."""
    splits: dict[str, dict[str, Any]] = {
        "train": {"part": "train"},
        "validation": {"part": "test"},
        "test": {"part": "test"},
        "all": {"part": "all"},
    }

    @property
    def inputs(self) -> int:
        return 1

    @property
    def outputs(self) -> int:
        return self.width

    @property
    def numbers(self) -> range:
        """Of the trials in this part."""
        first = self.trials - self.held_out
        if self.part == "all" or not self.held_out:
            return range(self.trials)
        return range(first) if self.part == "train" else range(first, self.trials)

    @model_validator(mode="after")
    def _some_left(self) -> RecordedSpec:
        if self.held_out >= self.trials:
            raise ValueError(f"holding out {self.held_out} of {self.trials} trials leaves none to train on")
        return self
