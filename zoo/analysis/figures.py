"""The figure of a distance matrix. Matplotlib's objects only: no window, no global state."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.embedding import embed
from zoo.analysis.extras import need
from zoo.errors import AnalysisError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.analysis.matrix import DistanceMatrix

SUFFIXES = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which colour-blind readers can tell apart; markers repeat them beyond.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B")
MARKERS = "osD^vP*X"
NAMED_COLUMNS = 20
"""Up to so many networks the columns have names too."""
NAMED_POINTS = 20
"""Up to so many networks without groups their points carry names."""
NAMED_ROWS = 130
INK, FAINT = "#222222", "#9A9A9A"


def save(draw: Callable[[], Figure], path: Path) -> Path:
    """Write a figure whole, in the format that the suffix names. Raises :class:`AnalysisError` on others."""
    from zoo.analysis.matrix import write_whole

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise AnalysisError(f"no figure can be written as {path.name!r}: end it in {', '.join(SUFFIXES)}.")
    figure, buffer = draw(), io.BytesIO()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    figure.savefig(buffer, format=suffix[1:], dpi=200, metadata=metadata)
    return write_whole(path, buffer.getvalue())


def matrix_figure(matrix: DistanceMatrix, title: str = "", dendrogram: bool = True) -> Figure:
    """Clustered heat map (average linkage, leaves ordered so that neighbours are alike) and map.

    Each label has a colour and a marker, where at least one label has two members.
    """
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    count = len(matrix)
    side = float(np.clip(0.13 * count + 2.4, 3.4, 11.0))
    figure: Figure = figures.Figure(figsize=(2 * side + 2.6, side + 0.9), layout="constrained")
    styles = _styles(matrix.labels)
    tree_axes, heat_axes, map_axes = figure.subplots(
        1, 3, width_ratios=(0.14 if dendrogram else 0.001, 1, 0.95)
    )
    order = _tree(tree_axes, matrix.values, dendrogram)
    _heat(figure, heat_axes, matrix, order, styles, 72 * 0.8 * side / count)
    _map(map_axes, matrix, styles)
    if styles:
        _legend(figure, styles, side)
    figure.suptitle(title, fontsize=11, color=INK) if title else None
    return figure


def _styles(labels: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Label → colour and marker, in order of appearance; empty where labels tell nothing."""
    if max(Counter(labels).values()) < 2:
        return {}
    found = list(dict.fromkeys(labels))
    return {
        label: (COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)])
        for i, label in enumerate(found)
    }


def _tree(axes: Axes, values: np.ndarray, drawn: bool) -> np.ndarray:
    """The dendrogram at the left of the heat map, and the order of its leaves from the top."""
    hierarchy = need("scipy.cluster.hierarchy", "analysis", "Clustering a distance matrix")
    axes.axis("off")
    if len(values) < 3:
        return np.arange(len(values))
    near = values[np.triu_indices(len(values), 1)]
    linkage = hierarchy.linkage(near, "average", optimal_ordering=True)
    tree = hierarchy.dendrogram(linkage, no_plot=True)
    if drawn:
        for height, place in zip(tree["dcoord"], tree["icoord"], strict=True):
            axes.plot(height, np.array(place) / 10 - 0.5, color=FAINT, linewidth=0.7, clip_on=False)
        axes.set_xlim(max(linkage[:, 2].max(), 1e-300) * 1.02, 0)
        axes.set_ylim(len(values) - 0.5, -0.5)
    return np.array(tree["leaves"])


def _heat(
    figure: Figure,
    axes: Axes,
    matrix: DistanceMatrix,
    order: np.ndarray,
    styles: dict[str, Any],
    pitch: float,
) -> None:
    count = len(order)
    image = axes.imshow(
        matrix.values[np.ix_(order, order)],
        cmap="viridis",
        vmin=0,
        aspect="auto",
        interpolation="nearest",
        rasterized=True,
    )
    axes.set_box_aspect(1)
    size = float(np.clip(0.8 * pitch, 3.0, 9.0))
    names = [_short(matrix.names[i]) for i in order]
    axes.yaxis.tick_right()
    axes.set_yticks(range(count) if count <= NAMED_ROWS else [], names if count <= NAMED_ROWS else [])
    named = count <= NAMED_COLUMNS
    axes.set_xticks(range(count) if named else [], names if named else [])
    axes.tick_params(length=0, pad=2, labelsize=size, labelcolor=INK)
    axes.tick_params(axis="x", labelrotation=90)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if styles:
        for axis in (axes.xaxis, axes.yaxis):
            for text, i in zip(axis.get_ticklabels(), order, strict=False):
                text.set_color(styles[matrix.labels[i]][0])
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=30, pad=0.02)
    bar.set_label(matrix.measure, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, length=2, color=FAINT, labelcolor=INK)
    bar.outline.set_visible(False)


def _map(axes: Axes, matrix: DistanceMatrix, styles: dict[str, tuple[str, str]]) -> None:
    points, stress = embed(matrix.values)
    size = float(np.clip(900 / len(points), 14, 60))
    for label, (colour, marker) in (styles or {"": (COLOURS[0], "o")}).items():
        own = points[[not styles or other == label for other in matrix.labels]]
        axes.scatter(
            own[:, 0],
            own[:, 1],
            s=size,
            c=colour,
            marker=marker,
            linewidths=0.5,
            edgecolors="white",
            alpha=0.9,
        )
    if not styles and len(points) <= NAMED_POINTS:
        for name, point in zip(matrix.names, points, strict=True):
            axes.annotate(
                _short(name), point, xytext=(4, 4), textcoords="offset points", fontsize=7.5, color=INK
            )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_box_aspect(1)
    axes.margins(0.1)
    axes.set_xlabel("MDS 1", fontsize=9, color=INK)
    axes.set_ylabel("MDS 2", fontsize=9, color=INK)
    axes.set_title(f"metric MDS, stress {stress:.2g}", fontsize=9, color=INK, loc="left")
    axes.tick_params(labelsize=8, length=2, color=FAINT, labelcolor=INK)
    axes.locator_params(nbins=5)
    axes.grid(color="#ECECEC", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)


def _legend(figure: Figure, styles: dict[str, tuple[str, str]], side: float) -> None:
    lines = need("matplotlib.lines", "viz", "Drawing a figure")
    handles = [
        lines.Line2D([], [], linestyle="", marker=marker, color=colour, markersize=6, label=_short(label))
        for label, (colour, marker) in styles.items()
    ]
    columns = max(1, min(len(handles), int((2 * side + 2) / (0.5 + 0.075 * max(map(len, styles))))))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)


def _short(name: str, limit: int = 40) -> str:
    """A name that fits beside a figure, as plain text: a dollar sign would begin mathematics."""
    text = name if len(name) <= limit else f"{name[: limit // 2 - 1]}…{name[-limit // 2 :]}"
    return text.replace("$", r"\$")
