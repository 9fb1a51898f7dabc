"""Performance with some principal components of the activity, and without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.analyses.ablation import SpectralAblationSpec
from zoo.specs.analyses.base import ObservationSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class SpectralAblation(Measurement[SpectralAblationSpec]):
    """Numbers: the metric of the ``whole`` network, ``kept-k`` with the first k components alone,
    ``removed-k`` without them, and ``needed``, the fewest of the counts that suffice (the width of the
    activity where none does).

    Arrays: ``counts``, ``kept``, ``removed``; and ``variance``, the share that the first k hold.
    """

    requires = frozenset({"network"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, name = self.spec, calling(run.name)
        if spec.observe != ObservationSpec():
            raise AnalysisError(f"{spec.kind} runs the network on what is left of it: leave out 'observe'.")
        site = run.site
        if site in ("input", "output"):
            raise AnalysisError(f"{spec.kind} looks at what is inside a network, not at its {site}.")
        samples = run.states.double().flatten(0, 1)
        mean = samples.mean(0)
        _, sizes, axes = torch.linalg.svd(samples - mean, full_matrices=False)
        counts = [count for count in spec.counts if count <= len(mean)]
        if not counts:
            raise AnalysisError(
                f"the site {site!r} of {name} has {len(mean)} units, fewer than the smallest of 'counts'."
            )
        whole = self._score(network, None, site, name)
        kept, removed = [], []
        for count in counts:
            within = axes[:count].T @ axes[:count]
            kept.append(self._score(network, _through(within, mean), site, name))
            without = torch.eye(len(mean), dtype=within.dtype, device=within.device) - within
            removed.append(self._score(network, _through(without, mean), site, name))
        enough = [k for k, score in zip(counts, kept, strict=True) if abs(score - whole) <= spec.tolerance]
        numbers = {"whole": whole, "needed": float(min(enough, default=len(mean)))}
        numbers |= {f"kept-{count}": score for count, score in zip(counts, kept, strict=True)}
        numbers |= {f"removed-{count}": score for count, score in zip(counts, removed, strict=True)}
        shares = torch.cat([sizes.new_zeros(1), sizes.square().cumsum(0) / sizes.square().sum()])
        variance = shares[torch.tensor(counts).clamp_max(len(sizes))]
        arrays = {
            "counts": torch.tensor(counts),
            "kept": torch.tensor(kept),
            "removed": torch.tensor(removed),
            "variance": variance,
        }
        return Found(numbers, arrays)

    def _score(
        self, network: Network, change: Callable[[Tensor, int], Tensor] | None, site: str, name: str
    ) -> float:
        """The metric, with the values of a site changed."""
        spec = self.spec
        with network.model.intervene({} if change is None else {site: change}):
            found = network.measure(spec.split, spec.trials, spec.seed)
        metric = spec.metric or next((each for each in found if each != "loss"), "loss")
        if metric not in found:
            raise AnalysisError(
                f"the task of {name} has no metric {metric!r}.{suggest(metric, found)} "
                f"It has: {', '.join(found)}."
            )
        return float(found[metric].double().mean())

    def figure(self, finding: Finding) -> Figure:
        """The metric by the number of components."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.axhline(finding.numbers["whole"], color=FAINT, linewidth=1, label="the whole network")
        for number, (name, label) in enumerate(
            (("kept", "the first alone"), ("removed", "without the first"))
        ):
            axes.plot(
                finding["counts"], finding[name], "o-", color=COLOURS[number], markersize=4, label=label
            )
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="principal components", ylabel=self.spec.metric or "metric of the task")
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def _through(projection: Tensor, mean: Tensor) -> Callable[[Tensor, int], Tensor]:
    """A projection of what a site holds ``[batch, unit]``, about the mean."""

    def change(value: Tensor, _: int) -> Tensor:
        p, m = projection.to(value), mean.to(value)
        return m + (value - m) @ p

    return change
