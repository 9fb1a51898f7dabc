"""Recordings as labs keep them, as checkpoints that are verified, published and compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import AnalysisError, ForeignFileError, ZooError

Adopt = Callable[..., CheckpointFolder]
RNG = np.random.default_rng(0)


def walk(*shape: int) -> np.ndarray:
    """Activity that goes on from step to step."""
    return RNG.normal(size=shape).cumsum(-2)


def recorded(folder: CheckpointFolder) -> dict[str, torch.Tensor]:
    return folder.tensors("model.safetensors")


def original(folder: CheckpointFolder, name: str = "states") -> np.ndarray:
    """A tensor of the checkpoint in the order of the file."""
    tensors = recorded(folder)
    return tensors[name].numpy()[np.argsort(tensors["latent_trial"].numpy())]


# Plain arrays -------------------------------------------------------------------------------------


def test_an_array_becomes_a_checkpoint_like_any_other(adopt: Adopt, tmp_path: Path) -> None:
    states = walk(20, 50, 6).astype(np.float32)
    np.save(tmp_path / "Monday 1.npy", states)
    folder = adopt(tmp_path / "Monday 1.npy", name="monday")
    assert folder.experiment.model.kind == "recording"
    assert (folder.record.parameters, folder.record.stopped, folder.record.steps) == (0, ("imported",), (0,))
    assert folder.record.imported is not None
    assert folder.record.imported.tensors["states"] == "states"
    assert np.array_equal(original(folder), states)
    assert zoo.verify(folder, metrics=True).holds
    zoo.publish(folder)
    network = zoo.load("monday")
    run = network.trajectories()
    assert run.latents["trial"].tolist() == [4, 9, 14, 19]
    assert np.array_equal(run.states.numpy(), states[4::5])
    assert network.trajectories(split="train").states.shape == (16, 50, 6)
    matrix = zoo.compare({"monday": "monday", "array": states[4::5]}, "dsa", rank=4, delays=2)
    assert matrix.values[0, 1] == pytest.approx(0, abs=1e-6)
    with pytest.raises(AnalysisError, match="input-dsa needs the inputs of every network"):
        zoo.compare({"a": "monday", "b": states}, "input-dsa")
    with pytest.raises(AnalysisError, match="a recording has no step"):
        network.model.step(torch.zeros(1, 6), torch.zeros(1, 1))


def test_its_own_name_and_split_are_taken_where_they_can(adopt: Adopt, tmp_path: Path) -> None:
    np.save(tmp_path / "Monday 1.npy", walk(4, 9, 2))
    folder = adopt(tmp_path / "Monday 1.npy")
    assert folder.record.name == "monday-1"
    assert folder.experiment.task.plain()["held_out"] == 0  # a fifth of four trials is none
    assert zoo.load(folder).trajectories().states.shape == (4, 9, 2)
    half = adopt(tmp_path / "Monday 1.npy", held_out=0.5, output=tmp_path / "half")
    assert zoo.load(half).trajectories().latents["trial"].tolist() == [1, 3]
    np.save(tmp_path / "_.npy", walk(4, 9, 2))
    with pytest.raises(ForeignFileError, match=r"_\.npy cannot give the checkpoint its name.*--name"):
        adopt(tmp_path / "_.npy", output=tmp_path / "none")


def test_one_long_trial_is_its_own_test(adopt: Adopt, tmp_path: Path) -> None:
    np.save(tmp_path / "long.npy", (10 * walk(200, 3)).astype(np.int16))
    folder = adopt(tmp_path / "long.npy")
    for split in ("train", "test"):
        run = zoo.load(folder).trajectories(split=split)
        assert run.states.shape == (1, 200, 3)
    assert run.states.dtype == torch.float64
    assert zoo.verify(folder, metrics=True).holds


@pytest.mark.parametrize("dtype", [">f8", ">f4", "<f2", "u1", ">u2", "u8", ">i4", "longdouble"])
def test_numbers_of_every_kind_are_taken(dtype: str, adopt: Adopt, tmp_path: Path) -> None:
    states = RNG.integers(0, 100, (6, 7, 2)).astype(dtype)
    np.savez(tmp_path / "numbers.npz", states=states, z=states[:, 0, 0])
    folder = adopt(tmp_path / "numbers.npz")
    assert np.array_equal(original(folder), states)
    assert np.array_equal(original(folder, "latent_z"), states[:, 0, 0])


def test_conditions_are_trials_too(adopt: Adopt, tmp_path: Path) -> None:
    states = walk(5, 3, 8, 2)
    np.savez(tmp_path / "conditions.npz", train_states=states[:3], test_states=states[3:])
    network = zoo.load(adopt(tmp_path / "conditions.npz"))
    assert np.array_equal(network.trajectories(split="test").states.numpy(), states[3:].reshape(6, 8, 2))
    assert np.array_equal(network.trajectories(split="train").states.numpy(), states[:3].reshape(9, 8, 2))


def test_named_arrays_keep_inputs_outputs_lengths_and_latents(adopt: Adopt, tmp_path: Path) -> None:
    trials, steps = 10, 12
    lengths = RNG.integers(5, steps + 1, trials)
    arrays = {
        "states": walk(trials, steps, 4),
        "inputs": walk(trials, steps, 2),
        "outputs": walk(trials, steps, 1),
        "lengths": lengths,
        "condition": np.arange(trials, dtype=np.uint8) % 3,
        "correct": np.arange(trials) % 2 == 0,
        "position": walk(trials, steps, 2).astype(np.float32),
        "names": np.array(["a"] * trials),
        "weights": np.ones((4, 4)),
        "task/x": np.ones(trials),
        "again": np.arange(trials, dtype=np.uint8) % 3,
        "nothing": np.ones((trials, 0)),
    }
    np.savez(tmp_path / "session.npz", **arrays)
    folder = adopt(tmp_path / "session.npz")
    run = zoo.load(folder).trajectories(64, split="all")
    order = run.latents["trial"].numpy()
    assert sorted(order) == list(range(trials))
    assert run.lengths is not None
    assert run.inputs is not None
    assert run.outputs is not None
    assert np.array_equal(run.lengths.numpy(), lengths[order])
    for k, trial in enumerate(order):
        length = lengths[trial]
        for ours, theirs in ((run.states, "states"), (run.inputs, "inputs"), (run.outputs, "outputs")):
            assert np.array_equal(ours[k, :length].numpy(), arrays[theirs][trial, :length])
            assert not ours[k, length:].any()
    assert np.array_equal(run.latents["condition"].numpy(), arrays["condition"][order])
    assert np.array_equal(run.latents["correct"].numpy(), arrays["correct"][order])
    assert np.array_equal(run.latents["position"].numpy(), arrays["position"][order])
    assert folder.record.imported is not None
    notes = "\n".join(folder.record.imported.notes)
    for left_out, why in {
        "names": "it has the type <U1",
        "weights": "no axis of the 10 trials",
        "task/x": "rename it in a mapping",
        "again": "it is the same as condition",
        "nothing": "it is empty",
    }.items():
        assert f"{left_out} was left out: " in notes
        assert why in notes
    assert zoo.verify(folder, metrics=True).holds
    other = {"here": str(folder.path), "there": list(arrays["states"])}
    assert zoo.compare(other, "dsa", rank=3, delays=2, split="all").values.shape == (2, 2)
    with pytest.raises(AnalysisError, match="needs trials of one length"):
        zoo.compare(other, "procrustes", split="all")


def test_lists_of_trials_are_of_any_length(adopt: Adopt, tmp_path: Path) -> None:
    trials = [walk(length, 3) for length in (8, 12, 10, 9, 11, 8)]
    np.savez(tmp_path / "ragged.npz", *trials)
    folder = adopt(tmp_path / "ragged.npz")
    run = zoo.load(folder).trajectories(64, split="all")
    assert run.lengths is not None
    for states, length, trial in zip(run.states, run.lengths, run.latents["trial"], strict=True):
        assert np.array_equal(states[:length].numpy(), trials[trial])
    assert zoo.verify(folder).holds


def test_lists_of_recordings_and_several_files_are_populations(adopt: Adopt, tmp_path: Path) -> None:
    arrays = [walk(6, 9, 2) for _ in range(3)]
    np.savez(tmp_path / "list.npz", *arrays)
    folder = adopt(tmp_path / "list.npz")
    assert folder.record.members == 3
    for member, array in enumerate(arrays):
        run = zoo.load(f"{folder.path}/{member}").trajectories(split="all")
        assert np.array_equal(run.states.numpy(), array[run.latents["trial"].numpy()])
        np.save(tmp_path / f"{member}.npy", array)
    files = [tmp_path / f"{member}.npy" for member in range(3)]
    several = adopt(files, name="several", output=tmp_path / "several")
    assert several.record.imported is not None
    assert len(set(several.record.imported.sha256)) == 3
    assert zoo.verify(several, metrics=True).holds
    np.save(files[2], walk(6, 9, 3))
    with pytest.raises(ForeignFileError, match=r"6 trials × 9 steps × 3 units, and .* 2 units.*one by one"):
        adopt(files, name="several", output=tmp_path / "none")


# The Computation-through-Dynamics Benchmark -------------------------------------------------------


def simulated(path: Path, trials: int = 10) -> dict[str, np.ndarray]:
    """Spikes simulated from a trained network, in the benchmark's layout: 80 % of the trials to train on."""
    latents = walk(trials, 15, 5)
    activity = np.exp(latents[:, :, [0, 1, 2, 3, 4, 0, 1]] / 10)
    arrays = {
        "encod_data": RNG.poisson(activity).astype(float),
        "inputs": walk(trials, 15, 3),
        "activity": activity,
        "latents": latents,
        "extra": np.zeros((trials, 1)),
        "inds": np.arange(trials),
    }
    arrays["recon_data"] = arrays["encod_data"]
    cut = int(0.8 * trials)
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(f"train_{name}", data=values[:cut])
            file.create_dataset(f"valid_{name}", data=values[cut:])
        file.create_dataset("readout", data=np.eye(5, 7))
        file.create_dataset("orig_mean", data=np.zeros((1, 1, 1)))
        file.create_dataset("orig_std", data=np.ones((1, 1, 1)))
        file.create_dataset("perm_neurons", data=np.arange(7))
    return arrays


