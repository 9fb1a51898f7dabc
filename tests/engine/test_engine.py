"""Jobs through the engines of one machine: results, retries, halves, logs, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest
from engine import work

from zoo.engine.base import Engine
from zoo.engine.job import Job, Report
from zoo.engine.local import Here, Local
from zoo.engine.opening import cpus, open_engine
from zoo.engine.running import Runner
from zoo.errors import EngineError, VersionSkewError


def reports(engine: Engine, *jobs: Job) -> dict[str, Report]:
    found = list(Runner(engine, jobs))
    assert len(found) == len({job.key for job, _ in found}), "one report a job"
    return {job.key: report for job, report in found}


@pytest.mark.parametrize("name", ["here", "local:2"])
def test_each_job_runs_once_and_says_what_went_wrong(name: str, tmp_path: Path) -> None:
    jobs = [Job(str(k), work.square, (str(tmp_path), k), str(tmp_path / f"{k}.log")) for k in range(7)]
    jobs.append(Job("bad", work.diverge, (), str(tmp_path / "bad.log")))
    with open_engine(name) as engine:
        found = reports(engine, *jobs)
    assert {key: report.value for key, report in found.items() if key != "bad"} == {
        str(k): k * k for k in range(7)
    }
    assert sorted(work.notes(tmp_path)) == list("0123456")
    failure = found["bad"].failure
    assert failure is not None
    assert failure.kind == "DivergedError"
    assert "learning rate" in failure.message
    assert "about to fail" in found["bad"].output
    assert (tmp_path / "3.log").read_text() == "3 squared\n"
    assert "DivergedError" in (tmp_path / "bad.log").read_text()
    assert (len({report.worker for report in found.values()}) > 1) == (name != "here")


def test_a_log_that_cannot_be_written_fails_no_job(tmp_path: Path) -> None:
    found = reports(Here(), Job("a", work.square, (str(tmp_path), 3), str(tmp_path / "none" / "a.log")))
    assert found["a"].value == 9


def test_a_job_whose_worker_dies_is_tried_again_and_disturbs_no_other(tmp_path: Path) -> None:
    jobs = [Job(str(k), work.slow_square, (str(tmp_path), k, 0.05)) for k in range(10)]
    jobs[4:4] = [
        Job("99", work.die_first, (str(tmp_path), 99)),
        Job("dead", work.die_always, (str(tmp_path),)),
    ]
    with Local(2) as engine:
        found = reports(engine, *jobs)
    done = work.notes(tmp_path)
    assert found["99"].value == 99 * 99
    assert sorted(set(done) - {"-99", "died"}, key=int) == [*map(str, range(10)), "99"]
    assert done.count("died") == 3, "tried a bounded number of times"
    assert len(done) == 10 + 2 + 3, "the others once"
    failure = found["dead"].failure
    assert failure is not None
    assert failure.kind == "WorkerLost"
    assert "3 times" in failure.message


@pytest.mark.parametrize(("deadly", "hungry"), [(5, 99), (-1, 2), (5, 2)])
def test_groups_are_halved_where_workers_die_or_lack_memory(tmp_path: Path, deadly: int, hungry: int) -> None:
    def job(numbers: tuple[int, ...]) -> Job:
        return Job(str(numbers), work.squares, (str(tmp_path), numbers, deadly, hungry))

    def halve(whole: Job) -> list[Job]:
        numbers = whole.arguments[1]
        middle = len(numbers) // 2
        return [job(numbers[:middle]), job(numbers[middle:])] if middle else []

    with Local(2) as engine:
        found = list(Runner(engine, [job(tuple(range(8)))], halve))
    values = [value for _, report in found if report.value for value in report.value]
    assert sorted(values) == [k * k for k in range(8) if k != deadly]
    assert sorted(work.notes(tmp_path)) == [str(k) for k in range(8) if k != deadly], "each once"
    failed = [job.arguments[1] for job, report in found if report.failure]
    assert failed == ([(deadly,)] if deadly >= 0 else [])


def test_jobs_can_be_added_while_others_run_and_may_have_to_wait(tmp_path: Path) -> None:
    runner = Runner(Here(), [Job("0", work.square, (str(tmp_path), 0))])
    for job, report in runner:
        number = int(job.key)
        assert report.value == number * number
        if number == 0:
            runner.add(Job("2", work.square, (str(tmp_path), 2)), delay=0.3)
            runner.add(Job("1", work.square, (str(tmp_path), 1)))
    assert work.notes(tmp_path) == ["0", "1", "2"]


class Far(Engine):
    """Any number of workers; what was given first ends first, one job at each look."""

    name, retries, blames = "far", 0, False

    def __init__(self, workers: int) -> None:
        self.many, self.given = workers, deque[Future[Report]]()

    @property
    def workers(self) -> int:
        return self.many

    @property
    def slots(self) -> int:
        return self.many

    def submit(self, job: Job) -> Future[Report]:
        self.given.append(Future())
        return self.given[-1]

    def end_one(self) -> None:
        if len(self.given) >= self.many:
            self.given.popleft().set_result(Report())

    def lost(self, problem: BaseException) -> bool:
        raise problem

    def close(self, cancel: bool) -> None:
        pass


def test_what_a_job_costs_the_driver_does_not_grow_with_the_jobs_that_run() -> None:
    def cost(workers: int) -> float:
        engine = Far(workers)
        jobs = [Job(str(k), work.square) for k in range(workers + 300)]
        reports = iter(Runner(engine, jobs, tick=engine.end_one))
        assert next(reports)[0].key == "0"  # all slots are full
        begun = time.process_time()
        assert [next(reports)[0].key for _ in range(200)] == [str(k) for k in range(1, 201)]
        return time.process_time() - begun

    assert cost(5000) < 20 * cost(20)  # by looking at each that runs it would be over a hundred


def test_who_stops_listening_and_goes_on_misses_no_report() -> None:
    engine = Far(6)

    def end_all() -> None:
        while len(runner.flying) == 6 and engine.given:
            engine.given.popleft().set_result(Report())

    runner = Runner(engine, [Job(str(k), work.square) for k in range(6)], tick=end_all)
    assert [next(iter(runner))[0].key for _ in range(6)] == list("012345")
    assert list(runner) == []


def test_other_versions_are_refused_with_both(tmp_path: Path) -> None:
    engine = Local(1)
    engine._versions = {**engine._versions, "torch": "1.0"}
    with engine, pytest.raises(VersionSkewError, match=r"torch is 2.* on the worker and 1\.0 on the driver"):
        reports(engine, Job("a", work.square, (str(tmp_path), 1)))
    assert work.notes(tmp_path) == []


DRIVES = """
import sys
from engine import work
from zoo.engine.job import Job
from zoo.engine.local import Local
from zoo.engine.running import Runner
with Local(2) as engine:
    list(Runner(engine, [Job(str(k), work.stay, (sys.argv[1],)) for k in range(2)]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_driver(tmp_path: Path, how: signal.Signals) -> None:
    tests = Path(__file__).resolve().parents[1]
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVES, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tests)},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(work.notes(tmp_path)) == 2)
    workers = [int(text) for text in work.notes(tmp_path)]
    driver.send_signal(how)
    assert driver.wait(timeout=60) != 0
    wait_for(lambda: not any(map(alive, workers)))


def alive(process: int) -> bool:
    return psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE


def wait_for(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["", "dusk", "local:", "local:0", "local:two", "local:5000", "here:2", 3])
def test_what_is_no_engine_is_refused(name: object) -> None:
    with pytest.raises(EngineError, match="local:4"):
        open_engine(name)  # type: ignore[arg-type]


def test_names_of_engines() -> None:
    assert open_engine("local").workers == cpus()
    assert open_engine("local:3").name == "local:3"
    engine = Here()
    assert open_engine(engine) is engine
