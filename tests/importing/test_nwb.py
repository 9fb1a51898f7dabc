"""Neurodata Without Borders: there and back again, files of others, and files that are wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import CheckpointError, ForeignFileError
from zoo.importing.nwb_writer import spike_times, write_nwb
from zoo.specs.mapping import MappingSpec

pynwb = pytest.importorskip("pynwb", reason="needs the extra nwb")
h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:hdmf", "ignore::DeprecationWarning:pynwb")

Adopt = Callable[..., CheckpointFolder]


def reading(**fields: Any) -> MappingSpec:
    return MappingSpec.model_validate({"nwb": fields})


def session() -> Any:
    return pynwb.NWBFile("a session", "one", datetime(2020, 1, 1, tzinfo=UTC))


def save(file: Any, path: Path) -> Path:
    with pynwb.NWBHDF5IO(path, "w") as stream:
        stream.write(file)
    return path


@pytest.mark.parametrize("signal", ["poisson", "calcium"])
def test_what_is_written_is_read_again(adopt: Adopt, tmp_path: Path, signal: str) -> None:
    made = zoo.record(
        "lif-decision/0", signal, units=6, held_out_units=2, trials=10, dt=0.02, nwb=tmp_path / "a.nwb"
    )
    folder = adopt(tmp_path / "a.nwb", mapping=reading(bin=0.02))
    read = zoo.load(folder)
    ours, theirs = made.model.state_dict(), read.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name].to(value.dtype)), name
    assert read.experiment.task == made.experiment.task
    for field in ("signal", "dt", "trials", "steps", "units", "channels", "outputs"):
        assert getattr(read.model.spec, field) == pytest.approx(getattr(made.model.spec, field)), field
    assert list(tmp_path.glob(".*")) == []  # nothing that was half written
    with pytest.raises(CheckpointError, match="exists already"):
        write_nwb(made, tmp_path / "a.nwb")
    with pytest.raises(ForeignFileError, match=r"should end in \.nwb"):
        write_nwb(made, tmp_path / "a.h5")
    with pytest.raises(ForeignFileError, match="is a network and no recording"):
        write_nwb(zoo.load("lif-decision/0"), tmp_path / "b.nwb")


def test_trials_of_different_lengths_and_plain_activity(adopt: Adopt, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trials = [rng.normal(size=(length, 3)) for length in (20, 12, 17)]
    np.savez(tmp_path / "ragged.npz", *trials)
    first = zoo.load(adopt(tmp_path / "ragged.npz", held_out=0, output=tmp_path / "first"))
    write_nwb(first, tmp_path / "ragged.nwb")
    again = zoo.load(adopt(tmp_path / "ragged.nwb", held_out=0, output=tmp_path / "again"))
    assert torch.equal(first.model.states, again.model.states)
    assert (
        first.model.get_buffer("lengths").tolist()
        == again.model.get_buffer("lengths").tolist()
        == [20, 12, 17]
    )
    assert again.model.spec.signal == "activity"


def test_spike_times_stay_within_their_steps() -> None:
    counts = np.random.default_rng(0).poisson(2.0, 200)
    times = spike_times(counts, 0.013)
    assert (np.diff(times) > 0).all()
    assert np.array_equal(np.bincount((times / 0.013).astype(int), minlength=200), counts)


def test_a_session_of_a_lab_is_cut_at_its_events(adopt: Adopt, tmp_path: Path) -> None:
    """Spikes at known times, trials with a cue, a running speed of another rate, text beside."""
    file = session()
    file.add_unit(spike_times=[0.105, 0.115, 1.101, 1.199, 2.5])
    file.add_unit(spike_times=[0.1999])
    file.add_trial_column("cue", "seconds")
    file.add_trial_column("side", "of the choice")
    file.add_trial_column("animal", "text, which is no number")
    for start, side in ((0.0, 1), (1.0, 0)):
        file.add_trial(start_time=start, stop_time=start + 0.9, cue=start + 0.1, side=side, animal="a")
    file.add_acquisition(pynwb.TimeSeries(name="speed", data=np.ones(30), unit="m/s", rate=10.0))
    path = save(file, tmp_path / "lab.nwb")
    folder = adopt(path, mapping=reading(bin=0.01, align="cue", window=[0.0, 0.1]), held_out=0)
    model = zoo.load(folder).model
    assert (model.spec.signal, model.spec.dt, model.spec.steps) == ("spikes", 0.01, 10)
    counts = model.states.long()
    assert [tuple(each) for each in counts.nonzero().tolist()] == [
        (0, 0, 0),
        (0, 1, 0),
        (0, 9, 1),
        (1, 0, 0),
        (1, 9, 0),
    ]
    assert model.get_buffer("latent_side").tolist() == [1, 0]
    assert "speed" not in model.spec.latents
    assert "animal" not in model.spec.latents
    whole = zoo.load(adopt(path, mapping=reading(bin=0.1), output=tmp_path / "whole", held_out=0)).model
    assert whole.states.shape == (2, 9, 2)
    assert "speed" in whole.spec.latents
    speed = zoo.load(
        adopt(path, mapping=reading(series="speed"), output=tmp_path / "speed", held_out=0)
    ).model
    assert speed.states.shape == (2, 9, 1)
    assert speed.spec.dt == pytest.approx(0.1)


def test_without_trials_the_session_is_one(adopt: Adopt, tmp_path: Path) -> None:
    file = session()
    file.add_unit(spike_times=np.arange(1, 100) / 10)
    model = zoo.load(adopt(save(file, tmp_path / "long.nwb"), mapping=reading(bin=0.1))).model
    assert model.states.shape == (1, 100, 1)
    assert model.states[0, :, 0].tolist() == [0, *[1] * 99]


def _unsorted(file: Any) -> None:
    file.add_unit(spike_times=[0.3, 0.2, 0.5])


def _nothing(file: Any) -> None:
    pass


def _only_speed(file: Any) -> None:
    file.add_acquisition(pynwb.TimeSeries(name="speed", data=np.ones(30), unit="m/s", rate=10.0))


def _backwards(file: Any) -> None:
    file.add_unit(spike_times=[0.3])
    file.add_trial(start_time=1.0, stop_time=0.5)


def _not_finite(file: Any) -> None:
    file.add_unit(spike_times=[0.3, np.nan])
    file.add_trial(start_time=0.0, stop_time=0.5)


def _tangled(file: Any) -> None:
    times = np.array([0.0, 0.1, 0.3, 0.2])
    file.add_acquisition(pynwb.TimeSeries(name="activity", data=np.ones((4, 2)), unit="V", timestamps=times))
    file.add_trial(start_time=0.0, stop_time=0.2)


def _beyond(file: Any) -> None:
    file.add_acquisition(pynwb.TimeSeries(name="activity", data=np.ones((10, 2)), unit="V", rate=10.0))
    file.add_trial(start_time=0.5, stop_time=1.5)


def _endless(file: Any) -> None:
    file.add_unit(spike_times=[0.3, 1e12])


@pytest.mark.parametrize(
    ("fill", "fields", "why"),
    [
        (_nothing, {}, "holds no trials, and nothing that would tell how long it is"),
        (_only_speed, {}, "holds no units with spike times.*it has speed"),
        (_only_speed, {"series": "spede"}, "has no series 'spede'; it has speed"),
        (_unsorted, {}, "spike times of unit 0 that do not ascend"),
        (_not_finite, {}, "spike times of unit 0 that do not ascend, or are no numbers"),
        (_backwards, {}, "trials that do not end after they begin"),
        (_backwards, {"align": "cue", "window": [0, 1]}, "no column 'cue' of trials"),
        (_tangled, {}, "'activity' whose times do not ascend"),
        (_beyond, {}, "trials that are not within the series 'activity'"),
        (_endless, {}, "too many; raise 'bin'"),
    ],
)
def test_a_file_that_is_wrong_is_refused(
    adopt: Adopt, tmp_path: Path, fill: Callable[[Any], None], fields: dict[str, Any], why: str
) -> None:
    file = session()
    fill(file)
    path = save(file, tmp_path / "wrong.nwb")
    with pytest.raises(ForeignFileError, match=f"wrong.nwb {why}" if fill is _nothing else why):
        adopt(path, mapping=reading(**fields))
    assert not os.path.lexists(tmp_path / "made")


def test_damaged_files_and_links_are_refused(adopt: Adopt, tmp_path: Path) -> None:
    file = session()
    file.add_unit(spike_times=np.arange(1, 20_000) / 10)
    whole = save(file, tmp_path / "whole.nwb").read_bytes()
    (tmp_path / "cut.nwb").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ForeignFileError, match=r"cut\.nwb cannot be read as NWB"):
        adopt(tmp_path / "cut.nwb")
    with h5py.File(tmp_path / "plain.nwb", "w") as plain:
        plain["states"] = np.ones((2, 3))
    with pytest.raises(ForeignFileError, match="is HDF5, and no NWB"):
        adopt(tmp_path / "plain.nwb")
    (tmp_path / "linked.nwb").write_bytes(whole)
    with h5py.File(tmp_path / "linked.nwb", "a") as linked:
        linked["acquisition/away"] = h5py.ExternalLink(str(tmp_path / "whole.nwb"), "/units")
    with pytest.raises(ForeignFileError, match="a link to another file"):
        adopt(tmp_path / "linked.nwb")
    with pytest.raises(ValueError, match="go together"):
        reading(align="cue")
