"""Memory tasks: the n-bit flip-flop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from zoo.specs.base import Count, Fraction
from zoo.specs.families import TaskSpec


class FlipFlopSpec(TaskSpec):
    """Hold the sign of the last pulse on each of n channels (Sussillo & Barak 2013).

    Inputs are ±1 pulses and 0 between them; targets are the sign of the latest pulse. Every
    channel gets a pulse at the first step, so that the target is always defined (as in the
    FixedPointFinder flip-flop, Golub & Sussillo 2018).
    """

    kind: Literal["flip-flop"] = "flip-flop"
    bits: Annotated[int, Field(ge=1, le=30)] = 3
    steps: Count = 60
    """Length of a trial in time steps."""
    pulse_probability: Fraction = 0.1
    """Chance of a pulse, for each channel and step."""
    splits: dict[str, dict[str, Any]] = {
        "test": {"steps": 100},
        "longer": {"steps": 300},
        "sparse": {"steps": 300, "pulse_probability": 0.02},
    }

    @property
    def inputs(self) -> int:
        return self.bits

    @property
    def outputs(self) -> int:
        return self.bits
