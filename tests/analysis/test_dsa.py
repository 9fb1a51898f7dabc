"""Dynamical similarity analysis: known spectra, the authors' implementation, and its edges."""

from __future__ import annotations

import subprocess
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch

from zoo.analysis.dynamics import hankel
from zoo.analysis.dynamics.ranks import automatic_delays
from zoo.analysis.matrix import DistanceMatrix
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import DSASpec


@pytest.fixture(scope="module")
def authors() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("DSA")


@pytest.fixture
def double():
    """The authors' code computes in torch's default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def linear(eigenvalues: list[complex], trials: int, steps: int, units: int, seed: int = 0) -> np.ndarray:
    """Noise-free trajectories of a linear system with these eigenvalues and their conjugates, seen by
    ``units`` random projections."""
    rng = np.random.default_rng(seed)
    powers = np.array(eigenvalues)[None] ** np.arange(steps)[:, None]
    start = rng.normal(size=(trials, 1, len(eigenvalues))) + 1j * rng.normal(
        size=(trials, 1, len(eigenvalues))
    )
    modes = start * powers[None]
    return np.concatenate([modes.real, modes.imag], -1) @ rng.normal(size=(2 * len(eigenvalues), units))


def sort(values: torch.Tensor) -> np.ndarray:
    return np.sort_complex(np.round(values.numpy(), 9))


def test_eigenvalues_of_a_linear_system_are_recovered(comparator, wrap) -> None:
    true = [0.95 * np.exp(0.3j), 0.8 * np.exp(1.1j), 0.99 * np.exp(0.05j)]
    states = linear(true, trials=6, steps=40, units=4)  # fewer units than dimensions: delays make up for it
    expected = np.sort_complex(np.round([*true, *np.conj(true)], 9))
    for rank in (6, None):
        found = comparator("dsa", delays=3, rank=rank, ridge=0.0).features(wrap(states)).values["eigenvalues"]
        np.testing.assert_allclose(sort(found), expected, atol=1e-6)


def test_steps_between_trials_are_no_transitions(comparator, wrap) -> None:
    """Many short trials give the eigenvalues of a long one; joined end to end they would not."""
    true = [0.9 * np.exp(0.4j)]
    states = linear(true, trials=50, steps=5, units=2)
    metric = comparator("dsa", delays=2, rank=2, ridge=0.0)
    expected = np.sort_complex(np.round([true[0], np.conj(true[0])], 9))
    np.testing.assert_allclose(sort(metric.features(wrap(states)).values["eigenvalues"]), expected, atol=1e-7)
    joined = metric.features(wrap(states.reshape(1, 250, 2))).values["eigenvalues"]
    assert np.abs(sort(joined) - expected).max() > 0.05


def test_delay_vectors_have_the_newest_sample_first() -> None:
    states = torch.arange(12.0).reshape(1, 6, 2)
    rows = hankel.delay_vectors(states, delays=3, interval=2, rows=slice(0, 2))
    assert rows.tolist() == [[[8, 9, 4, 5, 0, 1], [10, 11, 6, 7, 2, 3]]]


@pytest.mark.parametrize("rank", [5, 15])
@pytest.mark.parametrize(("delays", "interval"), [(6, 1), (4, 3)])
def test_operator_and_score_against_the_authors(
    authors, double, comparator, wrap, rnn, rank, delays, interval
) -> None:
    states = [rnn(seed, trials=8) for seed in range(3)]
    theirs = []
    for each in states:
        model = authors.dmd.DMD(each, n_delays=delays, delay_interval=interval, rank=rank, lamb=1e-8)
        model.fit()
        theirs.append(model.A_v)
    metric = comparator("dsa", delays=delays, interval=interval, rank=rank, squared=True)
    ours = [metric.features(wrap(each)) for each in states]
    found = [features.values["eigenvalues"] for features in ours]
    for operator, eigenvalues in zip(theirs, found, strict=True):
        np.testing.assert_allclose(sort(torch.linalg.eigvals(operator)), sort(eigenvalues), atol=1e-8)
    score = authors.simdist.SimilarityTransformDist(score_method="wasserstein")
    values = metric.matrix(ours)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert values[i, j] == pytest.approx(float(score.fit_score(theirs[i], theirs[j])), rel=1e-7)
    root = comparator("dsa", delays=delays, interval=interval, rank=rank).matrix(ours)
    np.testing.assert_allclose(root**2, values)


def test_blocks_do_not_change_the_result(comparator, wrap, rnn, monkeypatch) -> None:
    states, metric = wrap(rnn(0, trials=5)), comparator("dsa", delays=4, rank=10)
    expected = sort(metric.features(states).values["eigenvalues"])
    for block in (1, 700, 5000):
        monkeypatch.setattr(hankel, "BLOCK", block)
        np.testing.assert_allclose(sort(metric.features(states).values["eigenvalues"]), expected, atol=1e-8)
    assert len(list(hankel._blocks(5, 57, 32))) == 3


@pytest.mark.parametrize(("rank", "noise"), [(12, 0.0), (40, 0.0), (12, 0.1), (40, 0.1)])
def test_few_directions_of_many_are_those_of_the_whole(rnn, monkeypatch, rank, noise) -> None:
    """Block Lanczos against QR and SVD of all delay vectors."""
    rng = np.random.default_rng(0)
    states = rnn(0, trials=8, steps=120, units=60)
    states = torch.from_numpy(states + noise * rng.normal(size=states.shape))
    assert hankel.FEW * (rank + hankel.SPARE) < 10 * 60
    found = hankel.hankel_operator(states, 10, 1, rank, 1e-8, "a network", 0.0)
    monkeypatch.setattr(hankel, "FEW", 10**9)
    expected = hankel.hankel_operator(states, 10, 1, rank, 1e-8, "a network", 0.0)
    np.testing.assert_allclose(found.abs(), expected.abs(), atol=1e-6)  # up to the signs of coordinates
    np.testing.assert_allclose(
        sort(torch.linalg.eigvals(found)), sort(torch.linalg.eigvals(expected)), atol=1e-7
    )


def test_few_directions_of_fewer_are_counted(comparator, wrap) -> None:
    system = linear([0.9 * np.exp(0.3j), 0.95 * np.exp(0.8j)], trials=8, steps=120, units=40)
    assert hankel.FEW * (15 + hankel.SPARE) < 10 * 40
    with pytest.raises(AnalysisError, match="have 4 directions"):
        comparator("dsa", delays=10).features(wrap(system))


MEMORY = """
import resource, sys, torch
from zoo.analysis.dynamics.hankel import hankel_operator
states = torch.randn(10, 400, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(1)
hankel_operator(states[:, :60], 4, 1, 10, 1e-8, "", 0.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
hankel_operator(states, int(sys.argv[1]), 1, 10, 1e-8, "", 0.0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_delays() -> None:
    """All delay vectors of 60 delays would take 164 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, "60"], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) < 60


@pytest.mark.parametrize(("delays", "rank"), [(4, 10), (4, None), (10, 12)])
def test_trials_of_different_lengths(comparator, wrap, rnn, delays, rank) -> None:
    """Padding adds nothing: the same as the regression over all transitions."""
    units = 60 if delays == 10 else 8
    whole = rnn(0, trials=6, steps=120, units=units)
    lengths = [120, 60, 100, 45, 80, 120]
    trials = [trial[:length] for trial, length in zip(whole, lengths, strict=True)]
    vectors = [np.lib.stride_tricks.sliding_window_view(t, delays, 0)[..., ::-1] for t in trials]
    rows = [v.transpose(0, 2, 1).reshape(len(v), -1) for v in vectors]
    u, size, _ = np.linalg.svd(np.concatenate(rows), full_matrices=False)
    u = u[:, : rank or int((size > size[0] * 1e-12).sum())]
    parts = np.split(u, np.cumsum([len(r) for r in rows])[:-1])
    old, new = (np.concatenate(x) for x in zip(*((p[:-1], p[1:]) for p in parts), strict=True))
    expected = torch.from_numpy(np.linalg.solve(old.T @ old + 1e-8 * np.eye(old.shape[1]), old.T @ new))
    found = comparator("dsa", delays=delays, rank=rank).features(wrap(trials)).values["eigenvalues"]
    np.testing.assert_allclose(sort(found), sort(torch.linalg.eigvals(expected)), atol=1e-7)


def test_a_trial_that_is_too_short_for_its_delays(comparator, wrap, rnn) -> None:
    trials = [rnn(0)[0], rnn(0)[1, :10]]
    with pytest.raises(AnalysisError, match=r"at least 11 steps.*'short' have 10"):
        comparator("dsa", delays=10, rank=3).features(wrap(trials, name="short"))
    with pytest.raises(AnalysisError, match=r"cka needs trials of one length.* have 10 to 60 steps"):
        comparator("cka").features(wrap(trials))
    with pytest.raises(AnalysisError, match="cannot be chosen automatically, as its trials differ"):
        comparator("dsa", delays="automatic").features(wrap(trials))


def test_delays_may_be_chosen_automatically(comparator, wrap, rnn) -> None:
    states = rnn(0, trials=20, steps=100)
    delays = automatic_delays(torch.from_numpy(states))
    chosen = comparator("dsa", delays="automatic", rank=8).features(wrap(states))
    set_by_hand = comparator("dsa", delays=delays, rank=8).features(wrap(states))
    assert torch.equal(chosen.values["eigenvalues"], set_by_hand.values["eigenvalues"])


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [
        ({"variance": 0.95}, {"rank_explained_variance": 0.95}),
        ({"above": 3.0}, {"rank_thresh": 3.0}),
        (None, {}),
    ],
)
def test_rules_for_the_rank_against_the_authors(authors, double, comparator, wrap, rnn, rule, theirs) -> None:
    states = rnn(0, trials=8)
    model = authors.dmd.DMD(states, n_delays=4, lamb=1e-8, **theirs)
    model.fit()
    found = comparator("dsa", delays=4, rank=rule).features(wrap(states)).values["eigenvalues"]
    np.testing.assert_allclose(sort(found), sort(torch.linalg.eigvals(model.A_v)), atol=1e-7)


@pytest.mark.parametrize("rank", [3, 5, 12])
def test_reduced_rank_regression_against_the_authors(authors, double, comparator, wrap, rnn, rank) -> None:
    """Theirs keeps all coordinates, and so adds eigenvalues of 0."""
    states = rnn(0, trials=8, units=20)
    model = authors.dmd.DMD(states, n_delays=1, lamb=1e-8, reduced_rank_reg=True, rank=rank)
    model.fit()
    metric = comparator("dsa", delays=1, rank=rank, regression="reduced-rank")
    found = metric.features(wrap(states)).values["eigenvalues"]
    expected = torch.linalg.eigvals(model.A_v)
    kept = expected[expected.abs().argsort(descending=True)[: len(found)]]
    assert expected.abs().sort(descending=True).values[len(found) :].max() < 1e-6
    np.testing.assert_allclose(sort(found), sort(kept), atol=1e-7)


def test_reduced_rank_is_refused_where_it_would_be_arbitrary(comparator, wrap, rnn) -> None:
    """Whatever was before is predicted exactly, so that no few of its directions are better than others."""
    metric = comparator("dsa", delays=4, rank=5, regression="reduced-rank")
    with pytest.raises(AnalysisError, match=r"rank 5 for 'x' would cut through .* equally well.* at least"):
        metric.features(wrap(rnn(0), name="x"))


def test_the_hard_threshold_finds_the_directions_above_noise(comparator, wrap) -> None:
    system = linear([0.97 * np.exp(0.3j), 0.95 * np.exp(0.8j)], trials=30, steps=40, units=40)
    noisy = system + 0.02 * system.std() * np.random.default_rng(0).normal(size=system.shape)
    metric = comparator("dsa", delays=1, rank="hard-threshold")
    assert len(metric.features(wrap(noisy)).values["eigenvalues"]) == 4
    noise = np.random.default_rng(0).normal(size=system.shape)
    with pytest.raises(AnalysisError, match=r"keeps nothing of 'noise'.* looks like noise"):
        metric.features(wrap(noise, name="noise"))


def test_more_delay_coordinates_than_rows(comparator, wrap, rnn) -> None:
    """A wide delay matrix: as many directions as rows."""
    states = rnn(0, trials=3, steps=14, units=8)  # 15 rows of 80 coordinates
    assert len(comparator("dsa", delays=10, rank=6).features(wrap(states)).values["eigenvalues"]) == 6
    with pytest.raises(AnalysisError, match=r"3 trials with 12 transitions for 15 delay coordinates"):
        comparator("dsa", delays=10, rank=None).features(wrap(states))


def test_single_precision_rounding_is_no_signal(comparator, wrap) -> None:
    """Without a rank, the directions of a noise-free system count, and not those of rounding."""
    states = linear([0.9 * np.exp(0.3j), 0.95 * np.exp(0.8j)], trials=8, steps=40, units=6)
    metric = comparator("dsa", delays=5, rank=None)
    assert len(metric.features(wrap(states)).values["eigenvalues"]) == 4
    assert len(metric.features(wrap(states.astype(np.float32))).values["eigenvalues"]) == 4


def test_refusals_name_the_network_and_what_to_change(comparator, wrap, rnn) -> None:
    states = wrap(rnn(0, steps=10), name="short")
    with pytest.raises(AnalysisError, match=r"at least 11 steps.*'short' have 10"):
        comparator("dsa", delays=10).features(states)
    with pytest.raises(AnalysisError, match=r"at least 14 steps for 5 delays at interval 3"):
        comparator("dsa", delays=5, interval=3).features(states)
    system = wrap(linear([0.9 * np.exp(0.3j)], trials=8, steps=40, units=6), name="simple")
    with pytest.raises(AnalysisError, match=r"rank 15 for 'simple'.* have 2 directions"):
        comparator("dsa").features(system)
    with pytest.raises(AnalysisError, match="too few samples"):
        comparator("dsa", delays=2, rank=9).features(wrap(rnn(0, trials=1, steps=10)))


def test_trials_and_steps_may_differ(comparator, wrap, rnn) -> None:
    metric = comparator("dsa", delays=4, rank=8)
    assert metric.distance(wrap(rnn(0, trials=5)), wrap(rnn(0, trials=7, steps=40, units=5))) > 0


def test_same_geometry_other_speed(comparator, wrap) -> None:
    """Two oscillators on one ellipse, which visit the same points at different speeds."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)[:, None]
    ellipse = np.array([[1.0, 0.0], [0.5, 2.0]])

    def orbit(cycles: int) -> np.ndarray:
        phase = angles + 2 * np.pi * cycles * np.arange(60) / 60
        return np.stack([np.cos(phase), np.sin(phase)], -1) @ ellipse

    slow, fast = orbit(1), orbit(3)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    metric = comparator("dsa", delays=3, rank=2, ridge=0.0)
    assert metric.distance(wrap(slow), wrap(slow @ rotation)) < 1e-7
    expected = 2 * np.sin(np.pi * 2 / 60)  # the chord between exp(2πi/60) and exp(6πi/60)
    assert metric.distance(wrap(slow), wrap(fast)) == pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope="module")
def three_systems() -> np.ndarray:
    """Activity ``[system, model, trial, time, unit]`` of a bistable system, a line attractor and a point
    attractor that open-loop inputs force onto the same condition averages (Galgali et al. 2023; Ostrow
    et al. 2023, second experiment, with fewer models and trials)."""
    models, trials, steps, dt, noise = 5, 20, 3000, 0.01, 0.05
    rng = np.random.default_rng(0)
    a, b, c = (rng.uniform(low, low + 1, models)[:, None] for low in (-5, 4, -4))
    skew, turn = np.array([[1, 0], [1, 1]]) / [[1], [2**0.5]], np.array([[1, -1], [1, 1]]) / 2**0.5
    line = [turn @ skew @ np.diag([0, rate]) @ np.linalg.inv(skew) for rate in rng.uniform(-3, -2, models)]
    point = [
        -np.diag(rates) for rates in zip(rng.uniform(4, 5, models), rng.uniform(8, 9, models), strict=True)
    ]
    matrices = np.swapaxes([line, point], -1, -2)
    drive = np.repeat([-0.1, 0.1], trials)
    state, states = np.zeros((3, models, 2 * trials, 2)), []

    def average(values: np.ndarray) -> np.ndarray:
        return values.reshape(*values.shape[:-2], 2, trials, 2).mean(-2)

    for step in range(steps):
        kick = dt * noise * rng.normal(size=state.shape)
        x, y = state[0, ..., 0], state[0, ..., 1]
        first = state[0] + dt * np.stack([a * x**3 + b * x + drive, c * y + drive], -1) + kick[0]
        means = average(state[1:])
        force = (average(first) - means) / dt - means @ matrices
        others = state[1:] + dt * (state[1:] @ matrices + np.repeat(force, trials, axis=2)) + kick[1:]
        state = np.concatenate([first[None], others])
        if step % 10 == 9:
            states.append(state)
    return np.stack(states, -2)


def test_three_systems_differ_in_dynamics_and_not_in_geometry(three_systems, comparator, wrap) -> None:
    kinds, models = three_systems.shape[:2]
    averages = three_systems.reshape(kinds, models, 2, 20, *three_systems.shape[-2:]).mean(3)
    np.testing.assert_allclose(averages[0], averages[1], atol=2e-3)

    def silhouette(metric: str, activity: np.ndarray, **fields: object) -> float:
        names = [f"{kind}-{model}" for kind in range(kinds) for model in range(models)]
        values = comparator(metric, **fields).matrix(
            [wrap(each) for each in activity.reshape(-1, *activity.shape[2:])]
        )
        spec = DSASpec()
        found = DistanceMatrix(tuple(names), values, tuple(n[0] for n in names), spec, tuple(names), metric)
        return found.statistics()["silhouette"]

    assert silhouette("dsa", three_systems, delays=20, squared=True) > 0.6
    assert silhouette("procrustes", averages) < 0.0


def test_a_distance_that_is_not_finite_is_no_zero(comparator, wrap, rnn) -> None:
    metric = comparator("dsa", delays=4, rank=8)
    good = metric.features(wrap(rnn(0), name="good"))
    bad = type(good)(
        {"eigenvalues": good.values["eigenvalues"] * float("nan")}, good.trials, good.steps, "bad"
    )
    with pytest.raises(AnalysisError, match="dsa distance of 'good' and 'bad' is not finite"):
        metric.matrix([good, bad])


def test_states_made_directly_are_checked_too(comparator) -> None:
    hostile = Trajectories(states=torch.full((2, 20, 3), float("nan")), name="hostile")
    with pytest.raises(AnalysisError, match="'hostile': they hold NaN"):
        comparator("dsa").features(hostile)
