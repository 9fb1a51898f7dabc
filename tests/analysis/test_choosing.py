"""Choosing delays and a rank: errors that are what they say, choices that are right where truth is known."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo.analysis import Sweep, sweep
from zoo.analysis.dynamics.hankel import hankel_operator
from zoo.errors import AnalysisError, GeometryWarning
from zoo.models.trajectories import Trajectories


def _oscillators(
    frequencies: list[float], trials: int, steps: int, units: int, noise: float = 0.0, seed: int = 0
):
    """A linear system of that many oscillators, seen by random projections with noise."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 2 * np.pi, (trials, 1, len(frequencies))) + np.arange(steps)[:, None] * frequencies
    waves = np.concatenate([np.cos(phase), np.sin(phase)], 2)
    return waves @ rng.normal(size=(waves.shape[2], units)) + noise * rng.normal(size=(trials, steps, units))


def _raw(states: np.ndarray) -> Trajectories:
    """As a network gives them: unchecked."""
    return Trajectories(states=torch.from_numpy(states))


def test_errors_are_those_of_one_step_predictions(rnn) -> None:
    states = rnn(0, trials=8)
    found = sweep(states, delays=[3], ranks=[5], held_out=0.25, ridge=1e-6)
    fitted, rest = states[:6], states[6:]
    windows = [np.concatenate([x[:, 2 - d : 60 - d] for d in range(3)], 2) for x in (fitted, rest)]
    _, size, vt = np.linalg.svd(windows[0].reshape(-1, 24), full_matrices=False)
    operator = hankel_operator(torch.from_numpy(fitted), 3, 1, 5, 1e-6, "").numpy()
    signs = vt[:5] / size[:5, None]
    coordinates = [window @ signs.T for window in windows]
    # The basis is defined up to signs, so the operator is fitted here once more.
    old, new = (coordinates[0][:, part].reshape(-1, 5) for part in (slice(None, -1), slice(1, None)))
    expected = np.linalg.solve(old.T @ old + 1e-6 * np.eye(5), old.T @ new).T
    np.testing.assert_allclose(np.abs(operator), np.abs(expected), atol=1e-9)
    errors = []
    for part, truth in zip(coordinates, (fitted, rest), strict=True):
        predicted = part[:, :-1] @ expected.T @ (size[:5, None] * vt[:5, :8])
        errors.append(predicted - truth[:, 3:])
        persistence = np.abs(truth[:, 3:] - truth[:, 2:-1]).mean()
        errors[-1] = errors[-1], np.abs(errors[-1]).mean() / persistence
    assert found.mase[0, 0] == pytest.approx(errors[0][1])
    assert found.held_out[0, 0] == pytest.approx(errors[1][1])
    count = errors[0][0].size
    aic = np.log((errors[0][0] ** 2).sum() / count) + 2 * (25 + 1) / count
    assert found.aic[0, 0] == pytest.approx(aic)


def test_the_rank_of_a_linear_system_is_found() -> None:
    states = _oscillators([0.3, 0.8, 1.7], trials=12, steps=80, units=10, noise=0.02)
    found = sweep(states, delays=[1, 4], ranks=[2, 4, 6, 8, 10])
    for criterion in ("held_out", "aic"):
        assert found.best(criterion)[1] == 6
    assert found.names == ("network-1",) or found.names == ("array-1",)


def test_delays_make_up_for_units_that_are_not_seen() -> None:
    """Three oscillators behind two units: one sample does not tell what follows."""
    states = _oscillators([0.3, 0.8, 1.7], trials=12, steps=80, units=2)
    found = sweep(states, delays=[1, 2, 3, 6], ranks=[2, 4, 6])
    assert found.best("held_out") == (3, 6)
    assert np.isnan(found.mase[0, 1:]).all(), "one delay of two units has two coordinates"
    assert found.held_out[2, 2] < 1e-6 < 0.1 < found.held_out[0, 0]


def test_a_choice_that_sees_geometry_is_warned_about(rnn) -> None:
    few = sweep({"a": rnn(0), "b": rnn(0, gain=1.55)}, delays=[3], ranks=[3])
    assert few.sees_geometry.all()
    with pytest.warns(GeometryWarning, match=r"3 delays and rank 3, .* depend on geometry.*apart"):
        few.best()
    whole = sweep({"a": rnn(0), "b": rnn(1)}, delays=[1], ranks=[8])
    assert whole.geometry[0, 0] < 1e-10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert whole.best() == (1, 8)
    alone = sweep(rnn(0), delays=[3], ranks=[3])
    assert np.isnan(alone.between).all()
    with pytest.warns(GeometryWarning):
        alone.best()


def test_one_trial_is_split_in_time(rnn) -> None:
    found = sweep(rnn(0, trials=1, steps=200), delays=[2], ranks=[4], held_out=0.5)
    first = sweep(rnn(0, trials=1, steps=200)[:, :150], delays=[2], ranks=[4], held_out=1 / 3)
    assert found.mase[0, 0] == pytest.approx(first.mase[0, 0])


def test_figure_and_refusals(rnn, tmp_path) -> None:
    found = sweep({"a": rnn(0), "b": rnn(1)}, delays=[1, 40, 80], ranks=[4, 8, 50])
    assert np.isnan(found.aic[2]).all()
    assert found.plot(tmp_path / "sweep.png").stat().st_size > 10_000
    empty = sweep(rnn(0), delays=[80], ranks=[4])
    with pytest.raises(AnalysisError, match=r"no choice of delays \[80\] and ranks \[4\] can be fitted"):
        empty.best()
    for wrong in ({"delays": [0]}, {"ranks": []}, {"held_out": 1.0}):
        with pytest.raises(AnalysisError, match="a sweep needs delays and ranks of 1 or more"):
            sweep(rnn(0), **wrong)
    with pytest.raises(AnalysisError, match="a sweep does not read rank; it takes interval, observe"):
        sweep(rnn(0), rank=5)
    for states, message in ((np.full((3, 20, 4), np.nan), "NaN"), (np.ones((3, 20, 4)), "never change")):
        with pytest.raises(AnalysisError, match=message):
            sweep([SimpleNamespace(name="odd", trajectories=lambda states=states, **_: _raw(states))])
    with pytest.raises(AnalysisError, match=r"at least one network, and nothing"):
        sweep([])
    assert isinstance(found, Sweep)
