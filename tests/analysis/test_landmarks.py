"""Distances by way of landmarks: exact where they can be, certain where they claim to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.analysis.embedding import classical_scaling
from zoo.analysis.landmarks import LandmarkMap, landmarks, place
from zoo.errors import AnalysisError
from zoo.specs.analyses.geometry import CKASpec


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def mapped(matrix: np.ndarray, chosen: list[int]) -> LandmarkMap:
    names = tuple(f"net-{number}" for number in range(len(matrix)))
    return LandmarkMap(names, names, tuple(chosen), matrix[chosen], CKASpec(), "distance")


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_euclidean_distances_are_found_exactly(dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = distances(rng.normal(size=(40, dimensions)))
    found = mapped(matrix, rng.permutation(40)[: dimensions + 2].tolist())
    assert found.points().shape[1] == dimensions
    np.testing.assert_allclose(found.estimate(range(40)), matrix, atol=1e-6)
    assert found.points(6).shape == (40, 6)


def test_with_every_network_a_landmark_it_is_classical_scaling() -> None:
    rng = np.random.default_rng(0)
    matrix = distances(rng.normal(size=(12, 3)) * [3, 2, 1])
    np.testing.assert_allclose(
        np.abs(place(matrix, range(12), 2)), np.abs(classical_scaling(matrix, 2).points), atol=1e-9
    )


@given(st.integers(0, 2**32 - 1))
def test_bounds_are_certain_for_a_metric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = rng.uniform(0, 1, size=(25, 25))
    matrix = np.minimum(graph, graph.T)
    np.fill_diagonal(matrix, 0)
    for middle in range(25):  # shortest paths are a metric that no points in a plane have
        matrix = np.minimum(matrix, matrix[:, [middle]] + matrix[[middle]])
    found = mapped(matrix, [3, 7, 11, 2])
    lower, upper = found.bounds(range(25))
    assert (lower <= matrix + 1e-12).all()
    assert (upper >= matrix - 1e-12).all()
    np.testing.assert_allclose(lower[3], matrix[3], atol=1e-12)
    np.testing.assert_allclose(upper[:, 11], matrix[:, 11], atol=1e-12)
    estimate = found.estimate([0, 5], [1, 2, 3])
    assert ((lower[[0, 5]][:, 1:4] <= estimate) & (estimate <= upper[[0, 5]][:, 1:4])).all()


def nets(count: int = 9, **more: Any) -> dict[str, np.ndarray]:
    """States that are mixtures of two signals, so that they lie on a line."""
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(2, 6, 20, 5))
    return {f"net-{k}": np.cos(k / count) * one + np.sin(k / count) * two for k in range(count)} | more


@pytest.mark.parametrize("choose", ["farthest", "random"])
@pytest.mark.parametrize("metric", ["cka", "procrustes", "dsa"])
def test_rows_are_those_of_the_whole_matrix(metric: str, choose: Any) -> None:
    options = {"rank": 4, "delays": 3} if metric == "dsa" else {}
    whole = zoo.compare(nets(), metric, **options)
    found = landmarks(nets(), metric, 4, choose=choose, **options)
    assert len(set(found.landmarks)) == 4
    np.testing.assert_allclose(found.distances, whole.values[list(found.landmarks)], atol=1e-9)
    assert found.measure == whole.measure
    again = landmarks(nets(), metric, 4, choose=choose, **options)
    assert again.landmarks == found.landmarks


def test_each_landmark_is_the_farthest_from_those_before() -> None:
    found = landmarks(nets(), "cka", 5)
    for place_ in range(1, 5):
        nearest = found.distances[:place_].min(0)
        assert nearest[found.landmarks[place_]] == pytest.approx(nearest.max())


def test_the_nearest_of_a_network() -> None:
    found = landmarks(nets(12), "procrustes", 6)
    names = [name for name, _ in found.nearest("net-5", 2)]
    assert sorted(names) == ["net-4", "net-6"]
    assert len(found.nearest("net-0", 100)) == 11
    with pytest.raises(AnalysisError, match="Did you mean 'net-5'"):
        found.nearest("net-5x")


def test_twins_are_no_trouble() -> None:
    twins = nets(4, twin=nets(4)["net-0"], third=nets(4)["net-0"])
    found = landmarks(twins, "cka", 6)
    assert sorted(found.landmarks) == list(range(6))
    assert found.estimate([0])[0, 4] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [0, 1, 10])
def test_numbers_of_landmarks_that_cannot_be(count: int) -> None:
    with pytest.raises(AnalysisError, match="give 2 to 9"):
        landmarks(nets(), "cka", count)


def test_published_networks_are_run_once() -> None:
    first = landmarks("dsa-rnn-flipflop/*", "cka", 3, trials=4)
    assert first.names[0] == "dsa-rnn-flipflop/0"
    second = landmarks("dsa-rnn-flipflop/*", "cka", 3, trials=4)
    np.testing.assert_array_equal(first.distances, second.distances)
