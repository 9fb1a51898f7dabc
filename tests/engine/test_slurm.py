"""Workers as jobs of a real SLURM, where one answers; ``scripts/slurm`` starts one and runs this."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from engine import work
from engine.dask_cluster import TESTS, wait_for

from zoo.engine.job import Job
from zoo.engine.opening import open_engine
from zoo.engine.running import Runner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True).returncode != 0,
        reason=os.environ.get("ZOO_NO_SLURM") or "no SLURM answers here; scripts/slurm starts one",
    ),
]


def queue() -> list[str]:
    """Numbers of the jobs of ours that SLURM runs or keeps waiting."""
    command = ["squeue", "--me", "--noheader", "--format=%i", "--name=dask-worker"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_jobs_survive_a_worker_that_dies_and_one_that_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    jobs = [Job(str(k), work.slow_square, (str(tmp_path), k, 0.3)) for k in range(40)]
    jobs.insert(5, Job("99", work.die_first, (str(tmp_path), 99)))
    with open_engine("slurm:workers=2,memory=500MB,interface=lo") as engine:
        wait_for(lambda: engine.workers == 2)
        assert len(queue()) == 2
        found = {}
        for job, report in Runner(engine, jobs):
            found[job.key] = report
            if len(found) == 20:
                subprocess.run(["scancel", queue()[0]], check=True)
        wait_for(lambda: engine.workers == 2)  # there is a new one for the one that was cancelled
    assert {key: report.value for key, report in found.items()} == {str(k): k * k for k in (*range(40), 99)}
    assert len({report.worker for report in found.values()}) >= 3, "the one that died was another afterwards"
    wait_for(lambda: not queue())
