"""Statistics of distance matrices: independent implementations, p values by hand and under the null."""

from __future__ import annotations

from itertools import permutations
from math import comb, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from zoo.analysis import statistics
from zoo.analysis.embedding import classical_scaling, embed
from zoo.analysis.statistics import (
    clusters,
    companions,
    mantel,
    permutation_test,
    population_distances,
    population_test,
    separation,
    silhouette,
)
from zoo.errors import AnalysisError

SQUARE = np.array([[0, 1, 4, 5], [1, 0, 4, 4], [4, 4, 0, 2], [5, 4, 2, 0]], dtype=float)
"""Two near pairs."""


def between(points: np.ndarray) -> np.ndarray:
    found = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return (found + found.T) / 2


def cloud(seed: int, count: int, dimensions: int = 4) -> np.ndarray:
    return between(np.random.default_rng(seed).normal(size=(count, dimensions)))


groupings = st.lists(st.integers(0, 3), min_size=4, max_size=14).filter(lambda g: 1 < len(set(g)) < len(g))

# Silhouettes ------------------------------------------------------------------------------------


@given(labels=groupings, seed=st.integers(0, 10**6))
def test_silhouettes_are_those_of_sklearn(labels, seed) -> None:
    values = cloud(seed, len(labels))
    expected = silhouette_samples(values, labels, metric="precomputed")
    np.testing.assert_allclose(silhouette(values, labels), expected, atol=1e-12)


def test_silhouettes_by_hand() -> None:
    # The first item: a = 1 to its neighbour, b = (4 + 5) / 2.
    expected = [1 - 1 / 4.5, 1 - 1 / 4, 1 - 2 / 4, 1 - 2 / 4.5]
    np.testing.assert_allclose(silhouette(SQUARE, "xxyy"), expected)
    assert (silhouette(SQUARE, "xxyz")[2:] == 0).all(), "alone in a group"
    assert (silhouette(np.zeros((4, 4)), "xxyy") == 0).all()


def test_separation_of_many_matrices_is_that_of_each() -> None:
    values, codes = np.stack([cloud(seed, 7) for seed in range(5)]), np.array([0, 1, 0, 2, 1, 1, 2])
    found = separation(values, codes)
    for number, matrix in enumerate(values):
        same = codes[:, None] == codes
        pairs = ~np.eye(7, dtype=bool)
        assert found["silhouette"][number] == pytest.approx(silhouette(matrix, codes.tolist()).mean())
        assert found["within"][number] == pytest.approx(matrix[same & pairs].mean())
        assert found["between"][number] == pytest.approx(matrix[~same].mean())


def test_companions() -> None:
    members, codes = companions(["b", "alone", "a", "b", "a"])
    assert (members.tolist(), codes.tolist()) == ([0, 2, 3, 4], [0, 1, 0, 1])
    for labels in (["a", "a", "b"], ["a", "b"], ["a", "a"]):
        assert not len(companions(labels)[0])


# Permutation tests ------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["silhouette", "between-within"])
def test_two_near_pairs_by_hand(statistic) -> None:
    """Of the six ways to halve four items, two part the near pairs: p = 2 / 6."""
    found = permutation_test(SQUARE, "xxyy", statistic)
    assert (found.exact, found.permutations) == (True, 6)
    assert found.p == pytest.approx(2 / 6)
    assert permutation_test(SQUARE, "xyxy", statistic).p > 0.5
    # x, x, y: of three labelings one has the near pair together.
    assert permutation_test(SQUARE[:3, :3], "xxy", statistic).p == pytest.approx(1 / 3)


def test_r_of_anosim_by_hand() -> None:
    # Ranks within: 1 and 2; between: 4, 4, 4 and 6. R = (4.5 - 1.5) / 3.
    found = permutation_test(SQUARE, "xxyy", "between-within")
    assert found.observed == pytest.approx(1)
    # With x, y, x, y, 4 and 4 within: (13 / 4 - 8 / 2) / 3; with x, y, y, x, 6 and 4: (11 / 4 - 10 / 2) / 3.
    assert permutation_test(SQUARE, "xyxy", "between-within").observed == pytest.approx(-0.25)
    assert permutation_test(SQUARE, "xyyx", "between-within").observed == pytest.approx(-0.75)
    assert found.quantiles[0.5] == pytest.approx(-0.25), "of 1, 1, -0.25, -0.25, -0.75, -0.75"


