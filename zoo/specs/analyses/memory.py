"""Analyses of associative memories."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, Fraction, Positive


class RecallSpec(MeasurementSpec):
    """How many random patterns an associative memory holds, by its own rule, at sizes of one's choice.

    What the network itself has stored is left aside: for each load, new random patterns are stored in
    memories of the same kind, and recalled from cues. The capacity is the load at which the mean overlap of
    what is recalled with what was stored falls below ``threshold``, between the loads on either side.
    """

    kind: Literal["recall"] = "recall"
    trials: Count = 16
    """Of the network's own task, which are not looked at."""
    units: Annotated[tuple[Annotated[int, Field(ge=2, le=20_000)], ...], Field(strict=False)] = ()
    """Sizes; without them, that of the network."""
    loads: Annotated[tuple[Positive, ...], Field(strict=False, min_length=2, max_length=100)] = (
        0.05,
        0.1,
        0.12,
        0.14,
        0.16,
        0.2,
        0.3,
        0.5,
    )
    """Patterns over ``units ** power``, ascending."""
    power: Annotated[int, Field(ge=1, le=6)] = 1
    draws: Annotated[int, Field(ge=1, le=1000)] = 5
    """Sets of patterns at each load, all at once."""
    cues: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Patterns of each set that are recalled."""
    corruption: Fraction = 0.0
    """Share of the units that are turned over in a cue."""
    sweeps: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Just above a capacity, states leave a pattern slowly."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.9


class CodeSizeSpec(MeasurementSpec):
    """How many states the code of an expander memory has, by the rank of its parity checks."""

    kind: Literal["code-size"] = "code-size"
    trials: Count = 16
    """Of the network's own task, which are not looked at."""
