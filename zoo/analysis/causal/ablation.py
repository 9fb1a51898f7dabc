"""What a site is needed for: the task without what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.causal.intervening import Passes, heat
from zoo.analysis.figures import COLOURS, FAINT, INK, MARKERS
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.causal import AblationSpec
from zoo.tasks.base import derive_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Ablation(Measurement[AblationSpec]):
    """Numbers: ``loss`` and the task's metrics as the network is, and ``<metric>/<site>`` of each site with
    the largest share of its units ablated at all times. Arrays: each of these, ``[site, window, share]``,
    the ``sites``, the ``edges`` of the windows, and the ``shares``."""

    requires = frozenset({"network"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, passes = self.spec, Passes(network, self.spec)
        numbers = passes.scores(passes.y, passes.batch)
        names = list(numbers)
        windows, shape = passes.windows(), (len(passes.sites), spec.windows, len(spec.shares))
        tables = {name: np.empty(shape) for name in names}
        for number, site in enumerate(passes.sites):
            values = self._instead(passes.held[site])
            for share, units in enumerate(self._units(passes, site)):
                for at, window in enumerate(windows):
                    scores = passes.scores(passes.put(site, values, window, units), passes.batch)
                    if at or len(windows) == 1:
                        for name in names:
                            tables[name][number, max(0, at - 1), share] = scores[name]
                    if not at and share == len(spec.shares) - 1:
                        numbers |= {f"{name}/{site}": scores[name] for name in names}
        arrays = {"sites": np.array(passes.sites), "edges": np.array(passes.edges)}
        return Found(numbers, {**tables, **arrays, "shares": np.array(spec.shares)})

    def _instead(self, held: Tensor) -> Tensor:
        match self.spec.by:
            case "zero":
                return torch.zeros_like(held)
            case "mean":
                return held.mean(0, keepdim=True).expand_as(held)
            case _:
                return held.roll(-1, 0)

    def _units(self, passes: Passes, site: str) -> list[Tensor]:
        """Which units are ablated at each share: so many of those that may be, and at least one."""
        allowed = passes.units(site)
        generator = torch.Generator().manual_seed(derive_seed("ablation", self.spec.seed, site))
        rank = torch.rand(len(allowed), generator=generator).to(allowed.device)
        rank = torch.where(allowed, rank, 2.0).argsort().argsort()
        count = int(allowed.sum())
        return [rank < max(1, round(share * count)) for share in self.spec.shares]

    def figure(self, finding: Finding) -> Figure:
        """The first metric, or the loss where there is none, by site or against the share of the units."""
        sites = [str(site) for site in finding["sites"]]
        name = next((n for n in finding.numbers if n != "loss" and "/" not in n), "loss")
        table, shares = finding[name], finding["shares"]
        if len(shares) == 1:
            return heat(table[:, :, 0], sites, finding["edges"], name, finding.name)
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.4), layout="constrained")
        axes: Any = figure.subplots()
        for at, site in enumerate(sites):
            style = {"color": COLOURS[at % len(COLOURS)], "marker": MARKERS[at % len(MARKERS)]}
            axes.plot(shares, table[at].mean(0), label=site, markersize=3, linewidth=1.2, **style)
        axes.axhline(finding.numbers[name], color=FAINT, linewidth=0.8, linestyle="--")
        axes.set(xlabel=f"share of the units ablated ({self.spec.by})", ylabel=name)
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure
