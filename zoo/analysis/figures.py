"""The figure of a distance matrix. Matplotlib's objects only: no window, no global state."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.embedding import embed
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.placing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.analysis.matrix import DistanceMatrix

SUFFIXES = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which colour-blind readers can tell apart, and a grey and a brown.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B")
MARKERS = "osD^vPhX"
NAMED_ROWS, NAMED_POINTS = 130, 16
"""Up to so many networks the rows have names; and, where they form no groups, the points."""
PITCH, SMALLEST, LARGEST = 0.115, 3.3, 8.6
"""Height of a row, and of the heat map at least and at most, in inches."""
MAP = 4.6
"""Side of the map at most, in inches."""
LONGEST, BRIEF = 40, 26
"""Characters of a name that are shown: as a row, and at a point."""
INK, FAINT, GRID = "#222222", "#9A9A9A", "#ECECEC"


def save(draw: Callable[[], Figure], path: Path) -> Path:
    """Write a figure whole, in the format that the suffix names. Raises :class:`AnalysisError` on others."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise AnalysisError(f"no figure can be written as {path.name!r}: end it in {', '.join(SUFFIXES)}.")
    figure, buffer = draw(), io.BytesIO()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    figure.savefig(
        buffer, format=suffix[1:], dpi=200, metadata=metadata, bbox_inches="tight", pad_inches=0.08
    )
    return write_whole(path, buffer.getvalue())


def matrix_figure(matrix: DistanceMatrix, title: str = "", dendrogram: bool = True) -> Figure:
    """Clustered heat map (average linkage, leaves ordered so that neighbours are alike) and map.

    Rows and columns have the same order. Labels have a colour and a marker each, where at least one of
    them has two members.
    """
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    side = float(np.clip(PITCH * len(matrix), SMALLEST, LARGEST))
    beside = min(side, MAP)
    names = 0.075 * min(max(map(len, matrix.names)), LONGEST) if len(matrix) <= NAMED_ROWS else 0
    legend = 0.22 * -(-len(set(matrix.labels)) // 3)
    figure: Figure = figures.Figure(
        figsize=(
            side * (1.22 if dendrogram else 1.05) + names + beside + 1.2,
            max(side + 1.0, beside + legend + 0.9),
        ),
        layout="constrained",
    )
    heat, plane = figure.subplots(1, 2, width_ratios=(side, beside))
    for axes in (heat, plane):
        axes.set_box_aspect(1)
        axes.set_anchor("N")
    styles = label_styles(matrix.labels)
    order = _tree(heat, matrix.values, dendrogram)
    _heat(heat, matrix, order, 72 * side / len(matrix))
    if styles:
        colours = need("matplotlib.colors", "viz", "Drawing a figure")
        strip = heat.inset_axes((-0.028, 0, 0.018, 1))
        row_colours = [[colours.to_rgb(styles[matrix.labels[i]][0])] for i in order]
        strip.imshow(np.array(row_colours), aspect="auto", interpolation="nearest")
        strip.axis("off")
    _map(plane, matrix, styles, beside)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def label_styles(labels: tuple[str, ...]) -> dict[str, tuple[Any, str]]:
    """Label → colour and marker, in order of appearance; empty where labels tell nothing."""
    if max(Counter(labels).values()) < 2:
        return {}
    found = list(dict.fromkeys(labels))
    colours: list[Any] = list(COLOURS)
    if len(found) > len(COLOURS):
        maps = need("matplotlib", "viz", "Drawing a figure").colormaps
        chosen = (
            maps["tab20"].colors if len(found) <= 20 else maps["turbo"](np.linspace(0.02, 0.98, len(found)))
        )
        colours = [tuple(colour) for colour in chosen]
    return {label: (colours[i], MARKERS[i % len(MARKERS)]) for i, label in enumerate(found)}


def _tree(heat: Axes, values: np.ndarray, drawn: bool) -> np.ndarray:
    """The order of the rows from the top, with the dendrogram at the left of the heat map."""
    hierarchy = need("scipy.cluster.hierarchy", "analysis", "Clustering a distance matrix")
    if len(values) < 3:
        return np.arange(len(values))
    near = values[np.triu_indices(len(values), 1)]
    linkage = hierarchy.linkage(near, "average", optimal_ordering=True)
    tree = hierarchy.dendrogram(linkage, no_plot=True)
    if drawn:
        axes = heat.inset_axes((-0.19, 0, 0.15, 1))
        axes.axis("off")
        for height, place in zip(tree["dcoord"], tree["icoord"], strict=True):
            axes.plot(height, np.array(place) / 10 - 0.5, color=FAINT, linewidth=0.8, clip_on=False)
        axes.set_xlim(max(linkage[:, 2].max(), 1e-300), 0)
        axes.set_ylim(len(values) - 0.5, -0.5)
    return np.array(tree["leaves"])


def _heat(axes: Axes, matrix: DistanceMatrix, order: np.ndarray, pitch: float) -> None:
    """The heat map, its names, and the colour bar below it; ``pitch`` is the height of a row in points."""
    image = axes.imshow(
        matrix.values[np.ix_(order, order)], cmap="viridis", vmin=0, aspect="auto", interpolation="nearest"
    )
    named = len(order) <= NAMED_ROWS
    axes.yaxis.tick_right()
    axes.set_yticks(
        range(len(order)) if named else [], [_short(matrix.names[i]) for i in order] if named else []
    )
    axes.set_xticks([])
    axes.tick_params(length=0, pad=3, labelsize=float(np.clip(0.78 * pitch, 3.5, 9.0)), labelcolor=INK)
    axes.spines[:].set_visible(False)
    below = 0.12 / (pitch * len(order) / 72)
    bar = axes.figure.colorbar(
        image, cax=axes.inset_axes((0.0, -2 * below, 1.0, below)), orientation="horizontal"
    )
    bar.set_label(matrix.measure, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, length=2, color=FAINT, labelcolor=INK)
    bar.outline.set_visible(False)


def _map(axes: Axes, matrix: DistanceMatrix, styles: dict[str, tuple[Any, str]], side: float) -> None:
    """The plane of multidimensional scaling, ``side`` inches wide, with the legend of all colours below."""
    points, stress = embed(matrix.values)
    size = float(np.clip(900 / len(points), 26, 55))
    handles = []
    for label, (colour, marker) in (styles or {"": (COLOURS[0], "o")}).items():
        own = points[[not styles or other == label for other in matrix.labels]]
        handles.append(
            axes.scatter(
                own[:, 0],
                own[:, 1],
                s=size,
                color=colour,
                marker=marker,
                linewidths=0.5,
                edgecolors="white",
            )
        )
    centre, half = (points.max(0) + points.min(0)) / 2, max(np.ptp(points, axis=0).max() * 0.58, 1e-12)
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)
    if not styles and len(points) <= NAMED_POINTS:
        places = (points - centre + half) / (2 * half) * 72 * side
        _name_points(axes, matrix.names, points, places, 72 * side)
    axes.set_xlabel("MDS 1", fontsize=9, color=INK)
    axes.set_ylabel("MDS 2", fontsize=9, color=INK)
    axes.set_title(f"multidimensional scaling, stress {stress:.2g}", fontsize=9, color=INK, loc="left")
    axes.tick_params(labelsize=8, length=2, color=FAINT, labelcolor=INK)
    axes.locator_params(nbins=5)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_color(FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    if styles:
        longest = min(max(map(len, styles)), LONGEST)
        columns = int(np.clip(72 * side / (5 * longest + 26), 1, len(styles)))
        axes.legend(
            handles,
            list(map(_short, styles)),
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.42 / side),
            ncols=columns,
            frameon=False,
            fontsize=8.5,
            handletextpad=0.2,
            columnspacing=1.0,
            borderaxespad=0,
        )


