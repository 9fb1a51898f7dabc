"""fastDSA: its updates written out again, operators of the authors' code, and what descent cannot see."""

from __future__ import annotations

import dataclasses
import math
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from zoo.analysis.dynamics import fast_dsa
from zoo.analysis.dynamics.descent import Descent, Landing, Penalty, Riemannian, descend
from zoo.analysis.dynamics.fast_dsa import delay_operator
from zoo.analysis.dynamics.procrustes import align
from zoo.analysis.dynamics.ranks import automatic_delays
from zoo.errors import AnalysisError
from zoo.specs.analyses.dynamics import FastDSASpec

ONE_PAIR = torch.tensor([[0, 1]])
OPTIMIZERS: list[Descent] = [Penalty(), Landing(), Riemannian()]
NAMES = ["penalty", "landing", "riemannian"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_rotation(size: int, angle: float, seed: int = 1) -> Tensor:
    tangent = normal(size, size, seed=seed)
    return torch.linalg.matrix_exp(angle * (tangent - tangent.T) / size**0.5)


def triangular(size: int) -> Tensor:
    """Two operators with the same eigenvalues: one normal, the other not."""
    diagonal = torch.linspace(0.2, 0.95, size, dtype=torch.float64).diag()
    return torch.stack([diagonal, diagonal + 0.4 * torch.ones(size, size).triu(1)])


# Descent ----------------------------------------------------------------------------------------


def loss(a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
    return (a - turn @ b @ turn.T).square().sum()


def slope(a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
    turn = turn.clone().requires_grad_()
    return torch.autograd.grad(loss(a, b, turn), turn)[0]


def test_landing_is_the_update_of_the_paper() -> None:
    a, b = normal(2, 6, 6) / 5
    identity = torch.eye(6, dtype=torch.float64)
    turn, velocity = identity, torch.zeros_like(identity)
    for _ in range(20):
        tangent = slope(a, b, turn) @ turn.T
        velocity = 0.7 * velocity + 0.3 * (tangent - tangent.T) / 2
        turn = turn - 0.1 * (velocity @ turn + (turn @ turn.T - identity) @ turn)
    found = Landing(steps=20, learning_rate=0.1, momentum=0.7)(a[None], b[None], identity[None])
    torch.testing.assert_close(found[0], turn)


def test_riemannian_descends_on_the_canonical_stiefel_manifold() -> None:
    a, b = normal(2, 6, 6) / 5
    turn = identity = torch.eye(6, dtype=torch.float64)
    for _ in range(20):
        euclidean = slope(a, b, turn)
        step = 0.1 * (euclidean @ turn.T - turn @ euclidean.T) / 2
        turn = torch.linalg.inv(identity + step) @ (identity - step) @ turn
    found = Riemannian(steps=20, learning_rate=0.1)(a[None], b[None], identity[None])
    torch.testing.assert_close(found[0], turn)
    torch.testing.assert_close(found[0] @ found[0].T, identity)


def test_penalty_is_adam_on_the_penalised_loss() -> None:
    a, b = normal(2, 6, 6) / 5
    identity = torch.eye(6, dtype=torch.float64)
    turn = identity.clone().requires_grad_()
    adam = torch.optim.Adam([turn], lr=0.02)
    for _ in range(20):
        adam.zero_grad()
        (loss(a, b, turn) + 0.3 * (turn.T @ turn - identity).square().sum()).backward()
        adam.step()
    found = Penalty(steps=20, learning_rate=0.02, weight=0.3)(a[None], b[None], identity[None])
    torch.testing.assert_close(found[0], turn.detach())


@pytest.mark.parametrize("descent", OPTIMIZERS, ids=NAMES)
def test_near_conjugates_are_recognised(descent) -> None:
    a = normal(5, 10, 10)
    turn = small_rotation(10, 0.1)
    found = descend(torch.cat([a, 7.0 * turn @ a @ turn.T]), torch.arange(10).view(2, 5).T, descent)
    assert found.angle.max() < 1e-3


@pytest.mark.parametrize("descent", OPTIMIZERS, ids=NAMES)
def test_residuals_lie_above_their_bound_and_that_of_a_search(descent) -> None:
    operators, pairs = normal(6, 8, 8), torch.triu_indices(6, 6, 1).T
    found = descend(operators, pairs, descent)
    searched = align(operators, pairs, starts=24)
    torch.testing.assert_close(found.bound, searched.bound)
    assert (found.residual >= found.bound).all()
    assert (found.residual >= 0.999 * searched.residual).all()
    assert found.residual.mean() < 1.5 * searched.residual.mean()


@pytest.mark.parametrize("descent", OPTIMIZERS, ids=NAMES)
def test_eigenvalues_do_not_tell_what_operators_do(descent) -> None:
    operators = triangular(10)
    spectra = torch.linalg.eigvals(operators).real.sort(1).values
    assert (spectra[0] - spectra[1]).square().mean() < 1e-6
    found = descend(operators, ONE_PAIR, descent)
    assert found.angle.item() > 0.5
    assert found.angle.item() == pytest.approx(align(operators, ONE_PAIR).angle.item(), rel=0.01)


@pytest.mark.parametrize("descent", OPTIMIZERS, ids=NAMES)
def test_a_pair_has_one_distance_in_any_company(descent) -> None:
    operators = normal(5, 6, 6) * torch.arange(1, 6)[:, None, None]
    pairs = torch.triu_indices(5, 5, 1).T
    together = descend(operators, pairs, descent).residual
    torch.testing.assert_close(descend(operators, pairs.flip(1), descent).residual, together)
    alone = [descend(operators[pair], ONE_PAIR, descent).residual for pair in pairs]
    torch.testing.assert_close(torch.cat(alone), together)


@pytest.mark.parametrize("descent", OPTIMIZERS, ids=NAMES)
def test_size_does_not_matter_and_nothing_is_changed(descent) -> None:
    operators = normal(2, 5, 5)
    scaled = operators * torch.tensor([1e-120, 1e120], dtype=torch.float64)[:, None, None]
    before = scaled.clone()
    expected = descend(operators.flip(0), ONE_PAIR, descent).residual
    torch.testing.assert_close(descend(scaled, ONE_PAIR, descent).residual, expected)
    assert torch.equal(scaled, before)
    torch.testing.assert_close(descend(scaled * 0 + 1, ONE_PAIR, descent).residual, torch.zeros(1).double())


@pytest.mark.parametrize("descent", OPTIMIZERS, ids=NAMES)
def test_operators_that_differ_by_rounding_are_the_same(descent) -> None:
    """Adam follows the sign of a slope, however small."""
    a = normal(8, 8)
    found = descend(torch.stack([a, a + 1e-14 * normal(8, 8, seed=1)]), ONE_PAIR, descent)
    assert found.residual.item() < 1e-13


def test_a_descent_that_diverges_is_infinitely_far() -> None:
    operators = torch.cat([normal(2, 6, 6), normal(1, 6, 6).expand(2, -1, -1)])
    pairs = torch.tensor([[0, 1], [2, 3]])
    found = descend(operators, pairs, Landing(learning_rate=5.0))
    assert found.residual[0] == math.inf
    assert found.angle[0].isnan()
    assert not found.converged[0]
    assert found.residual[1] == 0, "where there is no slope there is no step"


def test_reflections_are_found_where_they_are_asked_for() -> None:
    a = normal(6, 6)
    mirror = torch.ones(6, dtype=torch.float64)
    mirror[2] = -1
    turn = small_rotation(6, 0.05) * mirror
    operators = torch.stack([a, turn @ a @ turn.T])
    for descent in OPTIMIZERS:
        assert descend(operators, ONE_PAIR, descent).angle.item() > 0.1
        assert descend(operators, ONE_PAIR, descent, reflections=True).angle.item() < 1e-3


@pytest.mark.parametrize(
    ("operators", "message"),
    [(torch.zeros(2, 3, 3), "operator 0 is zero"), (torch.ones(2, 3, 4), "shape")],
)
def test_what_cannot_be_aligned(operators, message) -> None:
    with pytest.raises(AnalysisError, match=message):
        descend(operators, ONE_PAIR, Landing())


# Operators --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authors() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("DSA.dmd")


@pytest.mark.parametrize(("delays", "interval", "rank"), [(4, 1, 10), (3, 4, 6), (6, 1, 30)])
def test_operators_are_those_of_the_authors_averaged(authors, rnn, delays, interval, rank) -> None:
    states = torch.from_numpy(rnn(0, trials=4, units=7))
    found = delay_operator(states, delays, interval, rank, 0.0, "a network")
    torch.set_default_dtype(torch.float64)  # which is what the authors' code computes in
    try:
        fits = [authors.DMD(each, delays, delay_interval=interval, rank=rank, lamb=0.0) for each in states]
        for fit in fits:
            fit.fit()
    finally:
        torch.set_default_dtype(torch.float32)
    expected = torch.stack([fit.A_havok_dmd for fit in fits]).mean(0)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


def test_trials_in_blocks(rnn, monkeypatch) -> None:
    states = torch.from_numpy(rnn(0, trials=5))
    expected = delay_operator(states, 3, 1, "hard-threshold", 1e-8, "a network")
    monkeypatch.setattr(fast_dsa, "BLOCK", 1)
    torch.testing.assert_close(delay_operator(states, 3, 1, "hard-threshold", 1e-8, "a network"), expected)


def test_the_hard_threshold_keeps_the_directions_of_a_noisy_system() -> None:
    """Two rotations seen through ten channels, with noise: four directions."""
    rng = np.random.default_rng(0)
    phase = np.arange(200)[:, None] * [0.3, 0.8] + rng.uniform(0, 6, (5, 1, 2))
    clean = np.concatenate([np.cos(phase), np.sin(phase)], -1) @ rng.normal(size=(4, 10))
    states = torch.from_numpy(clean + 0.02 * rng.normal(size=clean.shape))
    found = delay_operator(states, 2, 1, "hard-threshold", 1e-8, "a network")
    torch.testing.assert_close(found, delay_operator(states, 2, 1, 4, 1e-8, "a network"))
    assert torch.linalg.matrix_rank(found, atol=0.1) == 4
    turning = torch.linalg.eigvals(found).angle().abs()
    assert all((turning - speed).abs().min() < 1e-3 for speed in (0.3, 0.8))


def test_operators_that_cannot_be_had(rnn) -> None:
    states = torch.from_numpy(rnn(0, trials=4, steps=20))
    for arguments, message in (
        ((20, 1, 5), "at least 21 steps for 20 delays at interval 1; those of a network have 20"),
        ((8, 2, 6), "have 5 transitions for 6 delay coordinates"),
        ((1, 1, 9), "trial 0 have 8 directions"),
    ):
        with pytest.raises(AnalysisError, match=message) as caught:
            delay_operator(states, *arguments, 1e-8, "a network")
        assert str(caught.value).endswith(".")
    silent = states.clone()
    silent[2] = 0
    with pytest.raises(AnalysisError, match="trial 2 have 0 directions"):
        delay_operator(silent, 2, 1, 3, 1e-8, "a network")
    with pytest.raises(AnalysisError, match="no direction of a network that stands out"):
        delay_operator(normal(3, 200, 20), 1, 1, "hard-threshold", 1e-8, "a network")


# As a comparator --------------------------------------------------------------------------------


def test_shared_dynamics_are_nearer_than_others(comparator, wrap) -> None:
    """Three oscillators with two versions each, at three speeds, seen through the same channels."""
    rng = np.random.default_rng(0)
    seen, found = rng.normal(size=(2, 4)), []
    for speed in (0.2, 0.22, 0.5, 0.52, 1.0, 1.02):
        phase = speed * np.arange(150)[:, None] + rng.uniform(0, 6, (6, 1, 1))
        clean = np.concatenate([np.cos(phase), np.sin(phase)], -1) @ seen
        found.append(wrap(clean + 0.02 * rng.normal(size=clean.shape)))
    for optimizer in NAMES:
        values = comparator("fast-dsa", delays=2, optimizer=optimizer, steps=200).matrix(found)
        np.fill_diagonal(values, np.inf)
        assert values.argmin(1).tolist() == [1, 0, 3, 2, 5, 4]


def test_euclidean_scores_are_not_scaled(comparator, wrap, rnn) -> None:
    features, distances = [], []
    for score in ("angular", "euclidean"):
        metric = comparator("fast-dsa", delays=3, rank=6, score=score)
        features = [metric.features(wrap(rnn(seed))) for seed in (0, 7)]
        distances.append(metric.distance(*features))
    size = [float(feature.values["operator"].norm()) for feature in features]
    expected = math.sqrt(size[0] ** 2 + size[1] ** 2 - 2 * size[0] * size[1] * math.cos(distances[0]))
    assert distances[1] == pytest.approx(expected)


def test_measures_of_a_pair(comparator, wrap, rnn) -> None:
    metric = comparator("fast-dsa", delays=3, rank=6, steps=3)
    features = [metric.features(wrap(rnn(seed))) for seed in range(3)]
    found = metric.measures(features, np.array([[0, 2], [1, 2]]))
    assert set(found) == {"distance", "residual", "bound", "converged"}
    np.testing.assert_allclose(found["residual"], 2 * np.sin(found["distance"] / 2))
    assert not found["converged"].any()


def test_delays_that_the_data_choose(comparator, wrap, rnn) -> None:
    states = rnn(0, trials=3, steps=50)
    found = comparator("fast-dsa").features(wrap(states)).values
    delays = automatic_delays(torch.from_numpy(states))
    assert found["operator"].shape == (delays * 8, delays * 8)
    by_hand = comparator("fast-dsa", delays=delays).features(wrap(states)).values["operator"]
    torch.testing.assert_close(found["operator"], by_hand)


def test_other_delays_and_widths_are_refused(comparator, wrap, rnn) -> None:
    slow = np.sin(np.arange(200) / 8)[None, :, None] + 0.1 * np.random.default_rng(0).normal(size=(2, 200, 3))
    metric = comparator("fast-dsa")
    a, b = metric.features(wrap(slow, name="slow")), metric.features(wrap(slow[:, ::4], name="fast"))
    with pytest.raises(AnalysisError, match=r"'fast' has 17 delays, 'slow' has 51\. Set 'delays'"):
        metric.matrix([a, b])
    wide, narrow = wrap(rnn(0), name="wide"), wrap(rnn(0)[..., :3], name="narrow")
    with pytest.raises(AnalysisError, match=r"'narrow' has 3 units, 'wide' has 8\. Compare as many of each"):
        metric.matrix([wide, narrow])


def test_a_step_that_is_too_long_is_no_zero(comparator, wrap, rnn) -> None:
    metric = comparator("fast-dsa", delays=2, rank=5, learning_rate=20.0)
    with pytest.raises(AnalysisError, match="fast-dsa distance of 'a' and 'b' is not finite"):
        metric.matrix([wrap(rnn(0), name="a"), wrap(rnn(1), name="b")])


@pytest.mark.parametrize(("name", "descent"), list(zip(NAMES, OPTIMIZERS, strict=True)))
def test_defaults_are_those_of_the_optimizer(comparator, name, descent) -> None:
    assert comparator("fast-dsa", optimizer=name)._descent == descent
    faster = comparator("fast-dsa", optimizer=name, learning_rate=0.7, steps=9)._descent
    assert faster == dataclasses.replace(descent, learning_rate=0.7, steps=9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": 0.1}, "'weight' goes with the optimizer penalty"),
        ({"optimizer": "penalty", "momentum": 0.5}, "'momentum' goes with the optimizer landing"),
        ({"interval": 2}, "'interval' goes with a number of delays"),
        ({"momentum": 1.0}, "less than 1"),
        ({"learning_rate": 0.0}, "greater than 0"),
        ({"rank": "none"}, "hard-threshold"),
    ],
)
def test_fields_that_do_not_go_together(fields, message) -> None:
    with pytest.raises(ValidationError, match=message):
        FastDSASpec(**fields)
