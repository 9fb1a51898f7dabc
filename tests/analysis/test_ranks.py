"""Ranks and delays that the data choose: planted ranks, published thresholds, the authors' numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.analysis.dynamics.ranks import automatic_delays, hard_threshold, hard_thresholds
from zoo.errors import AnalysisError


def rank(matrix: np.ndarray) -> int:
    return hard_threshold(torch.linalg.svdvals(torch.from_numpy(matrix)), *matrix.shape)


def test_the_threshold_is_that_of_gavish_and_donoho() -> None:
    """Table I of the paper has 2.8582 for square matrices and 2.1711 where one side is twice the other."""
    for rows, columns, omega in ((100, 100, 2.8582), (100, 50, 2.1711), (50, 100, 2.1711)):
        noise = torch.ones(min(rows, columns))
        for share, count in ((1.02, 1), (0.98, 0)):
            values = noise.clone()
            values[0] = omega * share
            assert hard_threshold(values, rows, columns) == count


@pytest.fixture(scope="module")
def lorenz() -> np.ndarray:
    """The Lorenz system, 2000 steps of 0.01 by Runge and Kutta, standardised."""

    def slope(x: np.ndarray) -> np.ndarray:
        return np.array([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]])

    x, states = np.ones(3), []
    for _ in range(2500):
        k1 = slope(x)
        k2 = slope(x + 0.005 * k1)
        k3 = slope(x + 0.005 * k2)
        k4 = slope(x + 0.01 * k3)
        x = x + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(x)
    values = np.array(states[500:])
    return (values - values.mean(0)) / values.std(0)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.5])
def test_three_dimensions_of_lorenz_in_thirty_channels(lorenz, noise) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        seen = lorenz @ rng.normal(size=(3, 30)) + noise * rng.normal(size=(2000, 30))
        assert rank(seen) == 3


def test_planted_ranks_and_noise_alone() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, 80))
    assert rank(noise) == 0
    for planted in (1, 5, 20):
        signal = rng.normal(size=(300, planted)) @ rng.normal(size=(planted, 80))
        assert rank(signal + 0.1 * noise) == planted
        assert rank((signal + 0.1 * noise).T * 1e-150) == planted


def test_without_noise_the_rank_is_that_of_the_matrix() -> None:
    """The median singular value is then one of rounding, or exactly zero."""
    rng = np.random.default_rng(0)
    assert rank(rng.normal(size=(60, 4)) @ rng.normal(size=(4, 30))) == 4
    assert hard_threshold(torch.tensor([3.0, 2, 0, 0, 0]), 5, 9) == 2


def test_a_signal_of_full_rank_counts_half_of_its_directions_at_most() -> None:
    assert hard_threshold(torch.linspace(1, 2, 10), 10, 10) == 0
    assert hard_threshold(torch.logspace(0, 9, 10), 10, 10) == 4


def test_many_thresholds_at_once() -> None:
    walks = np.random.default_rng(0).normal(size=(3, 2, 20, 9)).cumsum(2)
    values = torch.linalg.svdvals(torch.from_numpy(walks))
    found = hard_thresholds(values, 20, 9)
    assert found.tolist() == [[hard_threshold(each, 20, 9) for each in row] for row in values]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.ones(4), "has 5 singular values"),
        (torch.ones(1, 5), "has 5 singular values"),
        (torch.zeros(5), "one of them above zero"),
        (torch.tensor([1.0, float("nan"), 1, 1, 1]), "finite"),
        (torch.tensor([1.0, -1, 1, 1, 1]), "not negative"),
    ],
)
def test_what_are_no_singular_values(values, message) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        hard_threshold(values, 5, 7)
    assert str(caught.value).endswith(".")


def signal(kind: str, steps: int, units: int) -> np.ndarray:
    time, noise = np.arange(steps)[:, None], np.random.default_rng(0).normal(size=(steps, units))
    return {
        "noise": noise,
        "sine": np.sin(2 * np.pi * time / 37 + np.arange(units)) + 0.1 * noise,
        "walk": noise.cumsum(0),
        "fast": np.sin(2 * np.pi * time / 5) + 0.3 * noise,
    }[kind]


@pytest.mark.parametrize(
    ("kind", "steps", "units", "delays"),
    [
        ("noise", 40, 2, 17),  # the least number of short trials
        ("noise", 256, 4, 33),  # and of long ones
        ("sine", 40, 2, 20),  # half of the trial
        ("sine", 100, 3, 35),
        ("sine", 600, 5, 39),  # the period
        ("walk", 100, 3, 36),  # the autocorrelation
        ("walk", 256, 4, 63),
        ("walk", 600, 5, 249),  # adds the rank
        ("fast", 255, 1, 17),
        ("fast", 600, 5, 33),
    ],
)
def test_delays_are_those_of_the_authors(kind, steps, units, delays) -> None:
    """Numbers of ``q_star.select_q_star_for_dataset`` in the authors' code, 9e58de2."""
    states = torch.from_numpy(signal(kind, steps, units))[None]
    before = states.clone()
    assert automatic_delays(states) == delays
    assert automatic_delays(1e200 * states) == delays
    assert automatic_delays(-1e-200 * states - 1e-199) == delays
    assert torch.equal(states, before)


def test_delays_of_many_trials_are_the_fewest() -> None:
    trials = torch.from_numpy(np.stack([signal(kind, 256, 4) for kind in ("sine", "walk", "sine")]))
    assert [automatic_delays(each[None]) for each in trials] == [38, 63, 38]
    assert automatic_delays(trials) == automatic_delays(trials.flip(0)) == 38
    assert automatic_delays(trials.float()) == 38


def test_more_delays_for_a_longer_period() -> None:
    states = [torch.from_numpy(signal("sine", 400, 1))[None, ::step] for step in (1, 2, 4)]
    found = [automatic_delays(each) for each in states]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (torch.randn(2, 7, 3), "trials of 7 steps"),
        (torch.ones(2, 20, 3), "trial 0: the mean"),
        (torch.stack([torch.arange(20.0), -torch.arange(20.0)], 1)[None], "trial 0"),  # cancel
        (torch.cat([torch.randn(1, 20, 2), torch.full((1, 20, 2), torch.nan)]), "trial 1"),
    ],
)
def test_no_delays_where_there_is_nothing_to_see(states, message) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        automatic_delays(states)
    assert str(caught.value).endswith(".")
