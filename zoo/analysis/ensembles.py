"""How well an ensemble does its task, beside its particles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.models.ensemble import Ensemble
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.filters import EnsemblePerformanceSpec

if TYPE_CHECKING:
    from zoo.network import Network


class EnsemblePerformance(Measurement[EnsemblePerformanceSpec]):
    """Numbers, of each metric of the task: ``weighted/<metric>``, of outputs averaged by weight, as the
    network gives them; ``uniform/<metric>``, of outputs averaged evenly; ``single/<metric>``, the mean over
    particles, and ``chosen/<metric>``, their mean by weight. ``effective`` is the number of particles that
    carry the weight, 1 / Σ w².

    Arrays: ``weights`` ``[particle]``, and of each metric ``particles/<metric>`` ``[particle]``.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """An ensemble."""
        if not isinstance(network.model, Ensemble):
            raise AnalysisError(
                f"ensemble-performance is of the model 'ensemble', and {name} is one network. Ask "
                "performance of it."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model, task, spec = network.model, network.task, self.spec
        assert isinstance(model, Ensemble)
        batch = network.batch(spec.split, spec.seed, 0, spec.trials)
        output = network(batch.x)
        each = model.each(output.states["particles"])
        weights = torch.softmax(model.log_weights.double(), 0)
        found = [task.metrics(y, batch) for y in each]
        weighted, uniform = task.metrics(output.y, batch), task.metrics(each.mean(0), batch)
        numbers, arrays = {"effective": 1 / weights.square().sum()}, {"weights": weights}
        for name in weighted:
            single = torch.stack([one[name].double().mean() for one in found])
            numbers[f"weighted/{name}"] = weighted[name].double().mean()
            numbers[f"uniform/{name}"] = uniform[name].double().mean()
            numbers[f"single/{name}"] = single.mean()
            numbers[f"chosen/{name}"] = weights @ single
            arrays[f"particles/{name}"] = single
        return Found(numbers, arrays)
