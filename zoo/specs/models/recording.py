"""A recording: activity that was measured or simulated elsewhere, in the place of a model."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, Positive, Spec
from zoo.specs.families import ModelSpec
from zoo.specs.models.sources import Source

MAX_NUMBERS = 2**30
"""Of a recording at most: 4 GB in single precision."""

LatentName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]


class LatentSpec(Spec):
    """A variable of the trials that was recorded beside the activity."""

    shape: Annotated[tuple[Count, ...], Field(strict=False, max_length=4)] = ()
    """The axes that follow the trials': none, or steps and others."""
    whole: bool = False
    """Whether it is of whole numbers."""


class RecordingSpec(ModelSpec):
    """Recorded activity, trial by trial. It has no step, so nothing can be asked of it but what was recorded.

    ``zoo import`` makes one from arrays, ``zoo record`` from a network; it goes with the task ``recorded``.
    """

    kind: Literal["recording"] = "recording"
    learnable: ClassVar[bool] = False

    trials: Count
    steps: Count
    """Of the longest trial."""
    units: Count
    channels: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Of the recorded inputs; 0 where there are none."""
    outputs: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Of the recorded outputs; where there are none, the output is the activity."""
    ragged: bool = False
    """Whether trials differ in length."""
    latents: dict[LatentName, LatentSpec] = {}
    source: Source | None = None
    """Where it is read from when its name is asked for; none where it was given as arrays."""
    signal: Literal["activity", "spikes", "fluorescence", "bold"] = "activity"
    """What was recorded; ``spikes`` are counts in each step."""
    dt: Positive | None = None
    """Seconds from one step to the next, where that is known."""

    @model_validator(mode="after")
    def _bounded(self) -> RecordingSpec:
        wide = self.steps * (self.units + self.channels + self.outputs)
        numbers = self.trials * (wide + sum(math.prod(latent.shape) for latent in self.latents.values()))
        if numbers > MAX_NUMBERS:
            raise ValueError(f"{numbers:,} numbers are too many for a recording; at most {MAX_NUMBERS:,}")
        return self

    @property
    def width(self) -> int:
        """Of the output."""
        return self.outputs or self.units
