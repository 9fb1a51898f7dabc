"""Runs: killed, changed, diverged, locked, stopped, recorded."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from examples import experiment
from filelock import FileLock
from safetensors.torch import load_file

from zoo.errors import DivergedError, RunLockedError, SpecChangedError, TrainingError
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec, SnapshotSpec
from zoo.training.publishable import write_checkpoint
from zoo.training.run import Run

TRAINS = """
import sys, json
from pathlib import Path
from zoo.specs.experiment import ExperimentSpec
from zoo.training.run import Run
spec = ExperimentSpec.model_validate(json.loads(sys.argv[1]))
Run.of(spec, Path(sys.argv[2])).fit(progress=False)
"""


def start(spec: ExperimentSpec, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", TRAINS, json.dumps(spec.plain()), str(folder)])


def test_killed_for_real_and_resumed(tmp_path: Path) -> None:
    """kill -9 at three points of a run; in the end the weights are those of a straight run, bit for bit."""
    train = {"steps": 300, "batch_size": 8, "validate_every": 50, "save_every": 10}
    spec = experiment(
        "rate-leaky", learner="backprop-clipped", train=train, record={"snapshots": {"base": 2}}
    )
    straight = Run.of(spec, tmp_path / "straight")
    expected = straight.fit(progress=False)
    killed = Run.of(spec, tmp_path / "killed")
    kills = 0
    for after in (20, 60, 120):
        process = start(spec, killed.folder)
        while process.poll() is None:
            if (killed.folder / "state.ckpt").exists() and _saved_step(killed) >= after:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
                break
            time.sleep(0.05)
    assert kills == 3
    assert not killed.finished
    result = killed.fit(progress=False)
    assert result["curve"] == expected["curve"]
    for step in expected["kept"]:
        a, b = load_file(straight.snapshot(step)), load_file(killed.snapshot(step))
        assert all(torch.equal(a[name], b[name]) for name in a), f"step {step}"
    leftovers = [path.name for path in killed.folder.rglob("*.new")]
    assert not leftovers
    assert not (killed.folder / "state.ckpt").exists()


def _saved_step(run: Run) -> int:
    try:
        return torch.load(run.folder / "state.ckpt", weights_only=True)["zoo"]["batches_seen"]
    except (OSError, RuntimeError, EOFError):
        return -1


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    run = Run.of(experiment(), tmp_path / "run")
    first = run.fit(progress=False)
    stamp = run.snapshot(12).stat().st_mtime_ns
    assert run.fit(progress=False) == first
    assert run.snapshot(12).stat().st_mtime_ns == stamp


def test_the_folder_is_named_by_the_digest() -> None:
    a, b = Run.of(experiment()), Run.of(experiment(title="the same"))
    assert a.folder == b.folder
    assert experiment().digest()[:12] in a.folder.name
    assert Run.of(experiment("gru")).folder != a.folder


def test_a_changed_spec_is_refused(tmp_path: Path) -> None:
    Run.of(experiment(), tmp_path / "run").fit(progress=False)
    changed = experiment(train={"steps": 13})
    with pytest.raises(SpecChangedError, match=r"train\.steps: 12 → 13"):
        Run.of(changed, tmp_path / "run").fit(progress=False)


def test_a_corrupt_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{nonsense")
    with pytest.raises(TrainingError, match="cannot be read"):
        Run.of(experiment(), tmp_path).fit(progress=False)


def test_divergence_names_step_and_causes(tmp_path: Path) -> None:
    learner = {"kind": "backprop", "optimizer": {"kind": "sgd", "lr": 1e30}}
    spec = experiment("elman-relu", train={"steps": 100}, record={}).updated(learner=learner)
    with pytest.raises(DivergedError) as caught:
        Run.of(spec, tmp_path / "run").fit(progress=False)
    assert 1 <= caught.value.step <= 10
    assert "learning rate 1e+30" in str(caught.value)
    assert "clip_norm" in str(caught.value)
    assert "ReLU" in str(caught.value)
    assert Run.of(spec, tmp_path / "run").snapshot(0).exists()
    assert not Run.of(spec, tmp_path / "run").finished


def test_a_metric_that_is_no_number_ends_no_run(tmp_path: Path) -> None:
    """Nobody turns, so that there is no variance of the direction to explain."""
    still = {"kind": "head-direction", "steps": 4, "start": "zero", "turning": 1e-30}
    train = {"steps": 2, "batch_size": 4, "loggers": ["csv"], "log_every": 1, "validate_every": 1}
    spec = experiment(train=train).updated(task=still)
    run = Run.of(spec, tmp_path / "run")
    run.fit(progress=False)
    record = write_checkpoint(spec, [run], tmp_path / "folder").record
    assert record.curve[0].values["validation/r2"] == (None, None, None)
    assert record.metrics["test/r2"] == (None,)
    assert None not in record.curve[0].values["validation/angle_error"]


def test_two_processes_in_one_run(tmp_path: Path) -> None:
    run = Run.of(experiment(), tmp_path / "run")
    run.folder.mkdir()
    with FileLock(run.folder / ".lock"), pytest.raises(RunLockedError, match="another process"):
        run.fit(progress=False)
    assert run.fit(progress=False)["steps"] == 12


def test_snapshots_and_ledger(tmp_path: Path) -> None:
    spec = experiment()
    run = Run.of(spec, tmp_path / "run")
    run.fit(progress=False)
    first = load_file(run.snapshot(0))
    for name, value in build(spec).model.state_dict().items():
        assert torch.equal(value, first[name])
    final = load_file(run.snapshot(12))
    assert final["ledger.loss"].shape == (6,)
    network = build(spec)
    network.model.load_state_dict({k: v for k, v in final.items() if not k.startswith("ledger.")})
    assert torch.allclose(network.measure("test", 6)["loss"], final["ledger.loss"])
    assert SnapshotSpec(base=10, at=(7,)).steps(1234) == [0, 1, 7, 10, 100, 1000, 1234]


def test_stop_on_a_target(tmp_path: Path) -> None:
    stop = {"metric": "train/loss", "at_most": 0.6}
    quiet = {"steps": 2000, "batch_size": 16, "validate_every": 2000, "stop": stop}
    spec = experiment(train=quiet, record={"snapshots": None})
    result = Run.of(spec, tmp_path / "run").fit(progress=False)
    assert result["stopped"] == "target"
    assert 1 < result["steps"] < 2000
    assert result["kept"][-1] == result["steps"]
    validated = experiment(
        train={"steps": 60, "validate_every": 7, "stop": {"metric": "validation/loss", "at_most": 9.0}}
    )
    assert Run.of(validated, tmp_path / "validated").fit(progress=False)["steps"] == 7


def test_no_steps_keep_the_initial_network(tmp_path: Path) -> None:
    result = Run.of(experiment(train={"steps": 0}), tmp_path / "run").fit(progress=False)
    assert result["steps"] == 0
    assert result["kept"] == [0]


def test_loggers_and_quiet_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = experiment(train={"steps": 20, "validate_every": 10, "loggers": ["csv", "tensorboard"]})
    Run.of(spec, tmp_path / "run").fit(progress=True)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    logs = tmp_path / "run" / "logs" / "attempt-0"
    assert "validation/loss" in (logs / "metrics.csv").read_text()
    assert list(logs.glob("events*"))


def test_training_leaves_the_callers_generators_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Run.of(experiment("rate-leaky"), tmp_path / "run").fit(progress=False)
    assert torch.equal(torch.rand(3), expected)


def test_a_full_disk_is_one_clear_error(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(1_000_000))
    wide = {"kind": "elman", "hidden": 60}
    with pytest.raises(TrainingError, match="cannot be written"):
        Run.of(experiment().updated(model=wide), small_disk / "run").fit(progress=False)
    (small_disk / "filler").unlink()
    assert Run.of(experiment().updated(model=wide), small_disk / "run").fit(progress=False)["steps"] == 12