@pytest.mark.parametrize("statistic", ["silhouette", "between-within"])
def test_all_labelings_once(statistic) -> None:
    """Against every permutation of the labels, one by one."""
    values, labels = cloud(3, 7), [0, 0, 0, 1, 1, 2, 2]
    ranks = squareform(stats.rankdata(squareform(values)))

    def score(codes: tuple[int, ...]) -> float:
        if statistic == "silhouette":
            return float(silhouette_samples(values, codes, metric="precomputed").mean())
        same = np.equal.outer(codes, codes)[np.triu_indices(7, 1)]
        upper = ranks[np.triu_indices(7, 1)]
        return float((upper[~same].mean() - upper[same].mean()) / (len(upper) / 2))

    null = np.array([score(codes) for codes in sorted(set(permutations(labels)))])
    found = permutation_test(values, labels, statistic)
    assert (found.exact, found.permutations) == (True, len(null)) == (True, 210)
    assert found.observed == pytest.approx(score(tuple(labels)))
    assert found.p == pytest.approx((null >= found.observed - 1e-9).mean())
    for share, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(null, share))
    # Drawn at random, the p value is the same up to the error of a share of 9999 (five of them).
    drawn = permutation_test(values, labels, statistic, permutations=209)
    assert not drawn.exact
    assert abs(drawn.p - found.p) < 5 * sqrt(found.p * (1 - found.p) / 209) + 1 / 210


@pytest.mark.parametrize("statistic", ["silhouette", "between-within"])
def test_p_values_under_the_null_are_uniform(statistic) -> None:
    """By the inequality of Dvoretzky, Kiefer and Wolfowitz, with a chance of error of 1e-6."""
    labels, runs = [0] * 6 + [1] * 8, 300
    p = np.sort([permutation_test(cloud(s, 14), labels, statistic, 199, s).p for s in range(runs)])
    distance = np.abs(np.arange(1, runs + 1) / runs - p).max()
    assert distance < sqrt(log(2 / 1e-6) / (2 * runs)) + 1 / 200
    assert (p > 0).all()


def test_random_labelings_do_not_depend_on_the_block_and_follow_the_seed(monkeypatch) -> None:
    values, labels = cloud(0, 30), [0, 1, 2] * 10
    found = permutation_test(values, labels)
    assert (found.exact, found.permutations) == (False, 9999)
    assert round(found.p * 10_000) == pytest.approx(found.p * 10_000), "(1 + count) / (1 + permutations)"
    monkeypatch.setattr(statistics, "BLOCK", 1000)
    assert permutation_test(values, labels) == found
    assert permutation_test(values, labels, seed=1) != found


def test_groups_that_are_far_apart_have_the_smallest_p_there_is() -> None:
    labels = [0] * 12 + [1] * 12
    points = np.random.default_rng(0).normal(size=(24, 3)) + 20 * np.array(labels)[:, None]
    for statistic in ("silhouette", "between-within"):
        assert permutation_test(between(points), labels, statistic).p == pytest.approx(1 / 10_000)
    assert permutation_test(between(points), labels, "between-within").observed == 1


@given(labels=groupings, seed=st.integers(0, 10**6), scale=st.floats(1e-6, 1e6))
@settings(max_examples=40)
def test_order_names_and_unit_do_not_matter(labels, seed, scale) -> None:
    values, rng = cloud(seed, len(labels)), np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    renamed = [f"group {7 - label}" for label in np.array(labels)[order]]
    for statistic in ("silhouette", "between-within"):
        found = permutation_test(values, labels, statistic, permutations=1000)
        again = permutation_test(scale * values[np.ix_(order, order)], renamed, statistic, permutations=1000)
        assert again.observed == pytest.approx(found.observed, abs=1e-9)
        if found.exact:
            assert again.p == found.p


def test_the_callers_matrix_stays_as_it_is() -> None:
    values = cloud(0, 8)
    values.flags.writeable = False
    permutation_test(values, "aabbccdd", "between-within")
    mantel(values, values)
    population_distances(values, "aabbccdd", "wasserstein")
    clusters(values, 2)
    classical_scaling(values)


