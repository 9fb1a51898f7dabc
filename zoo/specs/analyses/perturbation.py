"""What random changes of weights do, and what theory says of learning by them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, Positive, Seed


class BestOfSpec(MeasurementSpec):
    """How much better the best of N random perturbations of all weights is, by its reward.

    The gain is the mean of the largest of N changes of reward, over all choices of N out of those that were
    drawn. Perturbations are also tried in the other direction: the curvature along ε is
    s = (R₊ + R₋)/2 - R₀, and 2 mean(s)² / var(s) is near (tr H)² / tr H², how many directions matter.
    """

    kind: Literal["best-of-n"] = "best-of-n"
    site: Annotated[str, Field(min_length=1, max_length=100)] | None = "input"
    """Not looked at."""
    trials: Count = 256
    """Examples that rewards are means over: the same for all perturbations."""
    perturbations: Annotated[int, Field(ge=4, le=100_000)] = 240
    sigma: Positive = 0.02
    """Their deviation, in the unit of the weights."""
    best_of: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(strict=False, min_length=1)
    ] = (
        1,
        8,
        30,
        120,
    )
    """N."""
    reward: Annotated[str, Field(min_length=1, max_length=100)] = "loss"
    """``loss``, of which less is better, or a metric of the task."""
    draw: Seed = 0
    """Of the perturbations."""


class ModeModelSpec(MeasurementSpec):
    """The course of evolution strategies in a quadratic landscape, beside the linear model of its modes.

    A mode follows x ← (1 - a λ) x + b ξ (Liang et al. 2026): stiff ones come to rest soon and flat ones
    wander for long, so that the loss falls and rises again. With rewards standardised, of N samples at a
    learning rate α, a = α/d and b = α/√N; centred, a = α and b = α d/√N. d = σ √(tr H² / 2) is the deviation
    of rewards at the optimum over σ, and 1 in the paper.
    """

    kind: Literal["mode-model"] = "mode-model"
    site: Annotated[str, Field(min_length=1, max_length=100)] | None = "input"
    """Not looked at."""
    trials: Count = 16
    """Not looked at."""
    last: Annotated[float, Field(gt=0, le=1)] = 0.25
    """The share of the validations, from the end, that the terminal loss is the mean of."""
