"""Arrays in the clothes of trajectories."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import zoo
from zoo.errors import AnalysisError, SpecError
from zoo.models.trajectories import Trajectories


def test_arrays_are_copied_and_typed() -> None:
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)[:, ::-1]
    wrapped = Trajectories.wrap(array, name="recording")
    assert wrapped.states.dtype == torch.float64
    assert wrapped.states.tolist() == array.tolist()
    wrapped.states[:] = 0
    assert array[0, 0, 0] == 8
    assert Trajectories.wrap(np.ones((5, 2), np.float32)).states.shape == (1, 5, 2)
    assert Trajectories.wrap(array).origin == Trajectories.wrap(array.copy()).origin
    assert Trajectories.wrap(array).origin != Trajectories.wrap(array + 1).origin


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones(3), "shape"),
        (np.ones((0, 2, 3)), "shape"),
        (np.full((1, 2, 3), np.nan), "NaN"),
        (np.array([["a"]]), "type"),
        (np.ones((1, 2, 3), complex), "type"),
        (torch.ones(1, 2, 3, dtype=torch.complex64), "type"),
        (torch.ones(1, 2, 3, dtype=torch.bool), "type"),
    ],
)
def test_what_is_no_activity_is_refused(values: object, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        Trajectories.wrap(values)
    with pytest.raises(AnalysisError, match="must be the same"):
        Trajectories.wrap(np.ones((1, 2, 3)), inputs=np.ones((1, 3, 1)))


def test_trajectories_of_a_network_follow_its_step() -> None:
    network = zoo.load("dsa-lstm-flipflop/1")
    run = network.trajectories(trials=3, seed=4, split="longer", site="state")
    assert run.states.shape == (3, 300, 128)
    assert run.outputs.shape == run.targets.shape == (3, 300, 3)
    assert run.latents["state"].shape == (3, 300)
    assert run.name == "dsa-lstm-flipflop/1"
    with torch.no_grad():
        first = network.model.step(run.initial, run.inputs[:, 0])
        later = network.model.step(run.states[:, 40], run.inputs[:, 41])
    torch.testing.assert_close(first, run.states[:, 0])
    torch.testing.assert_close(later, run.states[:, 41])
    hidden = network.trajectories(trials=3, seed=4, split="longer")
    torch.testing.assert_close(hidden.states, run.states[..., :64], rtol=1e-4, atol=1e-5)
    with pytest.raises(AnalysisError, match="Did you mean 'state'"):
        network.trajectories(site="states")
    with pytest.raises(SpecError, match="no split"):
        network.trajectories(split="longest")
