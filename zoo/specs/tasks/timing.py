"""Trials that go through periods of fixed or random duration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from zoo.specs.base import NonNegative, Positive, located
from zoo.specs.families import TaskSpec

Drawn = Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)]
"""Of one number, that; of two, uniform between them; of more, any of them with equal chance."""
Skippable = Annotated[tuple[NonNegative, ...], Field(strict=False, min_length=1)]
"""The same, where 0 leaves a period out."""

MAX_STEPS = 1_000_000
"""Of a period."""


def steps_in(seconds: float, dt: float) -> int:
    """Whole time steps in a duration; at most ``MAX_STEPS`` and one."""
    return int(min(seconds / dt + 1e-6, MAX_STEPS + 1.0))


class TimedSpec(TaskSpec):
    """Base of tasks whose trials have periods, one after the other, each a field in seconds.

    A duration of one number is that; of two, uniform between them; of more, any of them with equal chance.
    Each trial has its own, and what follows its end is not judged.
    """

    periods: ClassVar[tuple[str, ...]] = ()
    """Fields that are durations, in their order."""
    stretched: ClassVar[frozenset[str]] = frozenset({"delay"})
    """Those that ``stretch`` applies to."""

    dt: Positive = 0.02
    """Duration of a time step in seconds."""
    stretch: Positive = 1.0
    """Factor on what a network has to bridge: the delay, or the time that it integrates over."""

    @property
    def steps(self) -> int:
        """Length of the longest trial in time steps."""
        return sum(max(self.durations(period)) for period in self.periods)

    def durations(self, period: str) -> list[int]:
        """Of a period, in time steps, as they are drawn from."""
        factor = self.stretch if period in self.stretched else 1.0
        return [steps_in(seconds * factor, self.dt) for seconds in getattr(self, period)]

    @model_validator(mode="after")
    def _periods_last(self) -> Self:
        for period in self.periods:
            seconds = getattr(self, period)
            if any(steps < 1 for steps, given in zip(self.durations(period), seconds, strict=True) if given):
                raise located(f"{min(seconds)} s is shorter than a time step of {self.dt} s", period)
            if max(self.durations(period)) > MAX_STEPS:
                raise located(f"{max(seconds)} s is more than {MAX_STEPS:,} steps of {self.dt} s", period)
        return self
