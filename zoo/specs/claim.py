"""Claims: a metric, a bound set before the run, and where the bound comes from."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, median
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Line, Spec, Text


class ClaimSource(Spec):
    """Where a bound comes from."""

    kind: Literal["paper", "design"]
    """``paper``: a figure of the paper; ``design``: ours, fixed before the run."""
    where: Line = ""
    """Table, figure or section; for a design bound, the reason."""


Measured = Annotated[tuple[float | None, ...], Field(strict=False)]
"""One value a member; ``None`` where it is no finite number."""


class ClaimSpec(Spec):
    """The acceptance test of a checkpoint or a study.

    A metric of a population has one value a member; ``over`` says what must hold for them.
    """

    metric: Line
    """For example ``test/sign_accuracy``, or ``procrustes/decoding`` in a study."""
    minus: Line | None = None
    """If given, the claim is on the difference ``metric - minus``."""
    at_least: float | None = None
    at_most: float | None = None
    over: Literal["every", "mean", "median"] = "every"
    source: ClaimSource
    statement: Text = ""
    """What the bound means, in words."""

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a claim needs 'at_least' or 'at_most'")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}: nothing can hold")
        return self

    def bound(self) -> str:
        """The bound as a short text: ``≥ 0.99``."""
        parts = [] if self.at_least is None else [f"≥ {self.at_least:g}"]
        return " and ".join(parts if self.at_most is None else [*parts, f"≤ {self.at_most:g}"])

    def subject(self) -> str:
        """What is bounded, as a short text."""
        name = self.metric if self.minus is None else f"{self.metric} − {self.minus}"
        return name if self.over == "every" else f"{self.over} {name}"

    def judge(self, metrics: Mapping[str, tuple[float | None, ...]]) -> Verdict:
        """Whether the claim holds on measured values; a value that is missing or not finite fails it."""
        values = metrics.get(self.metric, (None,))
        if self.minus is not None:
            less = metrics.get(self.minus, (None,) * len(values))
            values = tuple(
                None if a is None or b is None else a - b for a, b in zip(values, less, strict=True)
            )
        measured = values
        if self.over != "every" and None not in values:
            known = [value for value in values if value is not None]
            measured = (fmean(known) if self.over == "mean" else median(known),)
        holds = all(
            value is not None
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            for value in measured
        )
        return Verdict(claim=self, measured=measured, holds=holds)


class Verdict(Spec):
    """A claim, what was measured, and whether it holds."""

    claim: ClaimSpec
    measured: Measured
    holds: bool
    note: Text = ""
    """On a failing claim: what we think is wrong."""
