"""What every analysis of trajectories can be told: what to run, and what of it to look at."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from zoo.specs.base import Count, NonNegative, Seed, Spec
from zoo.specs.families import AnalysisSpec


class ObservationSpec(Spec):
    """What is seen of the states that a comparison is about, step by step in the order of the fields."""

    skip: Annotated[int, Field(ge=0)] = 0
    """Time steps left out at the beginning of each trial."""
    every: Count = 1
    """One time step of so many is kept."""
    average: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """A latent, such as ``condition``: the trials that share its value are averaged."""
    units: Count | None = None
    """So many units are seen, drawn without replacement."""
    lift: Count | None = None
    """So many channels are seen, each a random mixture of all units (normal weights of variance 1/units)."""
    noise: NonNegative = 0.0
    """Standard deviation of white noise added to every sample, in the unit of the states."""
    standardise: Literal["trial", "all"] | None = None
    """Zero mean and unit variance of each channel: over time within each trial, or over all samples."""
    components: Count | None = None
    """Principal components of all samples that are kept; they are centred."""
    seed: Seed = 0
    """Of units, lift and noise. Networks of one width have the same units and mixtures; noise differs."""


class RunSpec(AnalysisSpec):
    """What an analysis of trajectories can be told: which to run, and what of them to look at."""

    site: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Which site of the network is looked at; without one, that which is read out."""
    trials: Count = 64
    """Trials of the task to run, where networks are given by name."""
    split: Annotated[str, Field(min_length=1, max_length=100)] = "test"
    seed: Seed = 0
    """Seed of those trials: all networks see the same ones."""
    observe: ObservationSpec = ObservationSpec()
    """What is seen of the states."""


class ComparatorSpec(RunSpec):
    """Of what compares networks."""


class MeasurementSpec(RunSpec):
    """Of what measures each network by itself."""


class CalculationSpec(AnalysisSpec):
    """Of what follows from its parameters alone, without any network."""

    def drawn(self) -> tuple[Self, ...]:
        """The calculations that make up this one, each without chance in it."""
        return (self,)


class DrawnSpec(CalculationSpec):
    """Of what follows from examples that are drawn from a task."""

    seed: Annotated[int, Field(ge=0, lt=2**62)] = 0
    """Of the examples, and of whatever else is drawn."""
    draws: Annotated[int, Field(ge=1, le=1000)] = 1
    """So many times, with ``seed``, ``seed + 1``, …: claims see one value of each number for each."""

    def drawn(self) -> tuple[Self, ...]:
        return tuple(self.updated(seed=self.seed + k, draws=1) for k in range(self.draws))
