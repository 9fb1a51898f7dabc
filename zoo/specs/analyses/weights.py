"""Weights as data: what can be told of a network from its weights alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import DrawnSpec
from zoo.specs.base import Count, Line, NonNegative, Positive

Few = Annotated[int, Field(ge=1, le=64)]


class WeightPredictionSpec(DrawnSpec):
    """A metric of networks predicted from their weights: from statistics of these (Unterthiner et al. 2020)
    by ridge regression, and by a network that no order of hidden units matters to (Zhou et al. 2023).

    A network that is tested on is predicted by one that has seen no other of its population, and none that
    began with the same weights.
    """

    kind: Literal["weight-prediction"] = "weight-prediction"
    populations: Annotated[tuple[Line, ...], Field(strict=False, min_length=2)]
    """Names of checkpoints with snapshots, whose models are perceptrons of one shape."""
    split: Annotated[str, Field(min_length=1, max_length=100)] = "test"
    metric: Line = "accuracy"
    trials: Count = 360
    groups: Annotated[int, Field(ge=2, le=100)] = 2
    """Parts that initial weights are divided into; each population is tested on part by part."""
    ridge: NonNegative = 1.0
    """Weight of the squared coefficients, for statistics of variance 1."""
    channels: Few = 4
    """Of the equivariant network."""
    layers: Few = 2
    epochs: Count = 60
    """Steps of Adam, each on all networks that are learned from."""
    rate: Positive = 1e-2
