"""Sweeps: the same networks as trained alone, each once, whatever is killed, edited or started twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from examples import experiment
from filelock import FileLock

import zoo
from zoo.errors import (
    EngineError,
    SpecError,
    SweepLockedError,
    TrainingError,
    UnknownNameError,
)
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps.declaring import declared, grid_of
from zoo.sweeps.folder import SweepFolder, all_sweeps
from zoo.sweeps.sweep import sweep
from zoo.training.run import Run

WIDTHS = {"model.hidden": [4, 5]}
QUICK = {"steps": 4, "batch_size": 4, "validate_every": 4, "validation_trials": 4}


def quick(**changes: Any) -> ExperimentSpec:
    return experiment(train=QUICK, record={"evaluation": {"trials": 4}}, **changes)


def stamps(spec: ExperimentSpec) -> dict[str, int]:
    """When each finished member was finished."""
    runs = [Run.of(member) for member in spec.members()]
    return {run.folder.name: (run.folder / "result.json").stat().st_mtime_ns for run in runs if run.finished}


def test_members_are_the_experiments_trained_alone(zoo_home: Path) -> None:
    made = sweep(quick(), grid=WIDTHS, seeds=2)
    assert made.standing.done == made.standing.members == 4
    checkpoint = made.checkpoint()
    assert checkpoint.record.members == 4
    alone = Run.of(made.experiment.member(3), zoo_home / "alone").fit(progress=False)
    result = Run.of(made.experiment.member(3)).result
    assert result["metrics"] == alone["metrics"]
    assert [m.model.plain()["hidden"] for m in made.experiment.members()] == [4, 4, 5, 5]


def test_called_again_it_trains_only_what_is_new() -> None:
    first = sweep(quick(), grid=WIDTHS)
    before = stamps(first.experiment)
    assert len(before) == 2
    edited = sweep(quick(title="another title"), grid={"model.hidden": [5, 6, 4, 6]})
    assert edited.standing.members == 3, "what is twice in the grid is one member"
    after = stamps(edited.experiment)
    assert {name: after[name] for name in before} == before
    assert len(after) == 3
    assert edited.folder.path != first.folder.path
    assert [folder.path.name for folder in all_sweeps()] == sorted([edited.name, first.name])


def test_failures_are_a_table_and_tried_again(zoo_home: Path) -> None:
    spec = experiment("elman-relu", train={**QUICK, "steps": 30}, record={}).updated(
        learner={"kind": "backprop", "optimizer": {"kind": "sgd", "lr": 0.01}}
    )
    rates = {"learner.optimizer.lr": [1e30, 0.01, 1e29]}
    first = sweep(spec, grid=rates, group=2)
    failed = first.standing.failed
    assert [(row.member, row.kind) for row in failed] == [(0, "DivergedError"), (2, "DivergedError")]
    assert failed[0].varied == {"learner.optimizer.lr": 1e30}
    assert "DivergedError" in Path(failed[0].log).read_text()
    assert first.standing.left == 2
    with pytest.raises(TrainingError, match="2 of 3 members"):
        first.checkpoint()
    before = stamps(first.experiment)
    run = Run.of(first.experiment.member(0))
    (run.folder / "result.json").write_text("{}")  # as if another had trained it meanwhile
    again = sweep(spec, grid=rates)
    assert [row.member for row in again.standing.failed] == [2]
    assert stamps(first.experiment).items() >= before.items()


def test_fail_fast_ends_at_the_first() -> None:
    spec = quick().updated(learner={"kind": "backprop", "optimizer": {"kind": "sgd", "lr": 1e30}})
    made = sweep(spec, seeds=5, fail_fast=True)
    assert made.standing.done == 0
    assert len(made.standing.failed) == 1


DRIVES = """
import sys, json, zoo
from zoo.specs.experiment import ExperimentSpec
spec = ExperimentSpec.model_validate(json.loads(sys.argv[1]))
zoo.sweep(spec, engine=sys.argv[2])
"""


def start(spec: ExperimentSpec, engine: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DRIVES, json.dumps(spec.plain()), engine])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Until something holds, while the process lives."""
    while not condition():
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("engine", ["here", pytest.param("local:2", marks=pytest.mark.slow)])
def test_killed_for_real_it_goes_on(engine: str) -> None:
    """kill -9 of the driver in the middle: what was finished stays, what was begun goes on."""
    train = {"steps": 90, "batch_size": 4, "validate_every": 10, "validation_trials": 8, "save_every": 5}
    spec = declared(experiment(train=train), seeds=8)
    driver = start(spec, engine)
    folder = SweepFolder.of(spec)
    wait_for(lambda: (folder.path / "driver.json").exists(), driver)
    with pytest.raises(SweepLockedError, match=f"process {driver.pid} on .* zoo status {folder.path.name}"):
        sweep(spec)
    wait_for(lambda: len(stamps(spec)) >= 2, driver)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    before = stamps(spec)
    assert 2 <= len(before) < 8
    made = sweep(spec)
    assert made.standing.done == 8
    assert not made.standing.failed
    after = stamps(spec)
    ended = {name: stamp for name, stamp in after.items() if name in before}
    assert ended == before
    attempts = [len(list((Run.of(member).folder / "logs").iterdir())) for member in spec.members()]
    assert all(count <= 2 for count in attempts)
    assert sum(count == 2 for count in attempts) <= (1 if engine == "here" else 2), "only what was begun"


