"""Lightning under a real ``srun``, where a SLURM answers; ``scripts/slurm`` starts one and runs this."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from examples import experiment
from safetensors.torch import load_file

from zoo.specs.experiment import ExperimentSpec
from zoo.training.run import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True).returncode != 0,
        reason=os.environ.get("ZOO_NO_SLURM") or "no SLURM answers here; scripts/slurm starts one",
    ),
]
SRUN = ["srun", "--nodes=2", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
RANKS = Path(__file__).with_name("ranks.py")


def spec(strategy: str, devices: int = 2, steps: int = 50) -> ExperimentSpec:
    learner = {
        "kind": "backprop",
        "optimizer": {"kind": "adam", "lr": 1e-2},
        "clip_norm": 0.05,
        "schedule": {"kind": "cosine", "warmup": 5},
    }
    train = {
        "steps": steps,
        "batch_size": 8,
        "precision": "64-true",
        "accelerator": "cpu",
        "validate_every": 10,
        "save_every": 20,
        "devices": devices,
        "strategy": strategy,
    }
    return experiment("rate-leaky", train=train).updated(learner=learner)


def equal(one: Run, other: Run, step: int) -> bool:
    a, b = load_file(one.snapshot(step)), load_file(other.snapshot(step))
    return all(torch.allclose(a[name], b[name], rtol=0, atol=1e-8) for name in a)


def test_two_tasks_on_two_nodes(tmp_path: Path) -> None:
    """Both end with the same weights, to 1e-8 those of one process with the same batches."""
    runs = {strategy: Run.of(spec(strategy), tmp_path / strategy) for strategy in ("ddp", "fsdp")}
    listed = tmp_path / "cases.json"
    listed.write_text(json.dumps([[run.experiment.plain(), str(run.folder)] for run in runs.values()]))
    subprocess.run([*SRUN, sys.executable, str(RANKS), str(listed)], check=True, timeout=120)
    first, second = (json.loads(Path(f"{listed}.{rank}").read_text()) for rank in range(2))
    assert first[0]["node"] != second[0]["node"]
    assert first[0]["weights"] == second[0]["weights"]
    alone = Run.of(spec("auto", 1), tmp_path / "alone")
    alone.fit(progress=False)
    for run in runs.values():
        assert run.result["kept"] == alone.result["kept"]
        assert all(equal(run, alone, step) for step in alone.result["kept"])


def test_the_command_speaks_once_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    """One task is killed, srun ends the job, and the same command goes on to the same weights."""
    whole = spec("ddp", steps=400)
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(whole.plain()))  # which is YAML
    run = Run.of(whole, tmp_path / "run")
    command = [
        *SRUN,
        str(Path(sys.executable).with_name("zoo")),
        "train",
        str(path),
        "--folder",
        str(run.folder),
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not (run.folder / "state.ckpt").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(_task(str(path)), signal.SIGKILL)
        assert process.wait(60) != 0
    assert not run.finished
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout)["record"]["steps"] == [400]
    alone = Run.of(spec("auto", 1, steps=400), tmp_path / "alone")
    alone.fit(progress=False)
    assert equal(run, alone, 400)


def _task(argument: str) -> int:
    """The number of one of the processes of ours that were given an argument by srun."""
    import psutil

    for process in psutil.process_iter():
        try:
            if argument in process.cmdline() and process.environ().get("SLURM_PROCID") == "1":
                return process.pid
        except psutil.Error:
            continue
    raise AssertionError("no such process")
