"""Draws docs/memories.png: overlap after recall against the load, for each rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from zoo.analysis.figures import COLOURS, FAINT, MARKERS, save
from zoo.analysis.measure import analyse

LOADS = (0.03, 0.06, 0.1, 0.13, 0.16, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, 20.0, 30.0)
RULES = {
    "hopfield-hebb/0": "Hopfield, Hebb",
    "hopfield-pseudo-inverse/0": "Hopfield, pseudo-inverse",
    "dense-memory-3/0": "dense, degree 3",
    "dense-memory-4/0": "dense, degree 4",
}


def draw() -> Figure:
    """In memories of 100 units, five sets of random patterns at each load, recalled from 5% errors."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for at, (name, label) in enumerate(RULES.items()):
        loads = tuple(load for load in LOADS if load <= 1 or "pseudo" not in name)
        (finding,) = analyse([name], "recall", units=(100,), loads=loads, corruption=0.05).values()
        overlap = finding["overlap"][0]
        style: dict[str, Any] = {
            "color": COLOURS[at],
            "marker": MARKERS[at],
            "markersize": 3,
            "linewidth": 1.2,
        }
        axes.errorbar(loads, overlap.mean(1), overlap.std(1), label=label, **style)
    axes.axvline(0.138, color=FAINT, linewidth=0.8, linestyle="--")
    axes.set(xscale="log", xlabel="patterns a unit", ylabel="overlap after recall", ylim=(0, 1.05))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    print(save(draw, Path(__file__).parents[1] / "docs" / "memories.png"))
