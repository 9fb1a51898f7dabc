"""A sweep on a real Dask cluster: a worker is killed, then the driver, and each member is trained once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine.dask_cluster import DaskCluster, children, kill, wait_for
from examples import experiment

from zoo.errors import ZooWarning
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps.declaring import declared
from zoo.sweeps.sweep import sweep
from zoo.training.run import RESULT, Run

DRIVES = """
import sys, json, zoo
from zoo.specs.experiment import ExperimentSpec
zoo.sweep(ExperimentSpec.model_validate(json.loads(sys.argv[1])), engine=sys.argv[2])
"""
MEMBERS = 10


def finished(spec: ExperimentSpec) -> dict[str, int]:
    """When each finished member was finished."""
    files = [Run.of(member).folder / RESULT for member in spec.members()]
    return {file.parent.name: file.stat().st_mtime_ns for file in files if file.exists()}


@pytest.mark.slow
def test_a_worker_and_then_the_driver_are_killed(tmp_path: Path) -> None:
    train = {"steps": 100, "batch_size": 4, "validate_every": 50, "validation_trials": 8, "save_every": 10}
    spec = declared(experiment(train=train), seeds=MEMBERS)
    with DaskCluster(tmp_path) as cluster:
        workers = [cluster.worker(), cluster.worker()]
        command = [sys.executable, "-c", DRIVES, json.dumps(spec.plain()), cluster.engine]
        driver = subprocess.Popen(command)
        wait_for(lambda: len(finished(spec)) >= 2 or driver.poll() is not None)
        kill(children(workers[0].pid)[-1].pid)
        driver.send_signal(signal.SIGKILL)
        assert driver.wait() == -signal.SIGKILL
        before = finished(spec)
        assert 2 <= len(before) < MEMBERS
        made = sweep(spec, engine=cluster.engine)
    assert made.standing.done == MEMBERS
    assert not made.standing.failed
    assert finished(spec).items() >= before.items(), "what was finished was left alone"
    attempts = [len(list((Run.of(member).folder / "logs").iterdir())) for member in spec.members()]
    assert max(attempts) <= 2
    assert sum(count == 2 for count in attempts) <= 2, "only what a killed worker was training"


@pytest.mark.slow
def test_a_full_disk_on_one_worker_costs_what_it_was_given(tmp_path: Path, zoo_home: Path) -> None:
    (zoo_home / "runs").mkdir()
    spec = declared(experiment(), seeds=6)
    with DaskCluster(tmp_path) as cluster:
        worker = cluster.worker(mounts={zoo_home / "runs": "size=4k"})
        broken = sweep(spec, engine=cluster.engine)
        assert {row.kind for row in broken.standing.failed} == {"TrainingError"}
        assert "cannot be written: No space left on device" in broken.standing.failed[0].message
        assert broken.standing.left == 6
        worker.terminate()
        worker.wait()
        cluster.worker()
        assert sweep(spec, engine=cluster.engine).standing.done == 6


@pytest.mark.parametrize("hidden", ["", pytest.param("runs", marks=pytest.mark.slow)])
def test_workers_with_a_disk_of_their_own_send_back_what_they_finish(
    tmp_path: Path, zoo_home: Path, hidden: str
) -> None:
    """Where the driver's folder, or the one with the runs, is another disk on the worker."""
    (zoo_home / hidden).mkdir(exist_ok=True)
    with DaskCluster(tmp_path) as cluster:
        cluster.worker(mounts={zoo_home / hidden: "size=8m"})
        with pytest.warns(ZooWarning, match="a ZOO_HOME of their own"):
            made = sweep(declared(experiment(), seeds=2), engine=cluster.engine)
    assert made.standing.done == 2
    assert made.checkpoint().record.members == 2