def test_simulated_data_of_the_benchmark(adopt: Adopt, tmp_path: Path) -> None:
    arrays = simulated(tmp_path / "sim.h5")
    folder = adopt(tmp_path / "sim.h5", name="ctd")
    network = zoo.load(folder)
    for split, trials in {"train": slice(8), "test": slice(8, None), "all": slice(None)}.items():
        run = network.trajectories(64, split=split)
        for ours, theirs in ((run.states, "latents"), (run.inputs, "inputs"), (run.outputs, "activity")):
            assert ours is not None
            assert np.array_equal(ours.numpy(), arrays[theirs][trials])
        for name in ("encod_data", "inds", "extra"):
            assert np.array_equal(run.latents[name].numpy(), arrays[name][trials])
    imported = folder.record.imported
    assert imported is not None
    assert imported.tensors["states"] == "train_latents and valid_latents"
    notes = "\n".join(imported.notes)
    assert "train_recon_data and valid_recon_data was left out: it is the same as train_encod_data" in notes
    assert all(
        f"{name} was left out" in notes for name in ("readout", "orig_mean", "orig_std", "perm_neurons")
    )
    assert zoo.verify(folder, metrics=True).holds


def test_a_mapping_says_which_array_is_the_activity(adopt: Adopt, tmp_path: Path) -> None:
    arrays = simulated(tmp_path / "sim.h5")
    (tmp_path / "map.yaml").write_text("rename: {encod_data: states, '{x}s': null, '{x}_data': null}\n")
    folder = adopt(tmp_path / "sim.h5", mapping=tmp_path / "map.yaml")
    run = zoo.load(folder).trajectories(split="all")
    assert np.array_equal(run.states.numpy(), arrays["encod_data"])
    assert run.inputs is None
    assert set(run.latents) == {"number", "extra"}


