"""Distance matrices: what they refuse to be, their files, tables and statistics."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import zoo
from zoo.analysis.embedding import embed
from zoo.analysis.matrix import DistanceMatrix
from zoo.errors import AnalysisError
from zoo.specs.analyses.dynamics import DSASpec

VALUES = np.array([[0, 0.1, 1 / 3], [0.1, 0, 1e-17], [1 / 3, 1e-17, 0]])


def _matrix(names=("a", "b", "c"), values=VALUES, labels=("x", "x", "y"), spec=None) -> DistanceMatrix:
    return DistanceMatrix(
        tuple(names), values, tuple(labels), spec or DSASpec(), ("1" * 64, "2" * 64, "3" * 64), "DSA"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("a", "b")}, "2 names with 3 labels"),
        ({"labels": ("x",)}, "1 labels"),
        ({"names": ("a", "b", "a")}, "same name"),
        ({"values": VALUES + np.nan}, "finite"),
        ({"values": -VALUES}, "not negative"),
        ({"values": np.triu(VALUES)}, "symmetric"),
        ({"values": VALUES + 1}, "zero on the diagonal"),
        ({"values": VALUES[:2]}, "values"),
    ],
)
def test_no_distance_matrix(changes, message) -> None:
    with pytest.raises(AnalysisError, match=message):
        _matrix(**changes)


def test_values_are_the_matrix_own_and_read_only() -> None:
    values = VALUES.copy()
    matrix = _matrix(values=values)
    values[0, 1] = 9
    assert matrix.values[0, 1] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        matrix.values[0, 1] = 9


@given(names=st.lists(st.text(min_size=1), min_size=3, max_size=3, unique=True), data=st.data())
def test_files_bring_everything_back(tmp_path_factory, names, data) -> None:
    folder = tmp_path_factory.mktemp("files")
    upper = data.draw(st.lists(st.floats(0, 1e300), min_size=3, max_size=3))
    values = np.zeros((3, 3))
    values[np.triu_indices(3, 1)] = upper
    spec = DSASpec(delays=7, rank=None, order=1)
    matrix = _matrix(names=names, values=values + values.T, labels=names, spec=spec)
    back = DistanceMatrix.from_json(matrix.to_json(folder / "m.json"))
    assert (back.names, back.labels, back.spec, back.origins, back.measure) == (
        matrix.names,
        matrix.labels,
        matrix.spec,
        matrix.origins,
        matrix.measure,
    )
    np.testing.assert_array_equal(back.values, matrix.values)
    with matrix.to_csv(folder / "m.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["name", "label"]
    found = [cell[1:] if cell.startswith("'") else cell for cell in rows[0][2:]]
    assert found == list(names)
    assert [row[0] for row in rows[1:]] == rows[0][2:]
    np.testing.assert_array_equal(np.array([row[2:] for row in rows[1:]], dtype=float), matrix.values)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "'quoted"])
def test_no_cell_is_a_formula(tmp_path, name) -> None:
    text = _matrix(names=(name, "b", "c"), labels=(name, "x", "y")).to_csv(tmp_path / "m.csv").read_text()
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert cells.count(f"'{name}") == 3
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in cells)


def test_json_says_every_parameter_and_version(tmp_path) -> None:
    data = json.loads(_matrix().to_json(tmp_path / "new" / "m.json").read_text())
    assert data["spec"] == DSASpec().plain()
    assert {"delays", "interval", "rank", "ridge", "score", "order", "squared", "seed"} <= set(data["spec"])
    assert (data["zoo"], data["format"]) == (zoo.__version__, "distance-matrix/1")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "distance-matrix/2"}', '{"format": "distance-matrix/1"}', "nonsense"]
)
def test_other_files_are_refused(tmp_path, text) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(AnalysisError, match="cannot be read as a distance matrix"):
        DistanceMatrix.from_json(path)
    with pytest.raises(AnalysisError, match="cannot be read"):
        DistanceMatrix.from_json(tmp_path / "none.json")
    damaged = json.loads(_matrix().to_json(path).read_text())
    for key, value in (("spec", {"kind": "dsa", "delays": -1}), ("spec", {"kind": "no"}), ("values", [[1]])):
        path.write_text(json.dumps(damaged | {key: value}))
        with pytest.raises(AnalysisError, match="cannot be read"):
            DistanceMatrix.from_json(path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    path = _matrix().to_json(tmp_path / "m.json")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        _matrix(names=("d", "e", "f")).to_json(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.json"]


@pytest.mark.parametrize("count", [2, 4, 8, 9, 60])
def test_tables_have_a_row_a_network(distances, count) -> None:
    matrix = distances(count, ("gru", "[red]odd") if count > 2 else ())
    table = matrix.table()
    assert table.row_count == count
    console = Console(width=200, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    console.print(table)
    text = console.export_text()
    assert all(name in text for name in matrix.names), "names are no markup"
    assert matrix.measure in text
    console.file.close()


def test_statistics_tell_labels_apart(distances) -> None:
    apart = distances(16, ("rnn", "gru", "lstm", "relu"), spread=0.05).statistics()
    assert apart["decoding"] == 1
    assert apart["chance"] == 0.25
    assert apart["silhouette"] > 0.8
    assert apart["within"] < 0.3 < apart["between"]
    mixed = distances(16, ("rnn", "gru", "lstm", "relu"), spread=100.0).statistics()
    assert mixed["decoding"] < 0.6
    assert mixed["silhouette"] < 0.1


def test_decoding_does_not_depend_on_the_unit(distances) -> None:
    labels = ("rnn", "gru", "lstm")
    expected = distances(12, labels, spread=0.5).statistics()
    for scale in (1e-6, 1e6):
        found = distances(12, labels, spread=0.5, scale=scale).statistics()
        assert (found["decoding"], found["chance"]) == (expected["decoding"], expected["chance"])
        assert found["silhouette"] == pytest.approx(expected["silhouette"])
        assert found["between"] == pytest.approx(scale * expected["between"])


def test_within_and_between_are_means_over_pairs() -> None:
    values = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]], dtype=float)
    matrix = DistanceMatrix(tuple("abcd"), values, ("x", "x", "y", "y"), DSASpec(), tuple("1234"), "")
    found = matrix.statistics()
    assert found["within"] == pytest.approx((1 + 6) / 2)
    assert found["between"] == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_labels_that_tell_nothing_have_no_statistics(distances) -> None:
    assert distances(6).statistics() == {}
    assert distances(6, ("one",)).statistics() == {}
    assert _matrix().statistics() == {}  # x, x, y
    single = distances(9, ("a", "b"), spread=0.05)
    alone = DistanceMatrix(
        single.names, single.values, (*single.labels[:-1], "alone"), single.spec, single.origins, "m"
    )
    assert alone.statistics()["decoding"] == 1, "a label with one member is left out"


def test_identical_networks_have_statistics() -> None:
    matrix = DistanceMatrix(
        tuple("abcd"), np.zeros((4, 4)), ("x", "x", "y", "y"), DSASpec(), tuple("1234"), "m"
    )
    assert matrix.statistics()["between"] == 0
    assert np.isfinite(list(matrix.statistics().values())).all()


def test_points_of_a_plane_are_found_again() -> None:
    points = np.random.default_rng(0).normal(size=(20, 2)) * [3, 1]
    target = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found, stress = embed(target)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found[None], axis=-1), target, atol=1e-6)
    assert stress < 1e-6
    assert (found == embed(target)[0]).all(), "the same map every time"
    assert np.ptp(found[:, 0]) > np.ptp(found[:, 1])


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 3)), np.ones((2, 2)) - np.eye(2), np.kron(np.ones((2, 2)) - np.eye(2), np.ones((2, 2)))],
)
def test_maps_of_degenerate_matrices(values) -> None:
    points, stress = embed(values)
    assert points.shape == (len(values), 2)
    assert stress < 1e-6
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points[None], axis=-1), values, atol=1e-6)


def test_map_is_as_good_as_that_of_sklearn(distances) -> None:
    from sklearn.manifold import MDS

    values = distances(16, ("a", "b", "c")).values
    other = MDS(
        n_components=2, metric="precomputed", n_init=8, init="random", random_state=0, max_iter=1000, eps=1e-9
    )
    theirs = other.fit_transform(values)
    raw = np.square(np.linalg.norm(theirs[:, None] - theirs[None], axis=-1) - values).sum()
    ours = embed(values)[0]
    assert np.square(np.linalg.norm(ours[:, None] - ours[None], axis=-1) - values).sum() <= raw * 1.1


def test_details_of_pairs_come_back_too(tmp_path) -> None:
    table = np.full((3, 3), np.nan)
    table[np.triu_indices(3, 1)] = table.T[np.triu_indices(3, 1)] = [0.5, 0.25, 1 / 3]
    plain = _matrix()
    matrix = DistanceMatrix(
        plain.names, VALUES, plain.labels, plain.spec, plain.origins, "DSA", {"residual": table}
    )
    back = DistanceMatrix.from_json(matrix.to_json(tmp_path / "m.json"))
    np.testing.assert_array_equal(back.details["residual"], table)
    with pytest.raises(AnalysisError, match="details that are not"):
        DistanceMatrix(
            plain.names, VALUES, plain.labels, plain.spec, plain.origins, "DSA", {"residual": table[:2]}
        )
