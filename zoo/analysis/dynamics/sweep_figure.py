"""The figure of a sweep over delays and ranks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from zoo.analysis.figures import COLOURS, INK
from zoo.errors import GeometryWarning
from zoo.extras import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.analysis.dynamics.choosing import Criterion, Sweep


def sweep_figure(sweep: Sweep) -> Figure:
    """Delays down, ranks across: errors, and what the distances depend on; each criterion's choice framed."""
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    panels: dict[str, tuple[str, Criterion | None]] = {
        "aic": ("AIC per number", "aic"),
        "mase": ("MASE, fitted trials", "mase"),
        "held_out": ("MASE, held-out trials", "held_out"),
        "geometry": ("shift by stretching (W₂)", None),
    }
    rows, columns = sweep.aic.shape
    side = 0.5 * columns + 1.2, 0.34 * rows + 1.0
    figure: Figure = figures.Figure(figsize=(2 * side[0], 2 * side[1]), layout="constrained")
    for axes, (name, (title, criterion)) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        values = getattr(sweep, name)
        axes.imshow(values, cmap="viridis_r", aspect="auto", interpolation="nearest")
        low, high = np.nanmin(values), np.nanmax(values)
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            if np.isnan(value):
                continue
            dark = value - low > 0.6 * (high - low)
            seen = name == "geometry" and sweep.sees_geometry[row, column]
            text = f"{value:.2g}{'!' if seen else ''}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color="w" if dark else INK)
        axes.set_xticks(range(columns), map(str, sweep.ranks))
        axes.set_yticks(range(rows), map(str, sweep.delays))
        axes.set_xlabel("rank", fontsize=8, color=INK)
        axes.set_ylabel("delays", fontsize=8, color=INK)
        axes.set_title(title, fontsize=9, color=INK, loc="left")
        axes.tick_params(labelsize=8, length=0, labelcolor=INK)
        axes.spines[:].set_visible(False)
        if criterion is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", GeometryWarning)  # the fourth panel says it
                delays, rank = sweep.best(criterion)
            place = sweep.ranks.index(rank) - 0.5, sweep.delays.index(delays) - 0.5
            patches = need("matplotlib.patches", "viz", "Drawing a figure")
            axes.add_patch(patches.Rectangle(place, 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2))
    note = "framed: what each criterion chooses    !: distances would depend on geometry"
    figure.suptitle(note, x=0.01, ha="left", fontsize=8, color=INK)
    return figure