def test_a_test_says_what_it_found() -> None:
    assert str(permutation_test(SQUARE, "xxyy")) == "silhouette 0.6458, p = 0.333 (all 6 permutations)"


# Mantel -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_mantel_against_all_orders_one_by_one(correlation) -> None:
    first, second = cloud(0, 5), cloud(0, 5) + cloud(1, 5)
    upper = np.triu_indices(5, 1)
    score = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[correlation]
    null = np.array(
        [score(first[upper], second[np.ix_(o, o)][upper]).statistic for o in permutations(range(5))]
    )
    found = mantel(first, second, correlation)
    assert (found.exact, found.permutations) == (True, 120)
    assert found.observed == pytest.approx(null[0])
    assert found.p == pytest.approx((null >= null[0] - 1e-9).mean())


def test_mantel_of_related_and_unrelated_metrics() -> None:
    values = cloud(0, 20)
    same = mantel(values, values**3, "spearman")
    assert (same.observed, same.p) == (pytest.approx(1), pytest.approx(1 / 10_000))
    p = [mantel(values, cloud(seed, 20), permutations=199).p for seed in range(1, 101)]
    assert stats.kstest(p, "uniform").pvalue > 1e-4


# Populations ------------------------------------------------------------------------------------


def test_energy_distances_are_those_of_scipy() -> None:
    """On the line, scipy's is the square root of ours."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=5), rng.normal(size=8) + 1, rng.exponential(size=3)]
    labels = ["a"] * 5 + ["b"] * 8 + ["c"] * 3
    names, found = population_distances(between(np.concatenate(groups)[:, None]), labels)
    assert names == ("a", "b", "c")
    for i, a in enumerate(groups):
        for j, b in enumerate(groups):
            assert found[i, j] == pytest.approx(stats.energy_distance(a, b) ** 2, abs=1e-12)


def test_transport_between_populations_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4), rng.normal(size=7)
    _, found = population_distances(
        between(np.concatenate([a, b])[:, None]), ["a"] * 4 + ["b"] * 7, "wasserstein"
    )
    assert found[0, 1] == found[1, 0] == pytest.approx(stats.wasserstein_distance(a, b))
    assert (found.diagonal() == 0).all()


def test_linkage_is_the_mean_between() -> None:
    names, found = population_distances(SQUARE, "xyyx", "linkage")
    assert names == ("x", "y")
    np.testing.assert_allclose(found, [[0, (1 + 4 + 4 + 2) / 4], [(1 + 4 + 4 + 2) / 4, 0]])


@given(seed=st.integers(0, 10**6), labels=groupings)
def test_distances_of_populations_are_distances(seed, labels) -> None:
    values = cloud(seed, len(labels))
    for kind in ("energy", "linkage", "wasserstein"):
        _, found = population_distances(values, labels, kind)
        np.testing.assert_allclose(found, found.T, atol=1e-12)
        assert (found >= -1e-12).all()
        np.testing.assert_allclose(found.diagonal(), 0, atol=1e-12)
        if kind == "wasserstein":
            assert (found <= (found[:, :, None] + found[None]).min(1) + 1e-9).all()
    twice = np.kron(np.ones((2, 2)), values)  # each item once in either group
    for kind in ("energy", "wasserstein"):
        halves = population_distances(twice, ["a"] * len(labels) + ["b"] * len(labels), kind)[1]
        np.testing.assert_allclose(halves, 0, atol=1e-12)


@pytest.mark.parametrize("kind", ["energy", "linkage", "wasserstein"])
def test_populations_by_hand(kind) -> None:
    """Three and three on a line, apart: of 20 ways to part six, this one and its mirror are extreme."""
    points = np.array([0.0, 0.1, 0.3, 5.0, 5.2, 5.3])[:, None]
    labels = [*"xxxyyy", "z"]
    values = between(np.concatenate([points, [[99.0]]]))
    found = population_test(values, labels, ("y", "x"), kind)
    assert (found.exact, found.permutations, found.p) == (True, comb(6, 3), 2 / 20)
    assert found.observed == pytest.approx(population_distances(values, labels, kind)[1][0, 1])


def test_energy_of_populations_that_are_equal_and_that_differ() -> None:
    p = []
    for seed in range(200):
        values = cloud(seed, 13, 2)
        p.append(population_test(values, ["a"] * 6 + ["b"] * 7, ("a", "b"), permutations=2000).p)
    assert stats.kstest(p, "uniform").pvalue > 1e-4
    # Equal means and different spreads: linkage would not tell.
    points = np.random.default_rng(0).normal(size=(40, 2)) * np.repeat([1, 4], 20)[:, None]
    assert population_test(between(points), ["a"] * 20 + ["b"] * 20, ("a", "b")).p < 0.01


# Clusters and points ----------------------------------------------------------------------------


@pytest.mark.parametrize("linkage", ["average", "complete", "single"])
def test_clusters_are_those_of_scipy(linkage) -> None:
    values = cloud(5, 20)
    tree = hierarchy.linkage(squareform(values), linkage)
    for count in (1, 3, 20):
        found = clusters(values, count, linkage=linkage)
        assert adjusted_rand_score(hierarchy.cut_tree(tree, count)[:, 0], found.labels) == 1
        assert list(dict.fromkeys(found.labels.tolist())) == list(range(count)), "in order of appearance"
    np.testing.assert_array_equal(found.tree, tree)
    assert found.cophenetic == pytest.approx(hierarchy.cophenet(tree, squareform(values))[0])
    height = float(tree[-4:-2, 2].mean())
    assert adjusted_rand_score(
        clusters(values, height=height, linkage=linkage).labels, clusters(values, 4, linkage=linkage).labels
    ) == (1 if tree[-4, 2] < height else 0)


def test_clusters_of_two_and_of_equal_distances() -> None:
    pair = clusters(SQUARE[:2, :2], 2)
    assert pair.labels.tolist() == [0, 1]
    assert np.isnan(pair.cophenetic)
    equal = clusters(np.ones((4, 4)) - np.eye(4), 2)
    assert equal.labels.tolist() == [0, 0, 0, 0], "there is no way to tell two of them"
    assert np.isnan(equal.cophenetic)
    assert clusters(SQUARE, 2).labels.tolist() == [0, 0, 1, 1]
    assert clusters(SQUARE, height=0).labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dimensions", [1, 3, 7])
def test_classical_scaling_finds_points_again(dimensions) -> None:
    points = np.random.default_rng(0).normal(size=(12, 3)) * [3, 2, 1]
    points -= points.mean(0)
    values = between(points)
    found = classical_scaling(values, dimensions)
    inertia = np.zeros(12)
    inertia[:3] = np.linalg.svd(points, compute_uv=False) ** 2
    np.testing.assert_allclose(found.eigenvalues, inertia, atol=1e-9)
    assert found.share == pytest.approx(inertia[:dimensions].sum() / inertia.sum())
    assert found.points.shape == (12, dimensions)
    (
        np.testing.assert_allclose(np.square(found.points).sum(0), inertia[:dimensions], atol=1e-9),
        "principal axes",
    )
    if dimensions >= 3:
        np.testing.assert_allclose(between(found.points), values, atol=1e-9)
        found_points, stress = embed(values, dimensions)
        np.testing.assert_allclose(between(found_points), values, atol=1e-6)
        assert (found_points.shape, stress < 1e-6) == ((12, dimensions), True)


def test_scaling_of_what_is_not_euclidean() -> None:
    """Ends of a star: all 2 apart, and 1 from the centre, where no point of a flat space is."""
    star = 2.0 * (np.ones((5, 5)) - np.eye(5))
    star[0, 1:] = star[1:, 0] = 1
    found = classical_scaling(star, 3)
    assert found.eigenvalues[-1] < -0.1
    assert found.share == pytest.approx(1), "of what can be shown"
    equal = classical_scaling(np.zeros((3, 3)), 2)
    assert (equal.points == 0).all()
    assert equal.share == 1


# Refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda m: silhouette(m, "xxyy"),
        lambda m: permutation_test(m, "xxyy"),
        lambda m: mantel(m, SQUARE),
        lambda m: mantel(SQUARE, m),
        lambda m: clusters(m, 2),
        lambda m: population_distances(m, "xxyy"),
        lambda m: population_test(m, "xxyy", ("x", "y")),
    ],
)
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (SQUARE + np.nan, "finite"),
        (np.where(SQUARE > 4, np.inf, SQUARE), "finite"),
        (-SQUARE, "not negative"),
        (np.triu(SQUARE), "symmetric"),
        (SQUARE + 1, "zero on the diagonal"),
        (SQUARE[:3], r"shape \(3, 4\)"),
        (np.zeros((0, 0)), "shape"),
        (np.zeros(4), "shape"),
    ],
)
def test_no_matrix_of_distances(act, matrix, message) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(AnalysisError, match=message) as caught:
        act(matrix)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: silhouette(SQUARE, "xxxx"), "4 items with 1 different labels"),
        (lambda: permutation_test(SQUARE, "wxyz"), "4 items with 4 different labels"),
        (lambda: permutation_test(SQUARE[:2, :2], "xy"), "2 items with 2"),
        (lambda: permutation_test(SQUARE[:2, :2], "xx"), "2 items with 1"),
        (lambda: permutation_test(SQUARE, "xxy"), "3 labels for 4 items"),
        (lambda: permutation_test(SQUARE, "xxyy", "other"), "no statistic 'other'"),
        (lambda: permutation_test(SQUARE, "xxyy", permutations=0), "0 permutations"),
        (lambda: mantel(SQUARE, SQUARE[:3, :3]), "4 and 3 items"),
        (lambda: mantel(SQUARE[:2, :2], SQUARE[:2, :2]), "2 and 2 items"),
        (lambda: mantel(SQUARE, np.ones((4, 4)) - np.eye(4)), "all distances of a matrix are the same"),
        (lambda: mantel(SQUARE, np.zeros((4, 4))), "all distances of a matrix are the same"),
        (lambda: mantel(SQUARE, SQUARE, "kendall"), "no correlation 'kendall'"),
        (lambda: clusters(SQUARE), "one of the two"),
        (lambda: clusters(SQUARE, 2, 1.0), "one of the two"),
        (lambda: clusters(SQUARE, 5), "'count' from 1 to 4"),
        (lambda: clusters(SQUARE, 0), "'count' from 1 to 4"),
        (lambda: clusters(SQUARE, height=-1), "height -1"),
        (lambda: clusters(SQUARE, height=np.nan), "height nan"),
        (lambda: clusters(SQUARE, 2, linkage="ward"), "no linkage 'ward'"),
        (lambda: clusters(np.zeros((1, 1)), 1), "1 items"),
        (lambda: population_distances(SQUARE, "xxyy", "other"), "no distance 'other'"),
        (lambda: population_test(SQUARE, "xxyy", ("x", "z")), "no pair of groups"),
        (lambda: population_test(SQUARE, "xxyy", ("x", "x")), "no pair of groups"),
        (lambda: population_test(SQUARE, "xxyz", ("y", "z")), "2 items with 2"),
        (lambda: classical_scaling(SQUARE, 0), "0 dimensions"),
        (lambda: embed(SQUARE, 0), "0 dimensions"),
    ],
)
def test_refused(act, message) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        act()
    assert str(caught.value).endswith(".")


# As methods of a matrix -------------------------------------------------------------------------


def test_methods_of_a_distance_matrix(distances) -> None:
    matrix = distances(13, ("a", "b"), spread=0.1)
    alone = type(matrix)(
        matrix.names, matrix.values, ("alone", *matrix.labels[1:]), matrix.spec, matrix.origins, "m"
    )
    found = alone.permutation_test(permutations=99)
    assert found.observed == pytest.approx(alone.statistics()["silhouette"])
    assert found.p == pytest.approx(1 / 100)
    assert alone.population_distances()[0] == ("alone", "a", "b")
    assert adjusted_rand_score(matrix.clusters(2).labels, matrix.labels) == 1
    assert matrix.embed(3).shape == matrix.embed(3, "classical").shape == (13, 3)
    (
        np.testing.assert_allclose(matrix.embed(1, "classical"), matrix.embed(3, "classical")[:, :1]),
        "principal coordinates are nested",
    )
    with pytest.raises(AnalysisError, match="no scaling 'tsne'"):
        matrix.embed(2, "tsne")
    with pytest.raises(AnalysisError, match="no two groups of two"):
        distances(4).permutation_test()
