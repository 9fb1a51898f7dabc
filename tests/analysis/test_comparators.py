"""Comparators of representations against other libraries, or formulas written out; and their edges."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import linalg
from scipy.spatial.distance import pdist, squareform

from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories


@pytest.fixture(scope="module")
def states(rnn) -> list[np.ndarray]:
    """Of different widths, not centred."""
    return [rnn(seed, trials=6, steps=20, units=units) + 0.5 for seed, units in ((0, 8), (1, 8), (2, 5))]


def flat(states: np.ndarray) -> np.ndarray:
    return states.reshape(-1, states.shape[2])


def check(metric, states, expected, **tolerance) -> None:
    """Every pair is as a function of two matrices, samples × units, says."""
    found = metric.matrix([Trajectories.wrap(each) for each in states])
    for i, j in zip(*np.triu_indices(len(states), 1), strict=True):
        value = expected(flat(states[i]), flat(states[j]))
        assert found[i, j] == pytest.approx(value, **{"rel": 1e-8, **tolerance})


# Centred kernel alignment -----------------------------------------------------------------------


def hsic_biased(K: np.ndarray, L: np.ndarray) -> float:
    centre = np.eye(len(K)) - 1 / len(K)
    return np.trace(K @ centre @ L @ centre)


def hsic_unbiased(K: np.ndarray, L: np.ndarray) -> float:
    """Song et al. (2012), equation 5."""
    n, ones = len(K), np.ones(len(K))
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    sums = (ones @ K @ ones) * (ones @ L @ ones) / ((n - 1) * (n - 2))
    return (np.trace(K @ L) + sums - 2 / (n - 2) * (ones @ K @ L @ ones)) / (n * (n - 3))


def gaussian(x: np.ndarray, bandwidth: float) -> np.ndarray:
    distances = pdist(x)
    squares = squareform(distances) ** 2
    middle = np.sort(distances)[(len(distances) - 1) // 2]  # the lower of two in the middle, as torch has it
    return np.exp(-squares / (2 * (bandwidth * middle) ** 2))


@pytest.mark.parametrize("bandwidth", [None, 1.0, 0.4])
@pytest.mark.parametrize(("estimator", "hsic"), [("biased", hsic_biased), ("unbiased", hsic_unbiased)])
def test_cka_against_its_definition(states, comparator, estimator, hsic, bandwidth) -> None:
    fields = {} if bandwidth is None else {"kernel": "rbf", "bandwidth": bandwidth}

    def expected(x: np.ndarray, y: np.ndarray) -> float:
        K, L = (each @ each.T if bandwidth is None else gaussian(each, bandwidth) for each in (x, y))
        return np.arccos(hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L)))

    check(comparator("cka", estimator=estimator, **fields), states, expected)


def test_only_the_unbiased_cka_tells_that_networks_are_unrelated(comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    nets = [wrap(rng.normal(size=(1, 60, 200))) for _ in range(12)]
    above = np.triu_indices(12, 1)
    plain = np.cos(comparator("cka").matrix(nets)[above])
    for fields in ({}, {"kernel": "rbf"}):
        fair = np.cos(comparator("cka", estimator="unbiased", **fields).matrix(nets)[above])
        assert abs(fair.mean()) < 0.005
        assert fair.min() < 0, "the angle may be above π/2"
    assert plain.mean() > 0.7, "few samples beside many units look alike"


def test_cka_takes_as_many_samples_as_it_is_told(comparator, wrap, rnn) -> None:
    a, b = rnn(0), rnn(1)
    chosen = np.linspace(0, 719, 100).round().astype(int)
    fewer = [wrap(flat(each)[None, chosen]) for each in (a, b)]
    for fields in ({}, {"kernel": "rbf"}):
        found = comparator("cka", samples=100, **fields).distance(wrap(a), wrap(b))
        assert found == comparator("cka", samples=10**6, **fields).distance(*fewer)
    default = comparator("cka", kernel="rbf").features(wrap(a)).values["gram"]
    assert default.shape == (500 * 501 // 2,)


def test_cka_that_is_not_defined(comparator, wrap, rnn) -> None:
    with pytest.raises(
        AnalysisError, match=r"unbiased cka needs at least 4 samples, and 'x' has 3\. Give more"
    ):
        comparator("cka", estimator="unbiased").features(wrap(rnn(0, trials=1, steps=3), name="x"))
    simplex = np.eye(5)[None]
    for fields in ({}, {"kernel": "rbf"}):
        with pytest.raises(AnalysisError, match="as far from each other"):
            comparator("cka", estimator="unbiased", **fields).features(wrap(simplex))
    late = np.zeros((1, 50, 2))
    late[0, 20] = 1
    with pytest.raises(AnalysisError, match="all the same"):
        comparator("cka", samples=5).features(wrap(late))
    with pytest.raises(ValidationError, match="goes with the kernel rbf"):
        comparator("cka", bandwidth=0.5)


# Canonical correlations -------------------------------------------------------------------------


def leading(x: np.ndarray, variance: float) -> np.ndarray:
    left, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    share = np.cumsum(values**2) / np.sum(values**2)
    return (left * values)[:, : 1 + np.searchsorted(share, variance)]


def canonical(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlations, and canonical directions of ``x``, from the eigenvalue problem."""
    x, y = x - x.mean(0), y - y.mean(0)
    sxy = x.T @ y
    squares, vectors = linalg.eig(linalg.solve(x.T @ x, sxy @ linalg.solve(y.T @ y, sxy.T)))
    order = np.argsort(-squares.real)[: min(x.shape[1], y.shape[1])]
    return np.sqrt(squares.real[order].clip(0)), x @ vectors.real[:, order]


