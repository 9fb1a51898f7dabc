"""What is fed to a simulated system, and a reach with delayed feedback."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, NonNegative, Positive, Seed, Several, located
from zoo.specs.families import TaskSpec


class DriveSpec(TaskSpec):
    """An input to drive a system with; there is nothing to learn, and targets are zero.

    The signal is a level, which may change its sign at random times, plus noise, plus a displacement at
    the first step. Behind its channels come those of independent disturbances.
    """

    kind: Literal["drive"] = "drive"
    steps: Count = 100
    channels: Count = 1
    """Of the signal."""
    levels: Annotated[tuple[float, ...], Field(strict=False, min_length=1)] = (0.0,)
    """The conditions, in turn from trial to trial: what the signal is but for all that is random."""
    dwell: Annotated[tuple[Count, Count], Field(strict=False)] | None = None
    """If given, the level changes its sign again and again, after a random number of steps from the first to
    the second of these."""
    noise: NonNegative = 0.0
    """Deviation of the noise on the signal."""
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Correlation of the noise on the signal from step to step: 0 is white noise, more a first-order
    autoregression."""
    pulse: NonNegative = 0.0
    """Deviation of the displacement, drawn for each trial and channel of the signal."""
    disturbances: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Further channels of independent white noise."""
    disturbance: NonNegative = 1.0
    """Deviation of that noise."""
    balanced: bool = False
    """Whether all that is random has mean zero over the trials of a condition, so that the average of a
    linear system is what it is without."""
    draw: Seed = 0
    """Which draw of all that is random: members of a population that differ in it get different inputs."""
    width: Count = 1
    """Outputs of the system that is driven."""

    @property
    def inputs(self) -> int:
        return self.channels + self.disturbances

    @property
    def outputs(self) -> int:
        return self.width

    @model_validator(mode="after")
    def _dwell_ascends(self) -> DriveSpec:
        if self.dwell is not None and self.dwell[0] > self.dwell[1]:
            raise ValueError(f"dwell goes from the shortest to the longest time, not {list(self.dwell)}")
        return self


class ReachSpec(TaskSpec):
    """Follow targets that jump at random times, seen with a delay.

    Inputs are the position of the target (2) and where it lay relative to the hand ``delay`` steps ago (2).
    The output to give is the position of a unit point mass that a spring pulls to the target, damped
    critically: p'' = ω² (target - p) - 2 ω p'.
    """

    kind: Literal["reach"] = "reach"
    steps: Several = 100
    dt: Positive = 0.02
    """Duration of a time step in seconds."""
    omega: Positive = 8.0
    """ω, in 1/s."""
    dwell: Annotated[tuple[Count, Count], Field(strict=False)] = (20, 50)
    """Shortest and longest time between jumps of the target, in steps."""
    delay: Annotated[int, Field(ge=0)] = 5
    """Of the feedback, in steps."""
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 300}}

    @property
    def inputs(self) -> int:
        return 4

    @property
    def outputs(self) -> int:
        return 2

    @model_validator(mode="after")
    def _dwell_ascends(self) -> ReachSpec:
        if self.dwell[0] > self.dwell[1]:
            raise ValueError(f"dwell goes from the shortest to the longest time, not {list(self.dwell)}")
        if self.delay >= self.steps:
            raise located(f"no feedback comes within {self.steps} steps", "delay")
        return self