def _name_points(
    axes: Axes, names: tuple[str, ...], points: np.ndarray, places: np.ndarray, side: float
) -> None:
    """A name beside each point, where it meets the fewest others.

    ``places`` are the points in units of 1/72 inch within axes that are ``side`` of these wide.
    """
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
    for name, point, (x, y) in zip(names, points, places, strict=True):
        width = 4.4 * min(len(name), BRIEF)
        boxes = {
            (dx, dy, align): (x + dx - share * width, y + dy, x + dx + (1 - share) * width, y + dy + 8)
            for dx, dy, align, share in (
                (5, -3, "left", 0.0),
                (-5, -3, "right", 1.0),
                (0, 6, "center", 0.5),
                (0, -12, "center", 0.5),
            )
        }

        def crowding(place: tuple[int, int, str], boxes: Any = boxes) -> float:
            left, low, right, high = boxes[place]
            met = sum(left < r and a < right and low < h and b < high for a, b, r, h in taken)
            return met + 2 * (left < 0 or right > side)

        best = min(boxes, key=crowding)
        taken.append(boxes[best])
        text = axes.annotate(
            _short(name, BRIEF),
            point,
            xytext=best[:2],
            textcoords="offset points",
            ha=best[2],
            fontsize=7.5,
            color=INK,
        )
        text.set_in_layout(False)  # a long name must not shrink the axes


def _short(name: str, longest: int = LONGEST) -> str:
    """A name that fits beside a figure, as plain text: a dollar sign would begin mathematics."""
    text = name if len(name) <= longest else f"{name[: longest // 2 - 1]}…{name[-longest // 2 :]}"
    return text.replace("$", r"\$")


def confusion_figure(labels: Sequence[str], counts: np.ndarray, title: str = "") -> Figure:
    """How many of each label (row) were taken for each (column), as shares of the row, with the counts."""
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    side = float(np.clip(0.45 * len(labels) + 1.8, SMALLEST, LARGEST))
    figure: Figure = figures.Figure(figsize=(side + 0.4, side), layout="constrained")
    axes = figure.subplots()
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= 20:
        for row, column in np.argwhere(counts).tolist():
            colour = "white" if shares[row, column] > 0.6 else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    shown = [label if len(label) <= BRIEF else label[: BRIEF - 1] + "…" for label in labels]
    axes.set_xticks(range(len(labels)), shown, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(labels)), shown, fontsize=8)
    axes.set(xlabel="nearest", ylabel="made of")
    axes.set_title(title, color=INK, fontsize=10)
    return figure
