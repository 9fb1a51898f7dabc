"""What associative memories recall as they are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from zoo.analysis.figures import COLOURS, FAINT, INK, MARKERS
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.models.memory import Retrieving
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.memory import RecallSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

MOST = 2**29
"""Numbers that the memories of one load hold."""


class Recall(Measurement[RecallSpec]):
    """Numbers: ``capacity`` at the last size, as patterns over ``units ** power``, its ``spread`` (deviation
    over draws), ``overlap/<load>`` there, and ``capacity/<units>`` of every size; with several sizes, the
    ``exponent`` of the number of patterns as a power of the units. A draw that stays above the threshold
    counts with the largest load, and one that is always below it with none.

    Arrays: ``overlap`` ``[size, load, draw]``, ``capacities`` ``[size, draw]``, ``loads``, ``units``.
    """

    requires = frozenset({"network", "step"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """A memory with a rule that stores."""
        if not isinstance(network.model, Retrieving) or network.experiment.learner.kind == "none":
            raise AnalysisError(
                f"recall stores patterns anew, and {name} is no associative memory with a rule that does so. "
                "Ask it of one such as 'hopfield' with 'hebb'."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, model, rule = self.spec, network.model, network.experiment.learner.kind
        assert isinstance(model, Retrieving)
        if list(spec.loads) != sorted(set(spec.loads)):
            raise AnalysisError("recall.loads should ascend; sort them.")
        sizes = spec.units or (model.inputs,)
        overlaps = []
        for n in sizes:
            memory = type(model)(model.spec, n, n).double().eval()
            overlaps.append(torch.stack([self._overlap(memory, rule, n, load) for load in spec.loads]))
        overlap = torch.stack(overlaps)
        loads = overlap.new_tensor(spec.loads)
        capacities = torch.stack([crossing(loads, each, spec.threshold) for each in overlap])
        numbers = {"capacity": capacities[-1].mean(), "spread": capacities[-1].std(unbiased=False)}
        numbers |= {f"overlap/{load:g}": overlap[-1, at].mean() for at, load in enumerate(spec.loads)}
        numbers |= {f"capacity/{n}": each.mean() for n, each in zip(sizes, capacities, strict=True)}
        if len(sizes) > 1:
            x, y = overlap.new_tensor(sizes).log(), capacities.mean(1).clamp_min(1e-12).log()
            x = x - x.mean()
            numbers["exponent"] = spec.power + (x @ y) / (x @ x)
        arrays = {"overlap": overlap, "capacities": capacities, "loads": loads}
        return Found(numbers, {**arrays, "units": torch.tensor(sizes)})

    def _overlap(self, memory: Retrieving, rule: str, n: int, load: float) -> Tensor:
        """Mean overlap of what is recalled at one load, ``[draw]``."""
        spec = self.spec
        count = max(1, round(load * n**spec.power))
        if rule == "pseudo-inverse" and count > n:
            raise AnalysisError(
                f"a load of {load:g} is over the capacity of the pseudo-inverse: {count} patterns of {n} "
                "units. Give recall.loads up to 1."
            )
        if spec.draws * max(count * n, n * n) > MOST:
            raise AnalysisError(
                f"{count:,} patterns of {n} units, {spec.draws} times, are too many to hold at once. Give "
                "recall smaller loads, fewer draws or fewer units."
            )
        generator = torch.Generator().manual_seed(spec.seed + n)
        shape = (spec.draws, count, n)
        patterns = torch.where(torch.rand(shape, generator=generator) < 0.5, 1.0, -1.0).double()
        asked = patterns[:, : spec.cues]
        place = torch.rand(asked.shape, generator=generator).argsort(-1).argsort(-1)
        cues = torch.where(place < round(spec.corruption * n), -asked, asked)
        stored = vmap(lambda each: memory.store(rule, each, each))(patterns)

        def recall(tensors: dict[str, Tensor], cue: Tensor) -> Tensor:
            x = torch.cat([cue[:, None], cue.new_zeros(len(cue), spec.sweeps - 1, n)], 1)
            y: Tensor = functional_call(memory, tensors, (x,)).y[:, -1]
            return y

        return (vmap(recall)(stored, cues) * asked).mean((1, 2))

    def figure(self, finding: Finding) -> Figure:
        """Overlap after recall against the load, with the deviation over draws, for each size."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        for at, n in enumerate(finding["units"]):
            values = finding["overlap"][at]
            axes.errorbar(
                finding["loads"],
                values.mean(1),
                values.std(1),
                color=COLOURS[at % len(COLOURS)],
                marker=MARKERS[at % len(MARKERS)],
                markersize=3,
                linewidth=1.2,
                label=f"{n} units",
            )
        axes.axhline(self.spec.threshold, color=FAINT, linewidth=0.8, linestyle="--")
        power = "" if self.spec.power == 1 else f"^{self.spec.power}"
        axes.set(xlabel=f"patterns / units{power}", ylabel="overlap after recall", ylim=(0, 1.05))
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def crossing(loads: Tensor, overlap: Tensor, threshold: float) -> Tensor:
    """Load ``[draw]`` at which ``overlap`` ``[load, draw]`` first falls below the threshold."""
    below = (overlap < threshold).double()
    first = torch.where(below.any(0), below.argmax(0), len(loads))
    last = len(loads) - 1
    after, before = first.clamp_max(last), (first - 1).clamp_min(0)
    high, low = overlap.gather(0, before[None])[0], overlap.gather(0, after[None])[0]
    share = ((high - threshold) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    found = loads[before] + share * (loads[after] - loads[before])
    found = torch.where(first > last, loads[-1], found)
    return torch.where(first == 0, torch.zeros_like(found), found)