@pytest.mark.parametrize("variance", [None, 0.8])
def test_cca_against_the_eigenvalue_problem(states, comparator, variance) -> None:
    kind = "cca" if variance is None else "svcca"
    fields = {} if variance is None else {"variance": variance}

    def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return canonical(*(each if variance is None else leading(each, variance) for each in (x, y)))[0]

    check(comparator(kind, **fields), states, lambda x, y: 1 - correlations(x, y).mean())
    squared = comparator(kind, summary="mean-square", **fields)
    check(squared, states, lambda x, y: 1 - (correlations(x, y) ** 2).mean())


def test_projection_weights_against_their_definition(states, comparator) -> None:
    def one_way(x: np.ndarray, y: np.ndarray) -> float:
        found, directions = canonical(x, y)
        directions = directions / np.linalg.norm(directions, axis=0)
        weights = np.abs(directions.T @ (x - x.mean(0))).sum(1)
        return weights @ found / weights.sum()

    metric = comparator("cca", summary="projection-weighted")
    check(metric, states, lambda x, y: 1 - (one_way(x, y) + one_way(y, x)) / 2)


def test_cca_refuses_what_would_correlate_anyway(comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    wide = wrap(rng.normal(size=(1, 40, 30)), name="wide")
    with pytest.raises(
        AnalysisError, match=r"30 directions in 40 samples.*at least 61 samples.*svcca"
    ) as caught:
        comparator("cca").features(wide)
    assert "'wide'" in str(caught.value)
    seen = {"components": 19}
    found = [wrap(rng.normal(size=(1, 40, 30))) for _ in range(2)]
    assert 0.1 < comparator("cca", observe=seen).distance(*found) < 0.9
    assert 0.1 < comparator("svcca", variance=0.5).distance(*found) < 0.9


def test_silent_directions_of_single_precision_are_no_directions(comparator, wrap) -> None:
    """Units that are sums of others differ from these sums by rounding only, which must not count."""
    rng = np.random.default_rng(0)
    few, mixture = rng.normal(size=(1, 200, 4)), rng.normal(size=(4, 12))
    double, single = wrap(few @ mixture), wrap((few @ mixture).astype(np.float32))
    for made in (double, single):
        assert comparator("cca").features(made).values["shape"].shape == (200, 4)
    assert comparator("cca").distance(double, single) < 1e-6


# Units ------------------------------------------------------------------------------------------


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]


