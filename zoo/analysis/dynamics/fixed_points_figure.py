"""The picture of fixed points: where they lie among the trajectories, and their eigenvalues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.analysis.figures import COLOURS, FAINT, GRID, INK
from zoo.analysis.finding import Finding
from zoo.extras import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fixed_points_figure(finding: Finding, tolerance: float) -> Figure:
    """Points in the principal plane of the trajectories, and in the complex plane their eigenvalues.

    Stable points are full, saddles are open with a colour for their unstable directions, slow points are
    small crosses.
    """
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    figure: Figure = figures.Figure(figsize=(8.6, 4.2), layout="constrained")
    plane, circle = figure.subplots(1, 2)
    for path in finding["paths"]:
        plane.plot(path[:, 0], path[:, 1], color=GRID, linewidth=0.7, zorder=1)
    where = (finding["points"] - finding["centre"]) @ finding["plane"].T
    fixed, unstable = finding["speeds"] <= tolerance, finding["unstable"]
    angle = np.linspace(0, 2 * np.pi, 200)
    circle.plot(np.cos(angle), np.sin(angle), color=FAINT, linewidth=0.8, zorder=1)
    groups = [("slow", ~fixed, "x", FAINT)]
    for count in np.unique(unstable[fixed]).tolist():
        label = "stable" if count == 0 else f"with {count} unstable direction{'s' * (count > 1)}"
        groups.append((label, fixed & (unstable == count), "o", COLOURS[count % len(COLOURS)]))
    for label, these, marker, colour in groups:
        if not these.any():
            continue
        inside = colour if label in ("stable", "slow") else "white"
        style = {"marker": marker, "s": 34 if marker == "o" else 12, "zorder": 3, "linewidths": 1.2}
        edge = {} if marker == "x" else {"edgecolors": colour}
        plane.scatter(
            where[these, 0], where[these, 1], c=inside, label=f"{these.sum()} {label}", **style, **edge
        )
        values = finding["eigenvalues"][these].ravel()
        circle.scatter(values.real, values.imag, s=7, color=colour, linewidths=0, alpha=0.7, zorder=2)
    plane.set(xlabel="first principal component", ylabel="second")
    plane.set_title(f"{finding.name}: points where it rests", color=INK, fontsize=10)
    plane.legend(frameon=False, fontsize=8, loc="best")
    circle.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    circle.set_title("eigenvalues of their Jacobians", color=INK, fontsize=10)
    for axes in (plane, circle):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
