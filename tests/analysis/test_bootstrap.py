"""The bootstrap over trials: what is drawn, known standard errors, and its edges."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from zoo.analysis import Bootstrap, bootstrap, compare
from zoo.analysis.dynamics.dsa import DSA
from zoo.analysis.geometry.cka import CKA
from zoo.errors import AnalysisError, RegistryError, SpecError
from zoo.models.trajectories import Trajectories

FAST: dict[str, Any] = {"delays": 2, "rank": 3}


@pytest.fixture
def seen(monkeypatch) -> list[Trajectories]:
    """Every trajectories that features are taken of."""
    found: list[Trajectories] = []
    for kind in (CKA, DSA):
        original = kind.features

        def record(self, trajectories, original=original):
            found.append(trajectories)
            return original(self, trajectories)

        monkeypatch.setattr(kind, "features", record)
    return found


def numbered(trials: int, seed: int = 0) -> Trajectories:
    """Trials that all their parts tell apart: by the first unit at the first step, rounded."""
    numbers = torch.arange(trials, dtype=torch.float64)
    rng = np.random.default_rng(seed)
    states = torch.from_numpy(rng.uniform(0.1, 0.4, size=(trials, 9, 3)))
    states[:, 0, 0] += numbers
    return Trajectories(
        states=states,
        inputs=numbers[:, None, None].expand(-1, 9, 2),
        initial=numbers[:, None].expand(-1, 3),
        latents={"trial": numbers, "walk": numbers[:, None].expand(-1, 9)},
    )


def drawn(run: Trajectories) -> list[int]:
    numbers = run.states[:, 0, 0].floor()
    assert run.inputs is not None
    assert run.initial is not None
    for part in (run.inputs[:, 0, 0], run.initial[:, 0], run.latents["trial"], run.latents["walk"][:, 3]):
        assert torch.equal(part, numbers), "what is known of a trial stays with it"
    return numbers.int().tolist()


def test_the_matrix_is_that_of_all_trials(rnn) -> None:
    items, labels = {"a": rnn(0), "b": rnn(1), "c": rnn(2)}, ["x", "x", "y"]
    found = bootstrap(items, resamples=5, labels=labels, **FAST)
    expected = compare(items, labels=labels, **FAST)
    np.testing.assert_array_equal(found.matrix.values, expected.values)
    assert (found.matrix.names, found.matrix.labels) == (expected.names, expected.labels)
    assert (found.matrix.spec, found.matrix.origins) == (expected.spec, expected.origins)
    assert found.samples.shape == (5, 3, 3)


def test_aligned_metrics_get_the_same_trials_everywhere(seen) -> None:
    bootstrap([numbered(6), numbered(6, 1), numbered(6, 2)], "cka", resamples=4)
    draws = [drawn(run) for run in seen]
    assert draws[:3] == [list(range(6))] * 3
    resamples = [draws[first : first + 3] for first in range(3, 15, 3)]
    assert all(each == [each[0]] * 3 for each in resamples)
    assert len({tuple(each[0]) for each in resamples}) > 1
    assert all(set(each[0]) <= set(range(6)) and len(each[0]) == 6 for each in resamples)


def test_others_get_trials_of_their_own(seen) -> None:
    bootstrap([numbered(6), numbered(8, 1)], resamples=4, **FAST)
    draws = [drawn(run) for run in seen][2:]
    assert [len(each) for each in draws] == [6, 8] * 4
    assert all(a != b[:6] for a, b in zip(draws[::2], draws[1::2], strict=True))


def test_the_seed_decides(rnn) -> None:
    items = {"a": rnn(0), "b": rnn(1)}
    first, again, other = (bootstrap(items, "cka", 5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)


def test_copies_of_one_trial_have_no_error(rnn) -> None:
    """Whatever is drawn is the same, so there is neither error nor bias."""
    items = {name: np.repeat(rnn(seed)[:1], 5, 0) for seed, name in enumerate("ab")}
    for metric, fields in (("cka", {}), ("procrustes", {}), ("dsa", FAST)):
        found = bootstrap(items, metric, 5, **fields)
        np.testing.assert_allclose(found.samples[:, 0, 1], found.matrix.values[0, 1], rtol=1e-6)
        assert found.standard_error.max() < 1e-6


def test_errors_are_those_of_fresh_trials() -> None:
    """The spread of a distance over 60 fresh sets of trials, to within a factor of 1.5."""

    def run(seed: int, noise: float) -> np.ndarray:
        rng = np.random.default_rng(seed)
        signal = np.random.default_rng(0).normal(size=(1, 10, 2))
        return signal * rng.normal(size=(80, 1, 1)) + noise * rng.normal(size=(80, 10, 2))

    def pair(seed: int) -> list[np.ndarray]:
        return [run(seed, 0.3), run(seed, 0.6) @ np.array([[1, 0.9], [0, 1]])]

    fresh = np.array([compare(pair(seed), "cka", cache=False).values[0, 1] for seed in range(1, 61)])
    ratios = [bootstrap(pair(seed), "cka", 100).standard_error[0, 1] / fresh.std() for seed in (101, 102)]
    assert all(1 / 1.5 < ratio < 1.5 for ratio in ratios), ratios
    # And most intervals hold the centre of the fresh ones.
    held = 0
    for seed in range(201, 221):
        low, high = bootstrap(pair(seed), "cka", 60, level=0.9).interval[:, 0, 1]
        held += low <= fresh.mean() <= high
    assert held >= 14, held  # 18 of 20 are expected; fewer than 14 have a chance below 0.3 %


def test_what_a_result_says(rnn) -> None:
    samples = np.zeros((5, 2, 2))
    samples[:, 0, 1] = samples[:, 1, 0] = [1, 2, 3, 4, 5]
    matrix = bootstrap({"a": rnn(0), "b": rnn(1)}, "procrustes", 2).matrix
    found = Bootstrap(matrix, samples, 0.5, 0)
    assert found.standard_error[0, 1] == pytest.approx(np.sqrt(2.5))
    assert found.interval[:, 0, 1].tolist() == [2, 4]
    assert found.bias[1, 0] == pytest.approx(3 - matrix.values[0, 1])
    assert found.statistics() == {}


def test_statistics_of_labels_have_errors(rnn) -> None:
    items = {f"{label}/{k}": rnn(label == "b") + 0.01 * rnn(9 + k) for label in "ab" for k in range(3)}
    found = bootstrap(items, "procrustes", 20, labels=[name[0] for name in items])
    statistics = found.statistics()
    assert set(statistics) == {"silhouette", "within", "between"}
    whole = found.matrix.statistics()
    for name, estimate in statistics.items():
        assert estimate.value == pytest.approx(whole[name])
        assert estimate.low < estimate.high
        assert estimate.error > 0
    first = type(found.matrix)(
        found.matrix.names,
        found.samples[0],
        found.matrix.labels,
        found.matrix.spec,
        found.matrix.origins,
        "m",
    ).statistics()
    again = Bootstrap(found.matrix, found.samples[[0, 0]], 0.9, 0).statistics()
    assert again["silhouette"].low == pytest.approx(first["silhouette"])
    assert again["silhouette"].error == 0


@pytest.mark.parametrize("count", [2, 8, 9])
def test_tables_have_a_row_a_pair_or_a_network(rnn, count) -> None:
    items = {f"[red]{number}": rnn(number, trials=4, steps=12) for number in range(count)}
    found = bootstrap(items, "procrustes", 3)
    table = found.table()
    assert table.row_count == (count * (count - 1) // 2 if count <= 8 else count)
    console = Console(width=200, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    console.print(table)
    text = console.export_text()
    assert all(name in text for name in items)
    assert f"{found.matrix.values[0][1:].min():.3g}" in text
    console.file.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resamples": 1}, "1 resamples"),
        ({"level": 0.0}, "share 0.0"),
        ({"level": 1.0}, "share 1.0"),
        ({"level": float("nan")}, "share nan"),
    ],
)
def test_refused(rnn, arguments, message) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        bootstrap([rnn(0), rnn(1)], "cka", **arguments)
    assert str(caught.value).endswith(".")


def test_refused_as_comparisons_are(rnn) -> None:
    with pytest.raises(RegistryError, match="procrustes"):
        bootstrap([rnn(0), rnn(1)], "procustes")
    with pytest.raises(SpecError, match="rank"):
        bootstrap([rnn(0), rnn(1)], rank=0)
    with pytest.raises(AnalysisError, match="only 'array-1'"):
        bootstrap([rnn(0)])
    with pytest.raises(AnalysisError, match="sample by sample"):
        bootstrap([rnn(0), rnn(1, trials=5)], "cka")
    with pytest.raises(AnalysisError, match=r"'array-2' has one trial"):
        bootstrap([rnn(0), rnn(1)[:1]], **FAST)
    with pytest.raises(AnalysisError, match="NaN"):
        bootstrap([Trajectories(states=torch.full((3, 9, 2), torch.nan)), rnn(1)], **FAST)


def test_a_resample_that_cannot_be_compared_is_no_zero(rnn) -> None:
    """One of three trials changes; without it there is nothing to compare."""
    flat = np.zeros((3, 9, 2))
    flat[0] = rnn(0, trials=1, steps=9, units=2)[0]
    with pytest.raises(AnalysisError, match=r"a resample .* never change .* give more trials\.$"):
        bootstrap([flat, rnn(1, trials=3, steps=9)], "cka")


def test_the_callers_arrays_stay_as_they_are(rnn) -> None:
    states = torch.from_numpy(rnn(0))
    before = states.clone()
    bootstrap([Trajectories(states=states, name="x"), rnn(1)], "procrustes", 3)
    assert torch.equal(states, before)
