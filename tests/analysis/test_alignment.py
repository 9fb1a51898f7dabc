"""Procrustes over vector fields: what is known in closed form, the authors' code, and its edges."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zoo.analysis.dynamics import orthogonal, procrustes
from zoo.analysis.dynamics.hankel import hankel_operator
from zoo.analysis.dynamics.procrustes import align, align_all
from zoo.errors import AnalysisError, ConvergenceWarning

ONE_PAIR = torch.tensor([[0, 1]])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotations(count: int, size: int, seed: int = 1) -> Tensor:
    """From both components of O(n) in turn."""
    turn = torch.linalg.qr(normal(count, size, size, seed=seed)).Q
    turn[::2, :, 0] *= -1
    return turn


def unit(operators: Tensor) -> Tensor:
    return operators / operators.flatten(1).norm(dim=1)[:, None, None]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 20, 50])
def test_exactly_conjugate_operators_are_recognised(size: int) -> None:
    """The authors' code leaves 0.1 to 0.2 rad here."""
    count = 20 if size < 50 else 4
    a = normal(count, size, size)
    turn = rotations(count, size)
    b = turn.mT @ a @ turn * 3.0
    pairs = torch.arange(2 * count).view(2, count).T
    found = align(torch.cat([a, b]), pairs, rotations=True)
    assert found.angle.max() < 1e-9
    assert found.converged.all()
    assert found.rotation is not None
    assert len(torch.linalg.det(found.rotation).sign().unique()) == 2 or size % 2, "C and -C do the same"
    torch.testing.assert_close(
        found.rotation @ found.rotation.mT, torch.eye(size, dtype=torch.float64).expand(count, -1, -1)
    )
    torch.testing.assert_close(found.rotation @ b @ found.rotation.mT / 3, a, atol=1e-9, rtol=0)


def test_residuals_are_those_of_the_rotations() -> None:
    operators = normal(6, 7, 7)
    pairs = torch.triu_indices(6, 6, 1).T
    found = align(operators, pairs, rotations=True)
    assert found.rotation is not None
    a, b = unit(operators)[pairs[:, 0]], unit(operators)[pairs[:, 1]]
    moved = found.rotation @ b @ found.rotation.mT
    torch.testing.assert_close((a - moved).flatten(1).norm(dim=1), found.residual)
    torch.testing.assert_close(torch.arccos((a * moved).sum((1, 2))), found.angle)


def test_noise_on_a_conjugate_is_found_at_its_size() -> None:
    a, turn = unit(normal(8, 12, 12)), rotations(8, 12)
    for size in (1e-6, 1e-3, 0.05):
        noise = size * unit(normal(8, 12, 12, seed=2))
        found = align(torch.cat([a, turn @ (a + noise) @ turn.mT]), torch.arange(16).view(2, 8).T)
        assert (found.residual <= 1.01 * size).all()
        assert (found.residual >= 0.5 * size).all(), "some of the noise can be turned away, not most"


def test_symmetric_and_skew_operators_have_a_closed_form() -> None:
    """The bound is reached: sorted eigenvalues for symmetric ones, sorted rotation rates for skew ones."""
    for part in (orthogonal.symmetric, orthogonal.skew):
        operators = part(normal(10, 9, 9))
        found = align_all(operators)
        torch.testing.assert_close(found.residual, found.bound, atol=1e-5, rtol=1e-4)
    values = torch.linalg.eigvalsh(unit(orthogonal.symmetric(normal(2, 9, 9))))
    expected = (values[0] - values[1]).norm()
    found = align(orthogonal.symmetric(normal(2, 9, 9)), ONE_PAIR)
    assert found.residual.item() == pytest.approx(expected.item(), rel=1e-4)


def test_what_no_rotation_changes() -> None:
    """Multiples of the identity, and operators that differ only by one."""
    identity = torch.eye(4, dtype=torch.float64)
    found = align_all(torch.stack([identity, 2 * identity, -identity]))
    torch.testing.assert_close(found.residual, torch.tensor([0.0, 2.0, 2.0], dtype=torch.float64))
    assert found.angle[1].item() == pytest.approx(math.pi)


