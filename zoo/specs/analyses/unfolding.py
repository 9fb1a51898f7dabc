"""How well a network that sees a part of a system holds all of it: delay embeddings, and forecasts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.activity import Latent
from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, NonNegative

Index = Annotated[int, Field(ge=0, le=9999)]


class UnfoldingSpec(MeasurementSpec):
    """What analyses of states as an embedding of a system can be told."""

    latent: Latent = "state"
    """The state of the system, ``[trial, time, variable]``."""
    samples: Annotated[int, Field(ge=10, le=20_000)] = 3000
    """Moments that are looked at, drawn from all trials without replacement."""


class NeighbourhoodSpec(UnfoldingSpec):
    """What analyses of neighbours can be told."""

    theiler: Annotated[int, Field(ge=1, le=10**6)] = 25
    """Moments of one trial fewer steps apart are no neighbours (Theiler 1986): they are near in any
    embedding. 1 leaves out nothing but the sample itself."""


class NeighboursSpec(NeighbourhoodSpec):
    """Whether what is near in the states is near in the system (Ostrow et al. 2024).

    The share of the nearest neighbours of a sample in the system's state that are also among its nearest in
    the network's.
    """

    kind: Literal["neighbours"] = "neighbours"
    neighbours: Count = 20


class NoiseAmplificationSpec(NeighbourhoodSpec):
    """How much noise in the states costs a forecast from them (Uzal, Grinblat & Verdes 2011).

    E² is the variance of a variable some steps later among a sample and its nearest neighbours, averaged over
    steps; ε² is the mean squared distance between these in the network's states.
    """

    kind: Literal["noise-amplification"] = "noise-amplification"
    neighbours: Count = 3
    horizon: Count = 10
    """Steps ahead, from 1, over which E² is averaged."""
    variable: Index = 0
    """Which is forecast."""


class ReconstructionSpec(UnfoldingSpec):
    """How well the variables of a system are read from the states, by a linear map and by a perceptron, on
    trials that these were not fitted to (Ostrow et al. 2024). Scored by R²; states are standardised."""

    kind: Literal["reconstruction"] = "reconstruction"
    variables: Annotated[tuple[Index, ...], Field(strict=False, min_length=1)] | None = None
    """Their numbers; without it, all."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the trials that are scored."""
    hidden: Count = 100
    """Units (ReLU) of the perceptron's hidden layer."""
    penalty: NonNegative = 1e-4
    """On the squared weights of both."""
    epochs: Count = 200
    """Of the perceptron's training, at most."""


class ForecastErrorSpec(MeasurementSpec):
    """How far a network forecasts that is fed its own outputs, beside saying that nothing changes.

    It sees the first ``warmup`` steps of each trial; then each output is the next input.
    """

    kind: Literal["forecast"] = "forecast"
    trials: Count = 200
    warmup: Count = 200
    steps: Count = 20
    """Of the forecast."""
