"""The figure of a sweep: how its members learned, and what became of them over the grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.figures import COLOURS, FAINT, GRID, INK, save
from zoo.errors import TrainingError
from zoo.extras import need
from zoo.registry import suggest
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps.results import Finished, finished

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 3.0
"""Side of a panel in inches."""
NAMED = 8
"""Up to so many groups the curves have a legend."""
SEED = "train.seed"


def sweep_figure(experiment: ExperimentSpec, path: Path, metric: str = "test/loss") -> Path:
    """Write the figure of what is finished of a population; as PNG, SVG or PDF by the suffix.

    At the left the validation loss of every member over its training, coloured by the first path of the
    grid. Beside it the metric over each path of the grid, and over each pair of neighbouring paths, as the
    mean of all members there.

    Raises :class:`TrainingError` where nothing is finished or no member has the metric.
    """
    members = finished(experiment)
    known = list(dict.fromkeys(name for member in members for name in member.result["metrics"]))
    if not members:
        raise TrainingError(f"{path.name} would be empty: no member is finished. Call the same sweep again.")
    if metric not in known:
        raise TrainingError(
            f"the members have no metric {metric!r}; they have {', '.join(known)}.{suggest(metric, known)}"
        )
    return save(lambda: _draw(experiment, members, metric), path)


def _draw(experiment: ExperimentSpec, members: Sequence[Finished], metric: str) -> Figure:
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    paths = [path for path in members[0].varied if path != SEED]
    pairs = list(itertools.pairwise(paths))
    count = 1 + len(paths) + len(pairs)
    figure: Figure = figures.Figure(figsize=(PANEL * count + 0.4, PANEL + 0.4), layout="constrained")
    panels = iter(figure.subplots(1, count, squeeze=False).flat)
    _curves(next(panels), members, paths[0] if paths else None)
    for path in paths:
        _points(next(panels), members, path, metric)
    for one, other in pairs:
        _heat(next(panels), members, one, other, metric)
    figure.suptitle(experiment.title or experiment.name, x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def _curves(axes: Axes, members: Sequence[Finished], path: str | None) -> None:
    """The validation loss of every member; a colour for each value of a path."""
    groups = _values(members, path) if path else [""]
    for place, group in enumerate(groups):
        own = [member for member in members if path is None or _text(member.varied[path]) == group]
        for number, member in enumerate(own):
            curve = member.result["curve"]
            axes.plot(
                curve["steps"],
                curve["values"]["validation/loss"],
                color=COLOURS[place % len(COLOURS)],
                linewidth=0.8,
                alpha=0.8,
                label=group if number == 0 else None,
            )
    axes.set_xlabel("step", fontsize=8, color=INK)
    _style(axes, "validation loss")
    if path and len(groups) <= NAMED:
        axes.legend(title=path, title_fontsize=7, frameon=False, fontsize=7)


def _points(axes: Axes, members: Sequence[Finished], path: str, metric: str) -> None:
    """The metric of each member above the value of a path, and the means."""
    values = _values(members, path)
    for place, value in enumerate(values):
        own = np.array(
            [member.result["metrics"][metric] for member in members if _text(member.varied[path]) == value]
        )
        spread = np.linspace(-0.15, 0.15, len(own)) * (len(own) > 1)
        axes.scatter(place + spread, own, s=12, color=COLOURS[place % len(COLOURS)], linewidths=0)
        axes.hlines(own.mean(), place - 0.3, place + 0.3, color=INK, linewidth=1.2)
    _ticks(axes.xaxis, values, path)
    axes.set_xlim(-0.6, len(values) - 0.4)
    _style(axes, metric)


def _heat(axes: Axes, members: Sequence[Finished], one: str, other: str, metric: str) -> None:
    """The mean of the metric at each place of a grid; empty where nothing is finished."""
    down, across = _values(members, one), _values(members, other)
    cells: dict[tuple[int, int], list[float]] = {}
    for member in members:
        place = down.index(_text(member.varied[one])), across.index(_text(member.varied[other]))
        cells.setdefault(place, []).append(member.result["metrics"][metric])
    means = np.full((len(down), len(across)), np.nan)
    for place, values in cells.items():
        means[place] = np.mean(values)
    image = axes.imshow(means, cmap="viridis", aspect="auto", interpolation="nearest")
    _ticks(axes.xaxis, across, other)
    _ticks(axes.yaxis, down, one)
    _style(axes, f"{metric}, mean")
    axes.grid(visible=False)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05)
    bar.ax.tick_params(labelsize=7, length=2, color=FAINT, labelcolor=INK)
    bar.outline.set_visible(False)


def _values(members: Sequence[Finished], path: str) -> list[str]:
    """The values of a path as texts, in order: numbers by size, others as they come."""
    found = list({_text(member.varied[path]): member.varied[path] for member in members}.items())
    if all(isinstance(value, int | float) for _, value in found):
        found.sort(key=lambda item: item[1])
    return [text for text, _ in found]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _ticks(axis: Any, values: Sequence[str], path: str) -> None:
    axis.set_ticks(range(len(values)), [value[:20] for value in values])
    axis.set_label_text(path, fontsize=8, color=INK)


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.tick_params(labelsize=7, length=2, color=FAINT, labelcolor=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_color(FAINT)
    axes.spines[["top", "right"]].set_visible(False)
