"""How well a network does its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.measure import Found, Measurement
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.network import PerformanceSpec

if TYPE_CHECKING:
    from zoo.network import Network


class Performance(Measurement[PerformanceSpec]):
    """Numbers: the mean ``loss`` and the mean of each of the task's metrics. Arrays: theirs of each trial."""

    requires = frozenset({"network"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        found = network.measure(self.spec.split, self.spec.trials, self.spec.seed)
        return Found({name: values.double().mean() for name, values in found.items()}, found)
