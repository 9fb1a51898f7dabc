"""The figure of a study: a map of each comparison, or how far each label is from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.embedding import embed
from zoo.analysis.figures import COLOURS, FAINT, GRID, INK, MARKERS, label_styles, save
from zoo.extras import need
from zoo.studies.study import labels_in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.analysis.matrix import DistanceMatrix
    from zoo.studies.study import StudyResult

PANEL, ACROSS = 2.7, 4
"""Side of a panel in inches, and panels side by side."""
SHOWN = 8
"""Up to so many labels a panel has a legend."""


def study_figure(result: StudyResult, path: Path) -> Path:
    """Write the figure of a study; as PNG, SVG or PDF by the suffix.

    With a reference, each comparison's distances from it, label by label, as shares of the largest. Where
    networks are studied apart, each comparison's silhouettes. Else a map of each comparison by
    multidimensional scaling. Measurements are points, label by label; of calculations, the numbers that
    claims are about.
    """
    return save(lambda: _draw(result), path)


def _draw(result: StudyResult) -> Figure:
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    curves = result.study.references
    apart = not curves and result.study.apart is not None and bool(result.matrices)
    maps = {} if curves or apart else result.matrices
    numbers = sorted({name.rpartition("/")[0] for name in result.metrics if _is_measured(result, name)})
    calculated = _calculated(result)
    count = len(curves) + apart + len(maps) + len(numbers) + len(calculated)
    rows, columns = -(-count // ACROSS), min(count, ACROSS)
    figure: Figure = figures.Figure(
        figsize=(PANEL * columns + 0.4, (PANEL + 0.35) * rows + 0.5), layout="constrained"
    )
    panels = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for reference in curves:
        _curves(next(panels), result, reference)
    if apart:
        _silhouettes(next(panels), result)
    for key, matrix in maps.items():
        silhouette = result.metrics.get(f"{key}/silhouette", (None,))[0]
        _map(next(panels), key, matrix, "" if silhouette is None else f"silhouette {silhouette:.2f}")
    for name in numbers:
        _points(next(panels), name, result)
    for name, values in calculated.items():
        axes = next(panels)
        _strips(axes, values)
        _style(axes, name, "")
    for unused in panels:
        unused.set_visible(False)
    if result.study.title:
        figure.suptitle(result.study.title, x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def _is_measured(result: StudyResult, name: str) -> bool:
    return name.partition("/")[0] in result.study.measurements


def _calculated(result: StudyResult) -> dict[str, dict[str, list[float]]]:
    """Number → calculation → its values, one a draw, of the numbers that claims name, or of all."""
    claims = result.study.claims
    named = {name for claim in claims for name in (claim.metric, claim.minus, *claim.per) if name}
    keys = result.study.calculations
    found: dict[str, dict[str, list[float]]] = {}
    for metric, values in result.metrics.items():
        key, _, number = metric.partition("/")
        if key in keys and (metric in named or not named):
            found.setdefault(number, {})[key] = [value for value in values if value is not None]
    return found


def _silhouettes(axes: Axes, result: StudyResult) -> None:
    """One point a part of the study, and their mean."""
    found = {key: result.metrics.get(f"{key}/silhouette", ()) for key in result.study.comparisons}
    values = {key: [v for v in part if v is not None] for key, part in found.items()}
    _strips(axes, values)
    for place, part in enumerate(values.values()):
        if part:
            axes.hlines(np.mean(part), place - 0.3, place + 0.3, color=INK, linewidth=1.2)
    axes.set_ylim(top=1.0)
    _style(axes, f"one point for each {result.study.apart}", "silhouette")


def _curves(axes: Axes, result: StudyResult, reference: str) -> None:
    several = len(result.study.references) > 1
    for number, key in enumerate(result.study.comparisons):
        start = f"{key}/from/{reference}/to/" if several else f"{key}/to/"
        found = {
            name.removeprefix(start): [value for value in values if value is not None]
            for name, values in result.metrics.items()
            if name.startswith(start)
        }
        labels = labels_in_order([*found, reference])
        values = np.array([np.mean(found.get(label, (0.0,))) for label in labels])
        axes.plot(
            range(len(labels)),
            values / max(values.max(), 1e-300),
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linewidth=1.2,
            label=f"{key} (largest {values.max():.2g})",
        )
        turned: dict[str, Any] = (
            {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(labels) > 6 else {}
        )
        axes.set_xticks(range(len(labels)), labels, **turned)
    _style(axes, f"distance from {reference}", "share of the largest")
    axes.set_xlabel(result.study.label or "", fontsize=8, color=INK)
    axes.legend(frameon=False, fontsize=7)


def _map(axes: Axes, key: str, matrix: DistanceMatrix, note: str) -> None:
    points, _ = embed(matrix.values)
    order = labels_in_order(matrix.labels)
    styles = label_styles(tuple(order) * 2)
    for label in order:
        own = points[[other == label for other in matrix.labels]]
        colour, marker = styles[label]
        axes.scatter(own[:, 0], own[:, 1], s=22, color=colour, marker=marker, linewidths=0, label=label)
    _style(axes, key, "")
    axes.set_xlabel(f"{matrix.measure}\n{note}", fontsize=7, color=INK)
    axes.set_aspect("equal", "datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    if len(order) <= SHOWN:
        axes.legend(frameon=False, fontsize=6, handletextpad=0.1, borderaxespad=0.2)


def _points(axes: Axes, name: str, result: StudyResult) -> None:
    found = {
        key.rpartition("/")[2]: [value for value in values if value is not None]
        for key, values in result.metrics.items()
        if key.rpartition("/")[0] == name and _is_measured(result, key)
    }
    _strips(axes, {label: found[label] for label in labels_in_order(list(found))})
    _style(axes, name, "")


def _strips(axes: Axes, values: Mapping[str, Sequence[float]]) -> None:
    """Points above each name."""
    for place, part in enumerate(values.values()):
        spread = np.linspace(-0.15, 0.15, len(part)) * (len(part) > 1)
        axes.scatter(place + spread, part, s=16, color=COLOURS[place % len(COLOURS)], linewidths=0)
    axes.set_xticks(range(len(values)), list(values), rotation=20 if len(values) > 3 else 0)
    axes.set_xlim(-0.6, len(values) - 0.4)


def _style(axes: Axes, title: str, vertical: str) -> None:
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_ylabel(vertical, fontsize=8, color=INK)
    axes.tick_params(labelsize=7, length=2, color=FAINT, labelcolor=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_color(FAINT)
    axes.spines[["top", "right"]].set_visible(False)
