"""Claims: a metric, a bound set before the run, and where the bound comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, median, stdev
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.errors import SpecError
from zoo.specs.base import Line, Lines, Spec, Text

ROUNDING = 1e-12
"""The least that a ratio divides by."""


class ClaimSource(Spec):
    """Where a bound comes from."""

    kind: Literal["paper", "design"]
    """``paper``: a figure of the paper; ``design``: ours, fixed before the run."""
    where: Line = ""
    """Table, figure or section; for a design bound, the reason."""


Measured = Annotated[tuple[float | None, ...], Field(strict=False)]
"""One value a member; ``None`` where it is no finite number."""


def finite(value: float) -> float | None:
    """A value as a record has it."""
    return value if math.isfinite(value) else None


class ClaimSpec(Spec):
    """The acceptance test of a checkpoint or a study.

    A metric of a population has one value a member; ``over`` says what must hold for them: each value, or
    their mean, median or standard deviation (of a sample, of two values or more).
    """

    metric: Line
    """For example ``test/sign_accuracy``, or ``procrustes/decoding`` in a study."""
    minus: Line | None = None
    """If given, the claim is on the difference ``metric - minus``."""
    per: Lines = ()
    """If given, the claim is on the ratio of ``metric`` and the largest of these, each reduced as ``over``
    says; one below 1e-12 is rounding, and counts as that much."""
    at_least: float | None = None
    at_most: float | None = None
    over: Literal["every", "mean", "median", "deviation"] = "every"
    source: ClaimSource
    statement: Text = ""
    """What the bound means, in words."""
    note: Text = ""
    """Where it is known to fail: what we think is wrong."""

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a claim needs 'at_least' or 'at_most'")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}: nothing can hold")
        if self.per and self.minus is not None:
            raise ValueError("a claim is on a difference ('minus') or on a ratio ('per'), not on both")
        return self

    def bound(self) -> str:
        """The bound as a short text: ``≥ 0.99``."""
        parts = [] if self.at_least is None else [f"≥ {self.at_least:g}"]
        return " and ".join(parts if self.at_most is None else [*parts, f"≤ {self.at_most:g}"])

    def subject(self) -> str:
        """What is bounded, as a short text."""
        name = self.metric if self.minus is None else f"{self.metric} − {self.minus}"
        if self.per:
            ends = self.per if len(self.per) < 3 else (self.per[0], "…", self.per[-1])
            name += f" / {ends[0]}" if len(self.per) == 1 else f" / max({', '.join(ends)})"
        return name if self.over == "every" else f"{self.over} {name}"

    def judge(self, metrics: Mapping[str, tuple[float | None, ...]]) -> Verdict:
        """Whether the claim holds on measured values; a value that is missing or not finite fails it.

        Raises :class:`SpecError` for a difference, one by one, of groups that are not equally large.
        """
        values, reduced = metrics.get(self.metric, (None,)), False
        if self.minus is not None:
            less = metrics.get(self.minus, (None,) * len(values))
            if len(values) != len(less):
                if self.over == "every":
                    raise SpecError(
                        f"there are {len(values)} values of {self.metric} and {len(less)} of {self.minus}, "
                        "which have no differences one by one. Claim that of their means, with 'over: mean'."
                    )
                values, less, reduced = self._reduced(values), self._reduced(less), True
            values = tuple(
                None if a is None or b is None else a - b for a, b in zip(values, less, strict=True)
            )
        measured = values if reduced else self._reduced(values)
        if self.per:
            least = [value for name in self.per for value in self._reduced(metrics.get(name, (None,)))]
            known = [value for value in least if value is not None]
            largest = max(known) if len(known) == len(least) else None
            measured = tuple(
                None if value is None or largest is None else value / max(largest, ROUNDING)
                for value in measured
            )
        holds = all(
            value is not None
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            for value in measured
        )
        return Verdict(claim=self, measured=measured, holds=holds, note="" if holds else self.note)

    def _reduced(self, values: tuple[float | None, ...]) -> tuple[float | None, ...]:
        if self.over == "every" or None in values:
            return values
        known = [value for value in values if value is not None]
        if self.over == "deviation":
            return (stdev(known) if len(known) > 1 else None,)
        return (fmean(known) if self.over == "mean" else median(known),)


class Verdict(Spec):
    """A claim, what was measured, and whether it holds."""

    claim: ClaimSpec
    measured: Measured
    holds: bool
    note: Text = ""
    """On a failing claim: what we think is wrong."""
