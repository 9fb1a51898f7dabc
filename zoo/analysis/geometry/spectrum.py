"""The spectrum of the covariance of a network's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.geometry.samples import chosen
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.activity import SpectrumSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

ROUNDING = 1e-12
"""Share of the largest eigenvalue below which one is rounding."""


class Spectrum(Measurement[SpectrumSpec]):
    """Numbers: ``participation``, ``rankme``, ``effective-rank``, ``alpha`` (where ranks enough are there)
    with ``fit``, its R², and ``for-90`` and ``for-99``, components for so many per cent of the variance.
    Array: ``eigenvalues``."""

    version = 2

    def find(self, run: Trajectories, network: Network | None) -> Found:
        samples = run.states[chosen(run, self.spec)]
        if len(samples) < 2:
            raise AnalysisError(
                f"a spectrum needs two samples, and {calling(run.name)} gives {len(samples)}."
            )
        singular = torch.linalg.svdvals(samples - samples.mean(0))
        values = singular.square() / (len(samples) - 1)
        if float(values[0]) == 0:
            raise AnalysisError(f"the chosen samples of {calling(run.name)} are all the same.")
        share = singular / singular.sum()
        gathered = values.cumsum(0) / values.sum()
        numbers = {
            "participation": values.sum() ** 2 / values.square().sum(),
            "rankme": torch.special.entr(share).sum().exp(),
            "effective-rank": torch.special.entr(values / values.sum()).sum().exp(),
            "for-90": 1 + (gathered < 0.9).sum(),
            "for-99": 1 + (gathered < 0.99).sum(),
        }
        first, last = self.spec.ranks
        last = min(last, int((values > ROUNDING * values[0]).sum()))
        if last - first >= 2:
            rank = torch.arange(first, last + 1, dtype=values.dtype, device=values.device).log()
            log = values[first - 1 : last].log()
            slope = ((rank - rank.mean()) * (log - log.mean())).sum() / (rank - rank.mean()).square().sum()
            rest = log - log.mean() - slope * (rank - rank.mean())
            whole = (log - log.mean()).square().sum()
            numbers |= {"alpha": -slope, "fit": 1 - rest.square().sum() / whole if whole > 0 else 1.0}
        return Found(numbers, {"eigenvalues": values})

    def figure(self, finding: Finding) -> Figure:
        """Eigenvalues by rank on both logarithms, with the line of α."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.4, 3.6), layout="constrained")
        axes = figure.subplots()
        values = finding["eigenvalues"] / finding["eigenvalues"].sum()
        values = values[values > ROUNDING]
        axes.loglog(np.arange(1, len(values) + 1), values, "o-", color=COLOURS[0], markersize=3)
        if "alpha" in finding.numbers:
            first, last = self.spec.ranks
            rank = np.arange(first, min(last, len(values)) + 1)
            middle = np.exp(np.log(values[rank - 1]).mean() + finding.numbers["alpha"] * np.log(rank).mean())
            label = f"α = {finding.numbers['alpha']:.2f}"
            axes.loglog(rank, middle * rank ** -finding.numbers["alpha"], "--", color=FAINT, label=label)
            axes.legend(frameon=False, fontsize=8)
        axes.set(xlabel="rank", ylabel="share of the variance")
        ranks = range(1, len(values) + 1)
        shown = [k for k in ranks if len(ranks) < 10 or str(k).rstrip("0") in ("1", "2", "5")]
        axes.set_xticks(shown, [str(k) for k in shown])
        axes.set_xticks([], minor=True)
        axes.set_title(
            f"{finding.name}: participation {finding.numbers['participation']:.1f}", color=INK, fontsize=10
        )
        axes.spines[["top", "right"]].set_visible(False)
        return figure
