"""Kernel DMD: spectra known in closed form, a dense solution without centres, and where kernels fail."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from zoo.analysis.dynamics import kernel
from zoo.analysis.dynamics.kernel import kernel_eigenvalues
from zoo.errors import AnalysisError
from zoo.specs.analyses.dynamics import KernelDSASpec


def sort(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return np.sort_complex(np.round(np.asarray(values, dtype=complex), 7))


def fit(states: np.ndarray, **fields: object) -> torch.Tensor:
    """``[trial, rank]``, with the defaults of the comparator."""
    spec = KernelDSASpec(**fields)
    return kernel_eigenvalues(
        torch.from_numpy(states),
        spec.delays,
        spec.interval,
        spec.rank,
        spec.length_scale,
        spec.centres,
        spec.ridge,
        "a network",
    )


def dense(before: np.ndarray, after: np.ndarray, length_scale: float, ridge: float, rank: int) -> np.ndarray:
    """Reduced rank regression with every sample a centre (Kostic et al. 2022, algorithm 1)."""

    def gram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-((a[:, None] - b) ** 2).sum(-1) / (2 * length_scale**2)) / len(a)

    inputs, outputs = gram(before, before), gram(after, after)
    regular = inputs + ridge * np.eye(len(before))
    values, vectors = scipy.linalg.eig(outputs @ inputs, regular)
    leading = vectors[:, np.argsort(-values.real)[:rank]].real
    leading /= np.sqrt(np.einsum("ij,ij->j", leading, inputs @ regular @ leading))
    return np.linalg.eigvals((inputs @ leading).T @ gram(after, before) @ leading)


@pytest.mark.parametrize(("length_scale", "ridge"), [(1.0, 1e-4), (1.0, 1e-6), (2.0, 1e-5)])
@pytest.mark.parametrize(("delays", "interval"), [(1, 1), (2, 3)])
def test_all_centres_are_the_dense_solution(rnn, length_scale, ridge, delays, interval) -> None:
    states = rnn(0, trials=2, steps=80, units=5)
    found = fit(
        states,
        delays=delays,
        interval=interval,
        rank=6,
        length_scale=length_scale,
        ridge=ridge,
        centres=1.0,
    )
    for trial, eigenvalues in zip(states, found, strict=True):
        rows = len(trial) - (delays - 1) * interval
        vectors = np.concatenate([trial[interval * d :][:rows] for d in range(delays)], 1)
        expected = dense(vectors[:-1], vectors[1:], length_scale, ridge, 6)
        np.testing.assert_allclose(sort(eigenvalues), sort(expected), atol=1e-5)


def test_a_small_ridge_costs_no_digits(rnn) -> None:
    """The dense solution in arithmetic of 40 digits (mpmath); in that of 16 it has 4 right."""
    states = rnn(0, trials=2, steps=60, units=5)
    found = fit(states, delays=1, rank=6, length_scale=2.0, ridge=1e-8, centres=1.0)
    pairs = [0.9366501 + 0.3134271j, 0.9866915 + 0.1593485j]
    expected = np.array([0.7721278, 0.9995127, *pairs, *np.conj(pairs)])
    np.testing.assert_allclose(sort(found[0]), np.sort_complex(expected), atol=1e-6)


def test_a_rotation_has_the_powers_of_its_phase() -> None:
    """Functions of Fourier on the circle are eigenfunctions, whatever the kernel."""
    turn = 2 * np.pi * 7 / 60
    expected = np.exp(1j * turn * np.arange(-2, 3))
    for delays, interval, length_scale in ((1, 1, None), (4, 2, None), (1, 1, 30.0)):
        phase = turn * np.arange(61 + (delays - 1) * interval)  # 60 transitions: once around, evenly
        states = 40.0 * np.stack([np.cos(phase), np.sin(phase)], -1)[None]
        fields = {"delays": delays, "interval": interval, "length_scale": length_scale, "centres": 1.0}
        np.testing.assert_allclose(sort(fit(states, rank=5, **fields)[0]), sort(expected), atol=1e-6)


def test_a_nonlinear_system_is_told_from_its_linear_part(comparator, wrap) -> None:
    """Two orbits at one speed on one ring, the phase of one of which advances unevenly."""
    start = np.linspace(0, 2 * np.pi, 6, endpoint=False)[:, None]
    steps = np.arange(100)
    even, uneven = start + 0.3 * steps, [start]
    for _ in steps[1:]:
        uneven.append(uneven[-1] + 0.3 + 0.2 * np.sin(uneven[-1]))
    rings = [np.stack([np.cos(p), np.sin(p)], -1) for p in (even, np.concatenate(uneven, 1))]
    metric = comparator("kernel-dsa", delays=1, rank=5)
    assert metric.distance(*map(wrap, rings)) > 0.01
    turned = rings[0] @ np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0] + 3.0
    assert metric.distance(wrap(rings[0]), wrap(turned)) < 1e-9


def test_eigenvalues_of_all_trials_count(comparator, wrap, rnn) -> None:
    metric = comparator("kernel-dsa", delays=2, rank=4)
    states = rnn(0, trials=5)
    together = metric.features(wrap(states)).values["eigenvalues"]
    apart = [metric.features(wrap(trial[None])).values["eigenvalues"] for trial in states]
    assert together.shape == (20,)
    np.testing.assert_allclose(sort(together), sort(torch.cat(apart)))


def test_few_centres_come_near_to_all(rnn) -> None:
    states = rnn(3, trials=1, steps=400)
    few, more, every = (
        sort(fit(states, delays=2, rank=3, centres=share, ridge=1e-6)) for share in (0.1, 0.5, 1.0)
    )
    assert np.abs(more - every).max() < np.abs(few - every).max() < 0.05


def test_blocks_and_repetition_change_nothing(rnn, monkeypatch) -> None:
    states = rnn(0, trials=5)
    expected = fit(states, delays=3)
    assert torch.equal(fit(states, delays=3), expected)
    monkeypatch.setattr(kernel, "BLOCK", 1)
    torch.testing.assert_close(fit(states, delays=3), expected, atol=1e-9, rtol=0)


def test_a_length_scale_in_units_of_the_states(comparator, wrap, rnn) -> None:
    states, other = rnn(0), rnn(1)
    metric = comparator("kernel-dsa", delays=2, rank=5, length_scale=1.0)
    assert "isotropic scaling" not in metric.invariances
    assert metric.distance(wrap(states), wrap(3 * states)) > 1e-4
    scaled = comparator("kernel-dsa", delays=2, rank=5, length_scale=3.0)
    expected = metric.distance(wrap(states), wrap(other))
    assert scaled.distance(wrap(3 * states), wrap(3 * other)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [1e3, 1e30, 1e200])
def test_a_kernel_that_reaches_nothing_is_refused(rnn, size) -> None:
    with pytest.raises(AnalysisError, match="does not reach from one sample of a network to the next"):
        fit(size * rnn(0), rank=5, length_scale=1.0)


@pytest.mark.parametrize("size", [1e-8, 1e-200])
def test_a_kernel_that_sees_no_difference_is_refused(rnn, size) -> None:
    with pytest.raises(AnalysisError, match=r"rank 5 for a network.*lower 'length_scale'"):
        fit(size * rnn(0), rank=5, length_scale=1.0)


def test_other_refusals(rnn) -> None:
    with pytest.raises(AnalysisError, match="need trials of 20 steps, and those of a network have 12"):
        fit(rnn(0, steps=12))
    states = rnn(0)
    states[3] = 0.5
    with pytest.raises(AnalysisError, match="one of its trials does not change"):
        fit(states)
    repeating = np.tile(rnn(0, steps=3), (1, 20, 1))
    with pytest.raises(AnalysisError, match=r"3 differ by more than rounding. Set 'rank' to at most 3"):
        fit(repeating, delays=1)
