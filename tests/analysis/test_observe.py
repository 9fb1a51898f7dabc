"""What is seen of trajectories: each step does what it says, in order, and to trials of any length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.analysis import compare
from zoo.analysis.observe import observe
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import ObservationSpec


def _seen(states, inputs=None, **fields) -> Trajectories:
    return observe(Trajectories.wrap(states, inputs, name="net"), ObservationSpec(**fields))


def test_nothing_asked_changes_nothing(rnn) -> None:
    whole = Trajectories.wrap(rnn(0))
    assert observe(whole, ObservationSpec()) is whole


def test_fewer_steps_and_units_take_their_inputs_along(rnn) -> None:
    states, inputs = rnn(0), rnn(1, units=2)
    seen = _seen(states, inputs, skip=7, every=3)
    np.testing.assert_array_equal(seen.states, states[:, 7::3])
    np.testing.assert_array_equal(seen.inputs, inputs[:, 7::3])
    some = _seen(states, units=3).states.numpy()
    which = [int(np.flatnonzero((states == some[..., k : k + 1]).all((0, 1)))[0]) for k in range(3)]
    assert which == sorted(set(which))
    again = _seen(rnn(5), units=3).states.numpy()
    np.testing.assert_array_equal(again, rnn(5)[..., which])
    assert not np.array_equal(_seen(states, units=3, seed=1).states, some)


def test_averages_over_a_latent(rnn) -> None:
    states = rnn(0, trials=6)
    condition = torch.tensor([2, 0, 2, 0, 0, 2])
    whole = replace(Trajectories.wrap(states), latents={"condition": condition, "time": torch.ones(6, 60)})
    seen = observe(whole, ObservationSpec(average="condition"))
    expected = [states[condition.numpy() == value].mean(0) for value in (0, 2)]
    np.testing.assert_allclose(seen.states, expected)
    assert seen.latents["condition"].tolist() == [0, 2]
    for latent in ("time", "absent"):
        with pytest.raises(AnalysisError, match=rf"averaged over '{latent}'.* it has condition\."):
            observe(whole, ObservationSpec(average=latent))


def test_noise_is_independent_and_repeats(rnn) -> None:
    a, again, b = (_seen(states, noise=0.5).states for states in (rnn(0), rnn(0), rnn(1)))
    assert torch.equal(a, again)
    one, other = a - torch.from_numpy(rnn(0)), b - torch.from_numpy(rnn(1))
    assert one.std() == pytest.approx(0.5, rel=0.05)
    assert abs(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]) < 0.1


def test_lift_standardise_components(rnn) -> None:
    states = rnn(0)
    lifted = _seen(states, lift=30).states
    assert lifted.shape == (12, 60, 30)
    assert torch.linalg.matrix_rank(lifted.flatten(0, 1)) == 8
    scaled = _seen(states * np.geomspace(1e-3, 1e3, 8), standardise="trial").states
    torch.testing.assert_close(scaled.mean(1), torch.zeros(12, 8, dtype=torch.float64))
    torch.testing.assert_close(scaled.var(1, unbiased=False), torch.ones(12, 8, dtype=torch.float64))
    every = _seen(states, standardise="all").states.flatten(0, 1)
    torch.testing.assert_close(every.std(0, unbiased=False), torch.ones(8, dtype=torch.float64))
    seen = _seen(states, components=3).states.flatten(0, 1)
    centred = torch.from_numpy(states).flatten(0, 1)
    centred = centred - centred.mean(0)
    size = torch.linalg.svdvals(centred)[:3]
    torch.testing.assert_close(seen.T @ seen, torch.diag(size**2), atol=1e-9, rtol=0)


def test_padding_is_never_seen(rnn) -> None:
    trials = [rnn(0)[k, : 30 + 3 * k] for k in range(12)]
    for fields in (
        {"skip": 4, "every": 2},
        {"standardise": "trial"},
        {"standardise": "all"},
        {"components": 3},
        {"units": 4, "noise": 0.1},
    ):
        seen = _seen(trials, **fields)
        assert seen.lengths is not None
        if "noise" not in fields:
            alone = [_seen(trial, **fields).states[0] for trial in trials]
        if fields == {"standardise": "trial"} or "skip" in fields:
            for number, (states, length) in enumerate(zip(alone, seen.lengths.tolist(), strict=True)):
                assert len(states) == length
                torch.testing.assert_close(seen.states[number, :length], states)
        joined = torch.cat([seen.states[k, :length] for k, length in enumerate(seen.lengths.tolist())])
        if "components" in fields or fields == {"standardise": "all"}:
            whole = _seen(np.concatenate(trials), **fields).states[0]
            torch.testing.assert_close(joined.abs(), whole.abs())
        valid = seen.valid()
        assert valid is not None
        assert not seen.states[valid == 0].any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"skip": 60}, r"'net' has a trial of 60 steps, and the first 60 are left out"),
        ({"units": 9}, "'net' has 8 units, and 9"),
        ({"components": 9}, "'net' has 8 principal components, and 9"),
    ],
)
def test_less_than_is_asked_for(rnn, fields, message) -> None:
    with pytest.raises(AnalysisError, match=message):
        _seen(rnn(0), **fields)
    constant = np.concatenate([rnn(0), np.ones((12, 60, 1))], 2)
    with pytest.raises(AnalysisError, match="a channel that never changes"):
        _seen(constant, standardise="all")


def test_in_a_comparison(rnn) -> None:
    items = {"a": rnn(0, steps=120), "b": rnn(1, steps=120)}
    found = compare(items, rank=4, delays=3, observe={"skip": 10, "every": 2, "components": 5})
    by_hand = {name: _seen(states, skip=10, every=2, components=5).states for name, states in items.items()}
    np.testing.assert_allclose(found.values, compare(by_hand, rank=4, delays=3).values, atol=1e-9)