@pytest.mark.parametrize("signed", [True, False])
def test_unit_matching_against_every_permutation(rnn, comparator, signed) -> None:
    def expected(x: np.ndarray, y: np.ndarray) -> float:
        r = correlations(x, y) if signed else np.abs(correlations(x, y))
        r = r if len(r) <= len(r.T) else r.T
        rows = np.arange(len(r))
        best = max(r[rows, list(order)].mean() for order in permutations(range(r.shape[1]), len(r)))
        return np.sqrt(2 * (1 - best))

    nets = [rnn(seed, trials=6, steps=20, units=units) for seed, units in ((0, 6), (1, 6), (2, 4))]
    check(comparator("unit-matching", signed=signed), nets, expected)


def test_soft_matching_against_pot(states, comparator) -> None:
    ot = pytest.importorskip("ot")

    def expected(x: np.ndarray, y: np.ndarray) -> float:
        units = [(each - each.mean(0)) / np.linalg.norm(each - each.mean(0), axis=0) for each in (x, y)]
        return np.sqrt(ot.emd2([], [], ot.dist(units[0].T, units[1].T)))

    check(comparator("unit-matching", matching="soft"), states, expected)
    same = [states[0], states[1]]
    hard, soft = (
        comparator("unit-matching", matching=m).matrix(map(Trajectories.wrap, same))
        for m in ("one-to-one", "soft")
    )
    np.testing.assert_allclose(hard, soft, rtol=1e-10)


def test_a_network_with_more_units_is_nearer_one_to_one_than_softly(comparator, wrap, rnn) -> None:
    states = rnn(0)
    more = wrap(np.concatenate([states, np.random.default_rng(0).normal(size=states.shape)], 2))
    assert comparator("unit-matching").distance(wrap(states), more) < 1e-7
    assert comparator("unit-matching", matching="soft").distance(wrap(states), more) > 0.5


# Linear predictivity ----------------------------------------------------------------------------


def folds_of(trials: int, steps: int, count: int) -> list[np.ndarray]:
    """Numbers of held-out samples: whole trials, or stretches of time."""
    samples = np.arange(trials * steps).reshape(trials, steps)
    if trials >= count:
        return [samples[k::count].ravel() for k in range(count)]
    return [part.ravel() for part in np.array_split(samples, count, axis=1)]


def predicted(x: np.ndarray, y: np.ndarray, folds, penalties) -> np.ndarray:
    """By scikit-learn's ridge, whose strength generalised cross-validation chooses."""
    from sklearn.linear_model import Ridge

    found = np.empty_like(y)
    for test in folds:
        train = np.setdiff1d(np.arange(len(x)), test)
        variance = np.square(x[train] - x[train].mean(0)).sum()
        spectrum = np.linalg.svd(x[train] - x[train].mean(0), compute_uv=False) ** 2
        scores, models = [], []
        for penalty in sorted(penalties):
            models.append(Ridge(penalty * variance, solver="svd").fit(x[train], y[train]))
            freedom = 1 + (spectrum / (spectrum + penalty * variance)).sum()
            rest = np.square(y[train] - models[-1].predict(x[train])).sum()
            scores.append(rest / (len(train) - freedom) ** 2)
        found[test] = models[int(np.argmin(scores))].predict(x[test])
    return found


@pytest.mark.parametrize("score", ["r2", "correlation"])
@pytest.mark.parametrize(("trials", "steps"), [(7, 9), (2, 40)])
@pytest.mark.parametrize("penalties", [(1e-3,), (1e-4, 1.0, 1e-2)])
def test_predictivity_against_scikit_learn(rnn, comparator, score, trials, steps, penalties) -> None:
    from sklearn.metrics import r2_score

    folds = folds_of(trials, steps, 5)
    nets = [rnn(s, trials, steps, units) + 0.3 for s, units in ((0, 8), (1, 8), (2, 5))]

    def one_way(x: np.ndarray, y: np.ndarray) -> float:
        guess = predicted(x, y, folds, penalties)
        if score == "r2":
            return r2_score(y, guess, multioutput="variance_weighted")
        return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(y.T, guess.T, strict=True)])

    metric = comparator("linear-predictivity", score=score, penalties=penalties)
    check(metric, nets, lambda x, y: max(0, 1 - (one_way(x, y) + one_way(y, x)) / 2), rel=1e-7)


