"""Jobs through a real Dask scheduler and real workers, of which some are killed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine import work
from engine.dask_cluster import DaskCluster, children, kill

from zoo.engine import cluster
from zoo.engine.job import Job
from zoo.engine.opening import open_engine
from zoo.engine.queues import QueueSpec, read, written
from zoo.engine.running import Runner
from zoo.errors import EngineError, SpecError, VersionSkewError


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask")) as made:
        made.worker()
        made.worker()
        yield made


def test_jobs_survive_workers_that_die_under_them(dask: DaskCluster, tmp_path: Path) -> None:
    jobs = [Job(str(k), work.square, (str(tmp_path), k), str(tmp_path / f"{k}.log")) for k in range(20)]
    jobs.append(Job("99", work.die_first, (str(tmp_path), 99)))
    jobs.append(Job("bad", work.diverge))
    with open_engine(dask.engine) as engine:
        found = {job.key: report for job, report in Runner(engine, jobs)}
    assert {key: report.value for key, report in found.items() if key != "bad"} == {
        str(k): k * k for k in (*range(20), 99)
    }
    failure = found["bad"].failure
    assert failure is not None
    assert failure.kind == "DivergedError"
    assert "about to fail" in found["bad"].output
    assert (tmp_path / "7.log").read_text().startswith("7 squared")
    assert set(work.notes(tmp_path)) == {"-99", "99", *map(str, range(20))}


def test_a_job_that_kills_every_worker_is_given_up(dask: DaskCluster, tmp_path: Path) -> None:
    def halve(job: Job) -> list[Job]:
        numbers = job.arguments[1]
        return [group(numbers[:1]), group(numbers[1:])] if len(numbers) > 1 else []

    def group(numbers: tuple[int, ...]) -> Job:
        return Job(str(numbers), work.squares, (str(tmp_path), numbers, 7, 99))

    with open_engine(dask.engine) as engine:
        found = {job.arguments[1]: report for job, report in Runner(engine, [group((7, 8))], halve)}
    assert found[8,].value == [64]
    failure = found[7,].failure
    assert failure is not None
    assert failure.kind == "WorkerLost"


def test_other_versions_on_a_worker_are_refused_with_both(tmp_path: Path) -> None:
    preload = tmp_path / "older.py"
    preload.write_text("import zoo\nzoo.__version__ = '0.0.1'\n")
    with DaskCluster(tmp_path) as own:
        own.worker("--preload", str(preload), "--no-nanny")
        job = Job("a", work.square, (str(tmp_path), 1))
        with (
            open_engine(own.engine) as engine,
            pytest.raises(
                VersionSkewError, match=r"neuroai-zoo is 0\.0\.1 on the worker and \d.* on the driver"
            ),
        ):
            list(Runner(engine, [job]))
    assert work.notes(tmp_path) == []


def test_a_scheduler_that_is_killed_is_one_clear_error(tmp_path: Path) -> None:
    with DaskCluster(tmp_path) as own:
        worker = own.worker()
        jobs = [Job(str(k), work.slow_square, (str(tmp_path), k, 0.2)) for k in range(200)]
        with open_engine(own.engine) as engine:
            runner = iter(Runner(engine, jobs))
            next(runner)
            own.scheduler.send_signal(signal.SIGKILL)
            with pytest.raises(EngineError, match=r"is gone\. What is finished is kept"):
                list(runner)
        for each in children(worker.pid):
            kill(each.pid)


def test_where_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWERS", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        engine = open_engine(f"dask://127.0.0.1:{port}")
        with (
            pytest.raises(EngineError, match=r"no Dask scheduler answers at dask://127.*dask worker"),
            engine,
        ):
            pass


def test_no_job_runs_beside_another_in_one_process(tmp_path: Path) -> None:
    with DaskCluster(tmp_path) as own:
        own.worker("--nthreads", "4", "--no-nanny")
        with open_engine(own.engine) as engine:
            jobs = [Job(str(k), work.alone, (str(tmp_path),)) for k in range(6)]
            assert [report.value for _, report in Runner(engine, jobs)] == [1] * 6


# What workers ask of a queue ----------------------------------------------------------------------


def test_a_queue_in_a_word_and_in_a_file(tmp_path: Path) -> None:
    found = written("slurm:workers=4,cores=2,memory=4GB,queue=short,walltime=01:00:00")
    assert found == QueueSpec(
        kind="slurm", workers=4, cores=2, memory="4GB", queue="short", walltime="01:00:00"
    )
    assert written("pbs").memory == "2GB"
    file = tmp_path / "cluster.yaml"
    file.write_text("kind: lsf\nworkers: 3\ndirectives: ['-R gpu']\n")
    assert read(file) == QueueSpec(kind="lsf", workers=3, directives=("-R gpu",))
    assert open_engine(str(file)).name == str(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slurm:4", "key=value"),
        ("slurm:workers=", "key=value"),
        ("slurm:workers=2,workers=3", "an option of its own"),
        ("slurm:workers=two", r"workers: should be a whole number"),
        ("slurm:workers=0", "workers"),
        ("slurm:nodes=2", r"nodes.*unknown key"),
        ("missing.yaml", "cannot be read"),
    ],
)
def test_what_is_no_queue_is_refused(text: str, message: str) -> None:
    with pytest.raises((EngineError, SpecError), match=message):
        open_engine(text)


@pytest.mark.parametrize("kind", ["slurm", "pbs", "lsf", "sge"])
def test_job_scripts_ask_for_what_was_asked(kind: str, zoo_home: Path) -> None:
    import dask_jobqueue

    spec = written(f"{kind}:memory=3GB,queue=short,walltime=00:30:00")
    cls = getattr(dask_jobqueue, f"{kind.upper()}Cluster")
    script = cls.job_cls(scheduler="tcp://127.0.0.1:1", name="job", **spec.options()).job_script()
    assert "short" in script
    assert "--nthreads 1" in script
    assert "export OMP_NUM_THREADS=1" in script
