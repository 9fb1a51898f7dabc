"""Memories that were learned by gradients: what their keys and values are like, and what they retrieve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from zoo.analysis.figures import COLOURS, INK, MARKERS
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.analysis.statistics import silhouette
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.models.stores import KeyValueAttention, TwoStores
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.analyses.memory import AmplificationSpec, KeyValueClustersSpec
from zoo.tasks.patterns import Items

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class KeyValueClusters(Measurement[KeyValueClustersSpec]):
    """Numbers: ``keys`` and ``values``, mean silhouettes by class. Arrays: ``keys`` ``[item, width]``,
    ``values`` ``[item, output]``, ``classes`` ``[item]``."""

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """Keys and values of items that have classes."""
        if not isinstance(network.model, KeyValueAttention) or not isinstance(network.task, Items):
            raise AnalysisError(
                f"kv-clusters is of the model 'kv-attention' on the task 'items', and {name} is another. Ask "
                "decoding, or a comparison by rsa, of other states."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model, task = network.model, network.task
        assert isinstance(model, KeyValueAttention)
        assert isinstance(task, Items)
        classes = task.classes()
        found = {"keys": model.keys.double(), "values": torch.sigmoid(model.values.double())}
        numbers = {}
        for name, each in found.items():
            distances = (each[:, None] - each).norm(dim=-1)  # exact zeros from an item to itself
            numbers[name] = torch.from_numpy(silhouette(distances.numpy(), classes.tolist())).mean()
        return Found(numbers, {**found, "classes": classes})

    def figure(self, finding: Finding) -> Figure:
        """Keys, by two of their coordinates, and values; a colour for each class."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(5.6, 2.8), layout="constrained")
        for axes, name in zip(figure.subplots(1, 2), ("keys", "values"), strict=True):
            points = finding[name]
            for number in sorted(set(finding["classes"].tolist())):
                own = points[finding["classes"] == number]
                axes.scatter(own[:, 0], own[:, -1], s=8, color=COLOURS[number], label=f"class {number}")
            axes.set_title(f"{name}, silhouette {finding.numbers[name]:.2f}", color=INK, fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
        return figure


class Amplification(Measurement[AmplificationSpec]):
    """Numbers: ``<split>/<factor>``, the mean of the metric. Arrays: ``factors``, and ``measured`` ``[split,
    factor]``."""

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """Two stores."""
        if not isinstance(network.model, TwoStores):
            raise AnalysisError(
                f"amplification is of the model 'two-stores', and {name} has no first store. Ask performance "
                "of other networks."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, model = self.spec, network.model
        assert isinstance(model, TwoStores)
        state, numbers = model.state_dict(), dict[str, float]()
        for split in spec.splits:
            batch = network.batch(split, spec.seed, 0, spec.trials)
            for factor in spec.factors:
                # As β of the model multiplies what is amplified here, their product is the factor asked for.
                scaled = {name: state[name] * _times(factor, model.spec.beta) for name in FIRST}
                y = functional_call(model, {**state, **scaled}, (batch.x,)).y
                measured = network.task.metrics(y, batch)
                if spec.metric not in measured:
                    raise AnalysisError(
                        f"amplification has no metric {spec.metric!r}: the task measures "
                        f"{', '.join(measured) or 'none'}.{suggest(spec.metric, measured)}"
                    )
                numbers[f"{split}/{factor:g}"] = float(measured[spec.metric].double().mean())
        shape = (len(spec.splits), len(spec.factors))
        measured_all = torch.tensor(list(numbers.values())).view(shape)
        return Found(numbers, {"factors": torch.tensor(spec.factors), "measured": measured_all})

    def figure(self, finding: Finding) -> Figure:
        """The metric against the factor, a line for each split."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.2, 3.0), layout="constrained")
        axes = figure.subplots()
        for k, split in enumerate(self.spec.splits):
            axes.plot(
                finding["factors"], finding["measured"][k], color=COLOURS[k], marker=MARKERS[k], label=split
            )
        axes.set(xlabel="factor of the first store", ylabel=self.spec.metric, ylim=(-0.03, 1.03))
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


FIRST = ("first_in", "first_out")


def _times(factor: float, beta: float) -> float:
    """What the first store is multiplied with, for ``factor`` in the place of β."""
    if beta == 0:
        raise AnalysisError(
            "amplification: the first store of a network with beta 0 does nothing, however it is amplified. "
            "Give model.beta above 0."
        )
    return factor / beta
