"""The picture of a Lyapunov spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.extras import need
from zoo.specs.analyses.network import LyapunovSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEADING = 5


def lyapunov_figure(finding: Finding, spec: LyapunovSpec) -> Figure:
    """The exponents in their order, trial by trial, and the running mean of the leading ones."""
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    figure: Figure = figures.Figure(figsize=(8.2, 3.6), layout="constrained")
    order, course = figure.subplots(1, 2)
    rank = np.arange(1, len(finding["exponents"]) + 1)
    for trial in finding["trials"]:
        order.plot(rank, trial, color=FAINT, linewidth=0.6)
    order.plot(rank, finding["exponents"], "o-", color=COLOURS[0], markersize=3)
    order.set(xlabel="rank", ylabel="Lyapunov exponent")
    values = finding["course"]
    time = np.linspace(0, spec.steps * spec.dt, len(values) + 1)[1:]
    for k in range(min(LEADING, values.shape[1])):
        course.plot(time, values[:, k], color=COLOURS[k], linewidth=1.2, label=f"{k + 1}")
    course.set(xlabel="time", ylabel="mean up to then")
    course.legend(frameon=False, fontsize=8, title="rank")
    order.set_title(finding.name, color=INK, fontsize=10)
    for axes in (order, course):
        axes.axhline(0, color=FAINT, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
