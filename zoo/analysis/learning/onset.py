"""When a curve of training reaches a level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.analysis.finding import Finding
from zoo.analysis.learning.curves import curve_of, values_of
from zoo.analysis.measure import Found, Measurement
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.learning import OnsetSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Onset(Measurement[OnsetSpec]):
    """Numbers: ``step``, the first one that was looked at where the curve is at the level or beyond, and
    ``reached``, 1 or 0; where it never is, the step is the last one and says "not before". With ``after``,
    the ``start`` of that curve, and the ``delay`` from it. Arrays: ``steps`` and ``curve``, and ``before``.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One with a record of its training."""
        curve_of(network)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        curve, spec = curve_of(network), self.spec
        steps = np.array(curve.steps)
        values = values_of(curve, spec.metric, network)
        step, reached = self._first(steps, values)
        numbers: dict[str, float] = {"step": step, "reached": reached}
        arrays = {"steps": steps, "curve": values}
        if spec.after is not None:
            arrays["before"] = values_of(curve, spec.after, network)
            start, started = self._first(steps, arrays["before"])
            numbers |= {"start": start, "delay": step - start, "reached": min(reached, started)}
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The curves, with the level."""
        from zoo.analysis.learning.figures import onset_figure

        return onset_figure(finding, self.spec)

    def _first(self, steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
        there = values <= self.spec.level if self.spec.falling else values >= self.spec.level
        return (float(steps[there.argmax()]), 1.0) if there.any() else (float(steps[-1]), 0.0)
