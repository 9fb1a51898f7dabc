"""CKA, Procrustes and RSA against independent implementations, and their edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from zoo.errors import AnalysisError


@pytest.fixture(scope="module")
def states(rnn) -> list[np.ndarray]:
    return [rnn(seed, units=units) for seed, units in ((0, 8), (1, 8), (2, 5), (3, 13))]


def _flat(states: np.ndarray) -> np.ndarray:
    return states.reshape(-1, states.shape[2])


def test_cka_against_repsim(states, comparator, wrap) -> None:
    repsim = pytest.importorskip("repsim")
    expected = np.arccos(repsim.cka([_flat(s) for s in states], kernel_type="linear", estimator="gretton"))
    found = comparator("cka").matrix([wrap(s) for s in states])
    upper = np.triu_indices(len(states), 1)
    np.testing.assert_allclose(found[upper], expected[upper], rtol=1e-9)


def test_procrustes_against_scipy(states, comparator, wrap) -> None:
    found = comparator("procrustes").matrix([wrap(s) for s in states])
    for i, j in zip(*np.triu_indices(len(states), 1), strict=True):
        width = max(states[i].shape[2], states[j].shape[2])
        a, b = (np.pad(_flat(s), ((0, 0), (0, width - s.shape[2]))) for s in (states[i], states[j]))
        a, b = a - a.mean(0), b - b.mean(0)
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        rotation, _ = scipy.linalg.orthogonal_procrustes(a, b)
        assert found[i, j] == pytest.approx(np.arccos(np.sum(a @ rotation * b)), rel=1e-9)


@pytest.mark.parametrize("comparison", ["spearman", "pearson", "cosine"])
@pytest.mark.parametrize("dissimilarity", ["correlation", "sqeuclidean", "euclidean"])
def test_rsa_against_rsatoolbox(states, comparator, wrap, dissimilarity, comparison) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rsatoolbox = pytest.importorskip("rsatoolbox")
        count = 60
        chosen = np.linspace(0, len(_flat(states[0])) - 1, count).round().astype(int)
        theirs = [rsatoolbox.data.Dataset(_flat(s)[chosen]) for s in states]
        method = "correlation" if dissimilarity == "correlation" else "euclidean"  # theirs is squared
        rdms = rsatoolbox.rdm.calc_rdm(theirs, method=method)
        if dissimilarity == "euclidean":
            rdms = rsatoolbox.rdm.RDMs(np.sqrt(rdms.get_vectors().clip(0)))
        method = {"spearman": "spearman", "pearson": "corr", "cosine": "cosine"}[comparison]
        expected = 1 - rsatoolbox.rdm.compare(rdms, rdms, method=method)
    metric = comparator("rsa", dissimilarity=dissimilarity, comparison=comparison, conditions=count)
    np.testing.assert_allclose(metric.matrix([wrap(s) for s in states]), expected, atol=1e-9)


def test_spearman_shares_ranks_of_ties(comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, size=(2, 1, 20, 4)).astype(float)  # many equal distances
    metric = comparator("rsa", dissimilarity="sqeuclidean")
    upper = np.triu_indices(20, 1)
    vectors = [((s[0][:, None] - s[0][None]) ** 2).sum(-1)[upper] for s in (a, b)]
    assert metric.distance(wrap(a), wrap(b)) == pytest.approx(
        1 - scipy.stats.spearmanr(*vectors)[0], abs=1e-12
    )


def test_rounding_breaks_no_ties(comparator, wrap) -> None:
    """Equal distances stay equal in rank where a rotation rounds them differently."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 2, size=(1, 40, 6)).astype(float)
    turned = corners @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert comparator("rsa", dissimilarity="euclidean").distance(wrap(corners), wrap(turned)) < 1e-12


def test_rsa_conditions_are_evenly_spaced_and_capped(comparator, wrap, rnn) -> None:
    states = rnn(0)
    assert comparator("rsa", conditions=7).features(wrap(states)).values["dissimilarities"].shape == (21,)
    count = states.shape[0] * states.shape[1]
    assert (
        len(comparator("rsa", conditions=10**6).features(wrap(states)).values["dissimilarities"])
        == count * (count - 1) // 2
    )


def test_rsa_says_when_correlations_are_undefined(comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2, 10, 4))
    states[0, 0] = 0
    with pytest.raises(AnalysisError, match=r"1 of 20 conditions of 'x' have the same value.*euclidean"):
        comparator("rsa").features(wrap(states, name="x"))
    assert comparator("rsa", dissimilarity="euclidean").features(wrap(states)).values[
        "dissimilarities"
    ].shape == (190,)
    with pytest.raises(AnalysisError, match="at least 3 conditions"):
        comparator("rsa", conditions=2).features(wrap(states))
    two_states = np.zeros((1, 2, 3))
    two_states[0, 1, 0] = 1
    with pytest.raises(AnalysisError, match="at least 3 conditions"):
        comparator("rsa", dissimilarity="euclidean").features(wrap(two_states))
    simplex = np.eye(4)[None]
    with pytest.raises(AnalysisError, match="equally dissimilar"):
        comparator("rsa", dissimilarity="euclidean").features(wrap(simplex))
    metric = comparator("rsa", dissimilarity="euclidean", comparison="cosine")
    assert metric.features(wrap(simplex)).values["dissimilarities"].norm() == 1


@pytest.mark.parametrize("kind", ["cka", "procrustes", "rsa"])
def test_samples_must_correspond(kind, comparator, wrap, rnn) -> None:
    a, b = wrap(rnn(0, trials=6), name="a"), wrap(rnn(1, trials=4), name="b")
    with pytest.raises(AnalysisError, match="'a' has 6 trials × 60 steps, 'b' has 4 × 60") as caught:
        comparator(kind).distance(a, b)
    assert "dsa" in str(caught.value)
    with pytest.raises(AnalysisError, match=r"6 trials × 60 steps.*has 6 × 30"):
        comparator(kind).distance(a, wrap(rnn(1, trials=6, steps=30)))


def test_far_apart_scales_do_not_overflow(comparator, wrap, rnn) -> None:
    a, b = rnn(0), rnn(1)
    for kind in ("cka", "procrustes"):
        expected = comparator(kind).distance(wrap(a), wrap(b))
        assert comparator(kind).distance(wrap(a * 1e200), wrap(b * 1e-200)) == pytest.approx(
            expected, rel=1e-9
        )