@given(seed=st.integers(0, 10**6), size=st.integers(2, 8), count=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_no_residual_is_below_its_bound(seed: int, size: int, count: int) -> None:
    found = align_all(normal(count, size, size, seed=seed))
    assert (found.bound <= found.residual + 1e-12).all()
    assert (found.residual <= 2).all()
    assert torch.isfinite(found.residual).all()


def recurrent(count: int, rank: int) -> Tensor:
    """Delay operators of chaotic networks, where the landscape is flat and has many minima."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(count, 60, 60, generator=generator, dtype=torch.float64) * 1.8 / 60**0.5
    state = torch.randn(count, 8, 60, generator=generator, dtype=torch.float64)
    states = []
    for step in range(1100):
        state = state + 0.1 * (torch.tanh(state) @ weights.mT - state)
        if step >= 100 and step % 5 == 0:
            states.append(state)
    activity = torch.stack(states, 2)
    return torch.stack([hankel_operator(each, 5, 1, rank, 1e-8, "a network", 0.0) for each in activity])


@pytest.fixture(scope="module")
def operators() -> Tensor:
    return recurrent(24, 12)


def test_residuals_against_the_authors(operators: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simdist = pytest.importorskip("DSA.simdist")
    pairs = [(0, 1), (2, 3)]
    found = align(operators, torch.tensor(pairs))
    for ours, (i, j) in zip(found.angle.tolist(), pairs, strict=True):
        theirs = simdist.SimilarityTransformDist(iters=600, lr=5e-3, score_method="angular", device="cpu")
        assert ours <= 1.01 * float(theirs.fit_score(operators[i].float(), operators[j].float()))


def test_a_population_shows_better_ways(operators: Tensor) -> None:
    """Third operators, gone by, lead to minima that as many starts do not find."""
    together = align_all(operators)
    alone = align(operators, together.pairs, starts=procrustes.STARTS // 4)
    assert (together.residual <= alone.residual * 1.0001).all()
    assert (together.residual < alone.residual * 0.999).double().mean() > 0.1
    some = slice(None, None, 5)
    thorough = align(operators, together.pairs[some], starts=48)
    assert together.residual[some].mean() <= 1.002 * thorough.residual.mean()


def test_few_landmarks_serve_many_operators(operators: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    full = align_all(operators)
    monkeypatch.setattr(procrustes, "LANDMARKS", 12 * 24 * 12**2)
    few = align_all(operators)
    assert few.residual.mean() < 1.005 * full.residual.mean()


def test_the_same_twice_and_nothing_is_changed(operators: Tensor) -> None:
    before = operators.clone()
    one, two = align_all(operators[:6]), align_all(operators[:6])
    assert torch.equal(one.residual, two.residual)
    assert torch.equal(operators, before)


def test_other_types_and_strides() -> None:
    operators = normal(3, 6, 6)
    expected = align_all(operators).residual
    torch.testing.assert_close(align_all(operators.mT.contiguous().mT).residual, expected)
    torch.testing.assert_close(align_all(operators.float()).residual, expected, atol=1e-4, rtol=1e-4)
    assert align_all((operators * 100).to(torch.int64)).residual.dtype == torch.float64


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        (torch.zeros(2, 3, 3), "operator 0 is zero"),
        (torch.eye(3).repeat(2, 1, 1) * torch.tensor([1.0, float("nan")])[:, None, None], "operator 1 is"),
        (torch.ones(2, 3, 4), "shape"),
        (torch.ones(3, 3), "shape"),
        (torch.ones(2, 3, 3, dtype=torch.complex64), "complex"),
    ],
)
def test_refusals(operators: Tensor, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        align(operators, ONE_PAIR)


def test_tiny_and_huge_operators_are_scaled() -> None:
    operators = normal(2, 5, 5)
    expected = align(operators, ONE_PAIR).residual
    scaled = operators * torch.tensor([1e-120, 1e120], dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(align(scaled, ONE_PAIR).residual, expected)


# As a comparator --------------------------------------------------------------------------------


def test_a_pair_is_aligned_alike_whichever_comes_first(comparator, wrap, rnn) -> None:
    """Descents from either side end apart for these, 0.31406 and 0.31413."""
    drawn = [(0, 3, 1.0), (50109, 8, 0.34375), (1000000, 5, 1.375)]
    found = [wrap(rnn(seed, trials=4, steps=15, units=units, gain=gain)) for seed, units, gain in drawn]
    metric = comparator("dsa", delays=2, rank=3, score="euclidean")
    values = metric.matrix(found)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert metric.distance(found[i], found[j]) == pytest.approx(values[i, j], abs=1e-7)
        assert metric.distance(found[j], found[i]) == pytest.approx(values[i, j], abs=1e-7)


def test_the_angle_of_a_turned_network_is_zero(comparator, wrap, rnn) -> None:
    states = rnn(0)
    turned = states @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    metric = comparator("dsa", delays=3, rank=8, score="angular")
    assert metric.distance(wrap(states), wrap(turned)) < 1e-6
    assert metric.distance(wrap(states), wrap(rnn(1))) > 0.05


def test_euclidean_scores_are_not_scaled(comparator, wrap, rnn) -> None:
    metric = comparator("dsa", delays=3, rank=8, score="euclidean")
    features = [metric.features(wrap(rnn(seed))) for seed in range(2)]
    expected = align(torch.stack([f.values["operator"] for f in features]), ONE_PAIR, rotations=True)
    assert expected.rotation is not None
    a, b = (f.values["operator"] for f in features)
    turn = expected.rotation[0]
    distance = float((a - turn @ b @ turn.mT).norm())
    assert metric.distance(*features) == pytest.approx(distance, rel=1e-6)


def test_operators_of_different_sizes_are_refused(comparator, wrap, rnn) -> None:
    small, large = (
        comparator("dsa", delays=3, rank=rank, score="angular").features(wrap(rnn(0), name=f"rank {rank}"))
        for rank in (4, 8)
    )
    metric = comparator("dsa", score="angular")
    with pytest.raises(AnalysisError, match=r"'rank 4' has 4 coordinates, 'rank 8' has 8"):
        metric.matrix([small, large])


def test_an_open_end_is_reported(comparator, wrap, rnn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procrustes, "TURNS", 0)
    monkeypatch.setattr("zoo.analysis.dynamics.searches.PLAN", ((1, 1),))
    metric = comparator("dsa", delays=3, rank=8, score="angular", starts=1)
    with pytest.warns(ConvergenceWarning, match="1 of 1 alignments"):
        metric.distance(wrap(rnn(0)), wrap(rnn(1)))