def test_results_of_other_models_in_the_benchmarks_layout(adopt: Adopt, tmp_path: Path) -> None:
    arrays = {"rates": walk(10, 15, 7), "latents": walk(10, 15, 3)}
    with h5py.File(tmp_path / "external.h5", "w") as file:
        for name, values in arrays.items():
            file[f"train_{name}"], file[f"eval_{name}"] = values[:6], values[6:]
        file["fixed_points"] = np.ones((4, 3))
    folder = adopt(tmp_path / "external.h5")
    run = zoo.load(folder).trajectories(split="test")
    assert run.outputs is not None
    assert np.array_equal(run.states.numpy(), arrays["latents"][6:])
    assert np.array_equal(run.outputs.numpy(), arrays["rates"][6:])


def test_data_of_a_task_are_no_recording(adopt: Adopt, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "task.h5", "w") as file:
        for part in ("train", "valid"):
            for name in ("ics", "inputs", "inputs_to_env", "targets", "conds", "inds", "extra"):
                file[f"{part}_{name}"] = np.ones((4, 5, 3))
    with pytest.raises(
        ForeignFileError, match=r"which array is the activity: it has conds, .*The data of a task"
    ):
        adopt(tmp_path / "task.h5")


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"states": np.full((4, 5, 3), np.nan)}, "holds NaN or infinite values"),
        ({"states": np.ones(5)}, r"give \[trial, time, unit\]"),
        ({"states": np.ones((4, 5, 3)) + 1j}, "give real numbers"),
        ({"states": np.ones((0, 5, 3))}, "states are empty"),
        (
            {"states": np.ones((4, 5, 3)), "inputs": np.ones((4, 6, 3))},
            r"the input \[4, 6, 3\] do not go with",
        ),
        ({"states": np.ones((4, 5, 3)), "lengths": np.array([5, 5, 5])}, "a whole number for each trial"),
        ({"states": np.ones((4, 5, 3)), "lengths": np.array([5, 5, 5, 6])}, "from 1 to the 5 steps"),
        ({"states": np.ones((4, 5, 3)), "lengths": np.array([5, 5, 5, 0])}, "from 1 to the 5 steps"),
        ({"states": np.ones((4, 5, 3)), "z": np.full(4, np.inf)}, "z holds NaN or infinite values"),
        ({"spam": np.ones((4, 5, 3))}, "does not say which array is the activity: it has spam"),
        ({"train_states": np.ones((4, 5, 3)), "test_states": np.ones((4, 5, 2))}, "no parts of one array"),
        (
            {
                "train_states": np.ones((4, 5, 3)),
                "test_states": np.ones((4, 5, 3)),
                "states": np.ones((8, 5, 3)),
            },
            "states whole and in two parts",
        ),
        (
            {"train_a": np.ones((4, 5, 3)), "test_a": np.ones((4, 5, 3)), "valid_a": np.ones((4, 5, 3))},
            "more than two parts",
        ),
        (
            {
                "train_states": np.ones((4, 5, 3)),
                "test_states": np.ones((2, 5, 3)),
                "inputs": np.ones((6, 5, 1)),
            },
            "do not go with",
        ),
        ({"arr_0": np.ones((5, 3)), "arr_1": np.ones((5, 4))}, "with the same units"),
        ({"train_states": np.ones((5, 3)), "test_states": np.ones((2, 3))}, "without an axis of trials"),
        ({"states": np.ones((0, 5, 3)), "lengths": np.ones(0, int)}, "a whole number for each trial"),
        ({"states": np.ones((4, 5, 3)), "a\nb": np.ones(4)}, "not 200 printable characters"),
        ({}, "holds no arrays"),
    ],
)
def test_arrays_that_are_no_recording_are_refused(
    arrays: dict[str, Any], message: str, adopt: Adopt, tmp_path: Path
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ZooError, match=message):
        adopt(tmp_path / "bad.npz")
    assert not (tmp_path / "made").exists()


def test_padding_does_not_take_memory_without_bounds(
    adopt: Adopt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.importing.recording.MAX_NUMBERS", 10_000)
    np.savez(tmp_path / "long.npz", np.ones((5000, 1)), *[np.ones((1, 1))] * 20)
    with pytest.raises(
        ForeignFileError, match="padded to the longest trial, its states would be 105,000 numbers"
    ):
        adopt(tmp_path / "long.npz")


def test_what_is_for_weights_is_refused(adopt: Adopt, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", walk(5, 6, 2))
    for options in ({"spec": "dsa-gru-flipflop"}, {"member": 0}, {"steps": 5}):
        with pytest.raises(ForeignFileError, match="a recording has no spec, member or steps"):
            adopt(tmp_path / "a.npy", **options)
    (tmp_path / "map.yaml").write_text("tensors: {states: {constant: 0}}\n")
    with pytest.raises(ForeignFileError, match="can 'strip' and 'rename' arrays and nothing else"):
        adopt(tmp_path / "a.npy", mapping=tmp_path / "map.yaml")
