"""When a curve of training reaches a level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.hub.reference import Reference
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.analyses.learning import OnsetSpec
from zoo.specs.record import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Onset(Measurement[OnsetSpec]):
    """Numbers: ``step``, the first one that was looked at where the curve is at the level or beyond, and
    ``reached``, 1 or 0; where it never is, the step is the last one and says "not before". With ``after``,
    the ``start`` of that curve, and the ``delay`` from it. Arrays: ``steps`` and ``curve``, and ``before``.
    """

    requires = frozenset({"network"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        curve, spec = self._curve(network), self.spec
        steps = np.array(curve.steps)
        values = self._values(curve, spec.metric, network)
        step, reached = self._first(steps, values)
        numbers: dict[str, float] = {"step": step, "reached": reached}
        arrays = {"steps": steps, "curve": values}
        if spec.after is not None:
            arrays["before"] = self._values(curve, spec.after, network)
            start, started = self._first(steps, arrays["before"])
            numbers |= {"start": start, "delay": step - start, "reached": min(reached, started)}
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The curves, with the level."""
        from zoo.analysis.learning.figures import onset_figure

        return onset_figure(finding, self.spec)

    def _curve(self, network: Network) -> Curve:
        record = network.record
        if record is None or not record.curve:
            raise AnalysisError(
                f"{calling(network.name)} has no record of its training; "
                "ask one that was trained and published."
            )
        member = Reference.parse(network.reference).member if network.reference else None
        return record.curve[member if isinstance(member, int) else 0]

    def _values(self, curve: Curve, metric: str, network: Network) -> np.ndarray:
        if metric not in curve.values:
            raise AnalysisError(
                f"the record of {calling(network.name)} has no curve {metric!r}."
                f"{suggest(metric, curve.values)} It has: {', '.join(curve.values)}. "
                "Splits are added by record.curve before training."
            )
        return np.array([np.nan if value is None else value for value in curve.values[metric]])

    def _first(self, steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
        there = values <= self.spec.level if self.spec.falling else values >= self.spec.level
        return (float(steps[there.argmax()]), 1.0) if there.any() else (float(steps[-1]), 0.0)
