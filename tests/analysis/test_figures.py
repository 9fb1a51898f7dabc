"""Figures are written, whole, in every format; and say what they show."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from zoo.analysis.matrix import DistanceMatrix
from zoo.errors import AnalysisError

LABELS = ("rnn", "gru", "lstm", "relu")


@pytest.mark.parametrize(
    ("count", "suffix", "magic"),
    [(count, ".png", b"\x89PNG") for count in (2, 3, 16, 60, 150)]
    + [(count, ".svg", b"<?xml") for count in (2, 16, 60)]
    + [(4, ".PDF", b"%PDF")],
)
def test_plots_are_written(distances, tmp_path, count, suffix, magic) -> None:
    path = distances(count, LABELS if count >= 8 else ()).plot(
        tmp_path / "new" / f"figure{suffix}", title="A title"
    )
    assert path.read_bytes().startswith(magic)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_other_suffixes_are_refused_before_anything_is_drawn(distances, tmp_path) -> None:
    for name in ("figure.jpg", "figure", "png"):
        with pytest.raises(AnalysisError, match=r"\.png, \.svg, \.pdf"):
            distances(4).plot(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_a_figure_shows(distances) -> None:
    matrix = distances(16, LABELS)
    figure = matrix.figure(title="All networks")
    heat, plane = figure.axes[:2]
    shown = [text.get_text() for text in heat.get_yticklabels()]
    assert sorted(shown) == sorted(matrix.names)
    order = [matrix.names.index(name) for name in shown]
    np.testing.assert_array_equal(heat.images[0].get_array(), matrix.values[np.ix_(order, order)])
    groups = [matrix.labels[i] for i in order]
    assert sum(a != b for a, b in itertools.pairwise(groups)) < 8, "neighbours are alike"
    assert [text.get_text() for text in plane.get_legend().get_texts()] == list(LABELS)
    assert any(axes.get_xlabel() == matrix.measure for axes in (*figure.axes, *heat.child_axes))
    assert figure.get_suptitle() == "All networks"


def test_labels_have_colours_of_their_own(distances) -> None:
    for count in (4, 8, 9, 20, 21, 40):
        labels = tuple(f"label-{i}" for i in range(count))
        plane = distances(2 * count, labels).figure().axes[1]
        looks = {
            (tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes()) for c in plane.collections
        }
        assert len(looks) == count


def test_names_are_text_whatever_they_hold(tmp_path, distances) -> None:
    names = (r"a$\frac{1}$b", "_x_" * 30, "<svg>&", "naïve")
    base = distances(4)
    matrix = DistanceMatrix(
        names, base.values, ("$x^$", "$x^$", "_hidden", "_hidden"), base.spec, base.origins, "m"
    )
    matrix.plot(tmp_path / "figure.svg")
    matrix.plot(tmp_path / "figure.png", dendrogram=False)
    legend = matrix.figure().axes[1].get_legend()
    assert len(legend.get_texts()) == 2, "a label that begins with an underscore is shown too"


def test_no_global_state_is_touched(distances, tmp_path) -> None:
    import matplotlib as mpl

    loaded, before = "matplotlib.pyplot" in sys.modules, dict(mpl.rcParams)
    distances(5).plot(tmp_path / "figure.png")
    assert dict(mpl.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_identical_networks_can_be_drawn(tmp_path, distances) -> None:
    base = distances(4)
    same = DistanceMatrix(base.names, np.zeros((4, 4)), base.labels, base.spec, base.origins, "m")
    assert same.plot(tmp_path / "figure.png").stat().st_size > 1000
