"""The figure of a sweep: how its members learned, and what became of them over what varies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.figures import COLOURS, FAINT, GRID, INK, save
from zoo.errors import TrainingError
from zoo.extras import need
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.population import SEED
from zoo.sweeps.results import Finished, finished
from zoo.sweeps.trials import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 3.0
"""Side of a panel in inches."""
NAMED = 8
"""Up to so many values of a path stand side by side, with a legend; more numbers are on an axis."""
WIDE = 100.0
"""Ratio of the largest to the smallest from which an axis is logarithmic."""


def sweep_figure(experiment: ExperimentSpec, path: Path, metric: str = "test/loss") -> Path:
    """Write the figure of what is finished of a population; as PNG, SVG or PDF by the suffix.

    At the left the validation loss of every member over its training, coloured by the first path that
    varies. Beside it the metric over each path, and over each pair of neighbouring paths: the mean of all
    members there, or where a path has many numbers, as in a search, a point a member.

    Raises :class:`TrainingError` where nothing is finished or no member has the metric.
    """
    members = finished(experiment)
    if not members:
        raise TrainingError(f"{path.name} would be empty: no member is finished. Call the same sweep again.")
    for member in members:
        measured(member.result, metric)
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
    shade = _shade(members, paths[0] if paths else None)
    for path in paths:
        if _on_axis(members, path):
            _scatter(next(panels), members, path, metric, list(map(shade, members)))
        else:
            _points(next(panels), members, path, metric)
    for one, other in pairs:
        cloud = _on_axis(members, one) or _on_axis(members, other)
        (_cloud if cloud else _heat)(next(panels), members, one, other, metric)
    figure.suptitle(experiment.title or experiment.name, x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def _curves(axes: Axes, members: Sequence[Finished], path: str | None) -> None:
    """The validation loss of every member; a colour for each value of a path."""
    groups = _values(members, path) if path else [""]
    shade = _shade(members, path)
    for group in groups:
        own = [member for member in members if path is None or _text(member.varied[path]) == group]
        for number, member in enumerate(own):
            curve = member.result["curve"]
            axes.plot(
                curve["steps"],
                curve["values"]["validation/loss"],
                color=shade(member),
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
        own = _measured([member for member in members if _text(member.varied[path]) == value], metric)
        spread = np.linspace(-0.15, 0.15, len(own)) * (len(own) > 1)
        axes.scatter(place + spread, own, s=12, color=COLOURS[place % len(COLOURS)], linewidths=0)
        axes.hlines(own.mean(), place - 0.3, place + 0.3, color=INK, linewidth=1.2)
    _ticks(axes.xaxis, values, path)
    axes.set_xlim(-0.6, len(values) - 0.4)
    _style(axes, metric)


def _scatter(axes: Axes, members: Sequence[Finished], path: str, metric: str, colours: Sequence[Any]) -> None:
    """The metric of each member above a number, in the colour of its curve."""
    across, values = _numbers(members, path), _measured(members, metric)
    axes.scatter(across, values, s=12, c=colours)
    _scale(axes, "x", across)
    _scale(axes, "y", values)
    axes.set_xlabel(path, fontsize=8, color=INK)
    _style(axes, metric)


def _cloud(axes: Axes, members: Sequence[Finished], one: str, other: str, metric: str) -> None:
    """The metric of each member as a colour, where it lies in two paths."""
    for axis, path in (("x", other), ("y", one)):
        if _on_axis(members, path):
            _scale(axes, axis, _numbers(members, path))
            getattr(axes, f"set_{axis}label")(path, fontsize=8, color=INK)
        else:
            values = _values(members, path)
            _ticks(getattr(axes, f"{axis}axis"), values, path)
            getattr(axes, f"set_{axis}lim")(-0.6, len(values) - 0.4)
    across, down = _places(members, other), _places(members, one)
    _bar(axes, axes.scatter(across, down, s=14, c=_measured(members, metric), cmap="viridis"))
    _style(axes, metric)


def _heat(axes: Axes, members: Sequence[Finished], one: str, other: str, metric: str) -> None:
    """The mean of the metric at each place of a grid; empty where nothing is finished."""
    down, across = _values(members, one), _values(members, other)
    cells: dict[tuple[int, int], list[float]] = {}
    for member in members:
        place = down.index(_text(member.varied[one])), across.index(_text(member.varied[other]))
        cells.setdefault(place, []).extend(_measured([member], metric))
    means = np.full((len(down), len(across)), np.nan)
    for place, values in cells.items():
        means[place] = np.mean(values)
    image = axes.imshow(means, cmap="viridis", aspect="auto", interpolation="nearest")
    _ticks(axes.xaxis, across, other)
    _ticks(axes.yaxis, down, one)
    _style(axes, f"{metric}, mean")
    axes.grid(visible=False)
    _bar(axes, image)


def _bar(axes: Axes, image: Any) -> None:
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05)
    bar.ax.tick_params(labelsize=7, length=2, color=FAINT, labelcolor=INK)
    bar.outline.set_visible(False)


def _measured(members: Sequence[Finished], metric: str) -> np.ndarray:
    """The metric of each member; not a number where it was not finite."""
    values = [measured(member.result, metric) for member in members]
    return np.array([np.nan if value is None else value for value in values])


def _on_axis(members: Sequence[Finished], path: str) -> bool:
    """Whether a path has so many numbers that they are drawn where they lie."""
    numbers = all(_is_number(member.varied[path]) for member in members)
    return numbers and len(_values(members, path)) > NAMED


def _numbers(members: Sequence[Finished], path: str) -> np.ndarray:
    return np.array([float(member.varied[path]) for member in members])


def _places(members: Sequence[Finished], path: str) -> np.ndarray:
    """Where each member lies on the axis of a path."""
    if _on_axis(members, path):
        return _numbers(members, path)
    values = _values(members, path)
    return np.array([float(values.index(_text(member.varied[path]))) for member in members])


def _is_wide(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)]
    return len(known) > 0 and known.min() > 0 and known.max() >= WIDE * known.min()


def _scale(axes: Axes, axis: str, numbers: np.ndarray) -> None:
    if _is_wide(numbers):
        getattr(axes, f"set_{axis}scale")("log")
        axes.tick_params(axis=axis, which="minor", length=1, color=FAINT)  # type: ignore[arg-type]


def _shade(members: Sequence[Finished], path: str | None) -> Callable[[Finished], Any]:
    """The colour of a member by its value in a path: one of a few, or on a scale where there are many."""
    if path is None:
        return lambda member: COLOURS[0]
    if not _on_axis(members, path):
        groups = _values(members, path)
        return lambda member: COLOURS[groups.index(_text(member.varied[path])) % len(COLOURS)]
    numbers = _numbers(members, path)
    scale = np.log if _is_wide(numbers) else np.asarray
    low, high = scale(numbers.min()), scale(numbers.max())
    shades = need("matplotlib", "viz", "Drawing a figure").colormaps["viridis"]
    return lambda member: shades(float((scale(float(member.varied[path])) - low) / (high - low)))


def _values(members: Sequence[Finished], path: str) -> list[str]:
    """The values of a path as texts, in order: numbers by size, others as they come."""
    found = list({_text(member.varied[path]): member.varied[path] for member in members}.items())
    if all(_is_number(value) for _, value in found):
        found.sort(key=lambda item: item[1])
    return [text for text, _ in found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value)


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