def test_a_member_that_another_process_trains_is_waited_for() -> None:
    spec = declared(quick(), seeds=3)
    run = Run.of(spec.member(1))
    run.folder.mkdir(parents=True)
    lock = FileLock(run.folder / ".lock", thread_local=False)
    lock.acquire()

    def release() -> None:
        while len(stamps(spec)) < 2:
            time.sleep(0.01)
        lock.release(force=True)

    other = threading.Thread(target=release, daemon=True)
    other.start()
    made = sweep(spec)
    assert not other.is_alive()
    assert made.standing.done == 3
    last = max(stamps(spec), key=stamps(spec).__getitem__)
    assert last == run.folder.name


def test_a_full_disk_is_one_clear_error_and_costs_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_HOME", str(small_disk))
    spec = quick().updated(model={"kind": "elman", "hidden": 60})
    first = sweep(spec, seeds=1)
    before = stamps(first.experiment)
    with open(small_disk / "filler", "wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    with pytest.raises(TrainingError, match=r"cannot be written: No space left.*call again"):
        sweep(spec, seeds=3)
    (small_disk / "filler").unlink()
    made = sweep(spec, seeds=3)
    assert made.standing.done == 3
    assert stamps(made.experiment).items() >= before.items()


# Declaring ----------------------------------------------------------------------------------------


def test_grid_and_seeds_are_laid_over_the_specs_own() -> None:
    own = quick(population={"members": 3, "grid": {"model.hidden": [4, 5], "task.bits": [1, 2]}})
    made = declared(own, grid={"model.hidden": [6]}, seeds=2)
    assert made.population is not None
    assert made.population.grid == {"model.hidden": (6,), "task.bits": (1, 2)}
    assert made.population.members == 2
    assert declared(own) == own
    assert len(declared(quick()).members()) == 1


def test_grids_are_read_as_overrides_are() -> None:
    found = grid_of(["model.hidden=8, 16", "learner.optimizer.lr=1e-3", "model.init={gain: 1.0},{gain: 2.0}"])
    assert found == {
        "model.hidden": [8, 16],
        "learner.optimizer.lr": [1e-3],
        "model.init": [{"gain": 1.0}, {"gain": 2.0}],
    }


@pytest.mark.parametrize("text", ["model.hidden", "=3", "model.hidden=", "model.hidden=]", "a=1,,"])
def test_what_is_no_grid_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--grid"):
        grid_of([text])


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(SpecError, match="once"):
        grid_of(["a=1", "a=2"])


def test_bad_input_leaves_nothing_behind(zoo_home: Path) -> None:
    with pytest.raises(SpecError, match=r"model\.hiden"):
        sweep(quick(), grid={"model.hiden": [1]})
    with pytest.raises(SpecError, match="members"):
        sweep(quick(), seeds=0)
    with pytest.raises(EngineError):
        sweep(quick(), engine="dusk")
    with pytest.raises(TrainingError, match="overrides"):
        sweep(quick(), ["train.steps=3"])
    with pytest.raises(TrainingError, match="group"):
        sweep(quick(), group=0)
    with pytest.raises(SpecError, match="paper"):
        zoo.sweep("dsa")
    assert os.listdir(zoo_home) == []


# Looking ------------------------------------------------------------------------------------------


def test_sweeps_are_found_by_the_beginning_of_their_name() -> None:
    a, b = sweep(quick(), seeds=1), sweep(quick(), seeds=2)
    assert SweepFolder.named(a.name).experiment == a.experiment
    assert SweepFolder.named(b.name[:-3]).path == b.folder.path
    with pytest.raises(UnknownNameError, match="2 sweeps"):
        SweepFolder.named("tiny-")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        SweepFolder.named(a.name[:-1] + "z")


def test_a_damaged_sweep_folder_says_so_and_is_written_anew() -> None:
    made = sweep(quick(), seeds=1)
    (made.folder.path / "spec.json").write_text("{")
    (made.folder.path / "state.json").write_text("[1")
    with pytest.raises(TrainingError, match="Call the same sweep again"):
        assert made.standing
    assert made.folder.state == {}
    assert sweep(quick(), seeds=1).standing.done == 1