def noisy(seed: int, noise: float, repeats: int = 6, conditions: int = 40) -> Trajectories:
    """Two dimensions of signal, the same in every network, seen by ten units in noise of their own."""
    signal = np.random.default_rng(0).normal(size=(conditions, 8, 2))
    rng = np.random.default_rng(1 + seed)
    which = rng.permutation(np.arange(conditions).repeat(repeats))
    states = (signal @ rng.normal(size=(2, 10)))[which]
    states = states + noise * rng.normal(size=states.shape)
    return replace(Trajectories.wrap(states, name="noisy"), latents={"condition": torch.from_numpy(which)})


@pytest.mark.parametrize("score", ["r2", "correlation"])
def test_noise_is_not_held_against_a_prediction(comparator, score) -> None:
    """What is there is predicted perfectly, whatever noise averages over repeats still have."""
    clean, seen = noisy(0, 0.0), [noisy(seed, 1.5) for seed in (1, 2)]
    fields = {"score": score, "repeats": "condition"}
    plain = comparator("linear-predictivity", score=score, observe={"average": "condition"})
    ceiling = comparator("linear-predictivity", **fields)
    assert ceiling.distance(clean, noisy(3, 0.0)) < 1e-6
    for each in seen:
        assert plain.distance(clean, each) > 0.03
        assert ceiling.distance(clean, each) < 0.35 * plain.distance(clean, each)
    reliable = ceiling.features(seen[0]).values["reliable"]
    of_unit = np.var(np.random.default_rng(0).normal(size=(40, 8, 2)) @ _map(1), axis=(0, 1))
    np.testing.assert_allclose(reliable, of_unit / (of_unit + 1.5**2 / 6), atol=0.06)


def _map(seed: int) -> np.ndarray:
    rng = np.random.default_rng(1 + seed)
    rng.permutation(np.arange(40).repeat(6))
    return rng.normal(size=(2, 10))


def test_predictivity_that_cannot_be_measured(comparator, wrap, rnn) -> None:
    metric = comparator("linear-predictivity")
    with pytest.raises(
        AnalysisError, match=r"holds out 5 parts in turn, and 'x' has 3 trials × 4 steps.*'folds'"
    ):
        metric.features(wrap(rnn(0, trials=3, steps=4), name="x"))
    assert metric.distance(wrap(rnn(0, trials=1)), wrap(rnn(1, trials=1))) > 0.01
    repeated = comparator("linear-predictivity", repeats="condition")
    with pytest.raises(AnalysisError, match="no latent 'condition'"):
        repeated.features(wrap(rnn(0)))
    run = noisy(0, 1.0, repeats=2)
    once = replace(run, latents={"condition": torch.arange(80) // 3})
    assert int(once.latents["condition"].bincount().min()) == 2
    once.latents["condition"][0] = 99
    with pytest.raises(AnalysisError, match=r"1 of 28 values of 'condition' occur in one trial"):
        repeated.features(once)
    with pytest.raises(AnalysisError, match="one value a trial"):
        repeated.features(replace(run, latents={"condition": torch.zeros(80, 8, dtype=torch.int64)}))
    against = np.random.default_rng(5).normal(size=(40, 8, 3)).repeat(2, 0)
    against[1::2] *= -1
    pure = replace(run, states=torch.from_numpy(against), latents={"condition": torch.arange(80) // 2})
    with pytest.raises(AnalysisError, match="do not agree in any unit"):
        repeated.features(pure)


def test_another_map_is_predicted_and_another_signal_is_not(comparator, wrap) -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(10, 30, 6))
    mapped, other = states @ rng.normal(size=(6, 9)), rng.normal(size=(10, 30, 6))
    for score in ("r2", "correlation"):
        metric = comparator("linear-predictivity", score=score)
        assert metric.distance(wrap(states), wrap(mapped)) < 1e-6
        assert metric.distance(wrap(states), wrap(other)) > 0.9
