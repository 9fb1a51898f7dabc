"""The verb ``record``: what is kept of a network, what is held out, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from zoo.errors import AnalysisError, CheckpointError, MissingDependencyError, SpecError
from zoo.network import Network

NAME = "lif-decision/0"


@pytest.fixture(scope="module")
def network() -> Network:
    return zoo.load(NAME)


def test_a_recording_is_a_network_like_any_other(network: Network) -> None:
    options = {"units": 12, "held_out_units": 3, "trials": 20, "dt": 0.02, "held_out": 0.25}
    made = zoo.record(network, **options)
    spec = made.model.spec
    assert (spec.kind, spec.signal, spec.dt, spec.units) == ("recording", "spikes", 0.02, 12)
    run = made.trajectories(99, split="all")
    assert made.trajectories(99).states.shape[0] == 5
    assert torch.equal(run.states, run.states.round())
    assert run.latents["held_out"].shape == (*run.states.shape[:2], 3)
    original = network.trajectories(20)
    order = run.latents["trial"]
    assert torch.equal(run.inputs, original.inputs[order])
    assert torch.equal(run.outputs, original.outputs[order])
    assert torch.equal(run.latents["choice"], original.latents["choice"][order])
    rates = run.latents["rates"]
    assert np.corrcoef(rates.flatten(), run.states.flatten())[0, 1] > 0.3
    again = zoo.record(NAME, **options)
    assert all(
        torch.equal(value, again.model.state_dict()[n]) for n, value in made.model.state_dict().items()
    )
    other = zoo.record(network, **options, seed=1)
    assert not torch.equal(other.model.states, made.model.states)
    matrix = zoo.compare({"seen": made, "whole": network}, "dsa", rank=4, delays=2, trials=8)
    assert matrix.values[0, 1] > 0


def test_units_are_drawn_without_replacement_and_keep_their_order(network: Network) -> None:
    """The logarithm of a rate is proportional to the activity of the unit whose it is, and of no other."""
    signal = {"kind": "calcium", "ceiling": 1e9}
    made = zoo.record(network, signal, units=70, held_out_units=20, trials=8, held_out=0)
    assert made.model.spec.signal == "fluorescence"
    assert made.model.get_buffer("latent_held_out").shape[-1] == 20
    activity = network.trajectories(8).states.flatten(0, 1).double()
    rates = made.model.get_buffer("latent_rates").flatten(0, 1).double()
    varies, follows = activity.std(0) > 1e-6, rates.std(0) > 1e-6
    found = torch.corrcoef(torch.cat([rates[:, follows].log(), activity[:, varies]], 1).T)
    match = found[: int(follows.sum()), int(follows.sum()) :] > 1 - 1e-5
    assert match.any(1).all()  # each is one of the network's
    assert match.long().argmax(1).diff().gt(0).all()  # another one each time, in their order


def test_it_is_written_as_a_checkpoint(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    made = zoo.record(network, units=5, trials=10, output=tmp_path / "made", name="seen")
    assert zoo.verify(tmp_path / "made", metrics=True).holds
    loaded = zoo.load(tmp_path / "made")
    assert loaded.record.name == "seen"
    assert loaded.experiment.model.source.of == NAME
    assert torch.equal(loaded.model.states, made.model.states)
    zoo.publish(tmp_path / "made")  # what was recorded of a network of the zoo may be passed on
    assert zoo.load("seen").model.spec.trials == 10
    with pytest.raises(CheckpointError, match="exists already"):
        zoo.record(network, units=5, trials=10, output=tmp_path / "made")


def test_what_cannot_be_recorded_is_refused(network: Network) -> None:
    with pytest.raises(AnalysisError, match=r"has 100 units, of which 99 should be recorded and 2 held out"):
        zoo.record(network, units=99, held_out_units=2, trials=2)
    with pytest.raises(AnalysisError, match="has 100 units"):
        zoo.record(network, held_out_units=100, trials=2)
    with pytest.raises(AnalysisError, match="no site 'soma'"):
        zoo.record(network, site="soma", trials=2)
    with pytest.raises(SpecError, match="no split 'tset'"):
        zoo.record(network, split="tset", trials=2)
    for bad in ("voltage", {"kind": "poisson", "decay": 1.0}, {"kind": "calcium", "rise": 1.0}):
        with pytest.raises(SpecError, match="signal"):
            zoo.record(network, bad)
    with pytest.raises(SpecError, match="dt"):
        zoo.record(network, dt=0.0)


def test_without_pynwb_it_says_what_to_install(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(MissingDependencyError, match=r"Writing NWB needs pynwb.*neuroai-zoo\[nwb\]"):
        zoo.record(network, units=3, trials=4, nwb=tmp_path / "a.nwb")
    (tmp_path / "b.nwb").write_bytes(b"anything")
    with pytest.raises(MissingDependencyError, match=r"NWB files needs pynwb.*neuroai-zoo\[nwb\]"):
        zoo.adopt(tmp_path / "b.nwb", source="x", licence="MIT", output=tmp_path / "c")
