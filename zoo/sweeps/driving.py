"""The driver of a sweep: members that are not finished go through an engine until none is left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from zoo.engine.base import Engine
from zoo.engine.job import Failure, Job, Report
from zoo.engine.running import Runner
from zoo.errors import EngineError, RunLockedError
from zoo.paths import home
from zoo.placing import write_whole
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps import work
from zoo.sweeps.folder import FailedMember, SweepFolder
from zoo.training.run import Run

AGAIN = 1.0
"""Seconds until a member is looked at again that another process is training."""
VISIBLE = 20.0
"""Seconds in which a file system shows on one machine what was written on another."""
EVERY = 1.0
"""Seconds between two writings of how the sweep stands."""


class Driver:
    """Trains the members of one sweep. What stands on disk is all that it knows when it begins."""

    def __init__(self, folder: SweepFolder, experiment: ExperimentSpec, engine: Engine, group: int) -> None:
        self.folder = folder
        self.engine = engine
        self.experiment = experiment
        self.members: dict[str, tuple[int, ExperimentSpec]] = {}
        """Digest → number and experiment; what is twice in the grid is one member."""
        self.failed: dict[str, FailedMember] = {}
        self.group = group
        self.before = self.done = 0
        self.started = time.monotonic()
        self._written = -EVERY
        self._members_of: dict[str, tuple[str, ...]] = {}
        self._text: dict[str, str] = {}
        self._home, self._sweep = str(home()), str(folder.path)
        folder.log("").parent.mkdir(exist_ok=True)
        self.runner = Runner(engine, (), self._halves, self._tick)
        self._queue(self._take_in(enumerate(experiment.members())))

    def run(self, fail_fast: bool = False) -> None:
        """Train what is not finished. With ``fail_fast`` the first failure ends it.

        Raises :class:`EngineError` where the engine as a whole fails; what is finished stays finished.
        """
        failed = len(self.failed)
        try:
            for job, report in self.runner:
                self._settle(job, report)
                if fail_fast and len(self.failed) > failed:
                    return
        finally:
            self._write(running=[])

    # What it tells ----------------------------------------------------------------------------

    def state(self, running: Sequence[str]) -> dict[str, Any]:
        """How the sweep stands, as plain data."""
        elapsed = time.monotonic() - self.started
        trained = self.done - self.before
        rate = trained / elapsed if trained else None
        left = self.total - self.done - len(self.failed)
        return {
            "engine": self.engine.name,
            "workers": self.engine.workers,
            "members": self.total,
            "done": self.done,
            "failed": len(self.failed),
            "running": list(running),
            "per_second": rate,
            "seconds_left": left / rate if rate else None,
        }

    @property
    def total(self) -> int:
        """How many members there will have been in the end."""
        return len(self.members)

    @property
    def running(self) -> list[str]:
        """Digests of the members that the engine has."""
        return [digest for job in self.runner.running for digest in self._members_of[job.key]]

    def _tick(self) -> None:
        if time.monotonic() - self._written > EVERY:
            self._write(self.running)

    def _write(self, running: Sequence[str]) -> None:
        self.folder.write_state(self.state([digest[:12] for digest in running]))
        self._written = time.monotonic()

    # Jobs -------------------------------------------------------------------------------------

    def _take_in(self, numbered: Iterable[tuple[int, ExperimentSpec]]) -> list[str]:
        """Digests of those members that are new here and not finished."""
        todo = []
        for number, member in numbered:
            digest = member.digest()
            if digest in self.members:
                continue
            self.members[digest] = number, member
            if Run.of(member).finished:
                self.before, self.done = self.before + 1, self.done + 1
                self.folder.forget_failure(digest)
            else:
                self._text[digest] = json.dumps(member.plain())
                todo.append(digest)
        return todo

    def _queue(self, todo: Sequence[str]) -> None:
        for first in range(0, len(todo), self.group):
            self.runner.add(self._job(todo[first : first + self.group]))

    def _job(self, digests: Sequence[str]) -> Job:
        key = digests[0] + (f"+{len(digests) - 1}" if len(digests) > 1 else "")
        log = self.folder.log(digests[0])
        arguments = (self._home, self._sweep, [self._text[digest] for digest in digests])
        job = Job(key, work.train, arguments, str(log))
        self._members_of[key] = tuple(digests)
        return job

    def _halves(self, job: Job) -> list[Job]:
        digests = self._members_of[job.key]
        middle = len(digests) // 2
        return [self._job(half) for half in (digests[:middle], digests[middle:])] if middle else []

    def _settle(self, job: Job, report: Report) -> None:
        """Note what became of each member of a job."""
        digests = self._members_of[job.key]
        if report.failure and report.failure.kind == EngineError.__name__:
            raise EngineError(report.failure.message)
        outcomes: Iterable[Failure | None] = report.value or [report.failure] * len(digests)
        for digest, failure in zip(digests, outcomes, strict=True):
            if failure is None:
                self._see(digest)
                self.done += 1
                self.folder.forget_failure(digest)
            elif failure.kind == RunLockedError.__name__:
                self.runner.add(self._job([digest]), AGAIN)
            else:
                self._keep(digest, failure, job, report)

    def _see(self, digest: str) -> None:
        """Raises :class:`EngineError` where the driver does not see what a worker has finished."""
        run, end = Run.of(self.members[digest][1]), time.monotonic() + VISIBLE
        while not run.finished:
            if time.monotonic() > end:
                raise EngineError(
                    f"a worker has finished {run.folder}, and the driver does not see it. "
                    "Set ZOO_HOME to a folder that driver and workers share, and call again."
                )
            time.sleep(0.2)

    def _keep(self, digest: str, failure: Failure, job: Job, report: Report) -> None:
        number, _ = self.members[digest]
        log = self.folder.log(self._members_of[job.key][0])
        if report.output and not log.exists():  # the worker could not write it
            write_whole(log, report.output)
        row = FailedMember(
            digest, number, varied(self.experiment, number), failure.kind, failure.message, str(log)
        )
        self.failed[digest] = row
        self.folder.keep_failure(row)


def varied(experiment: ExperimentSpec, number: int) -> dict[str, Any]:
    """Dotted path → value, by path: what sets a member of the population apart from the others."""
    population = experiment.population
    if population is None:
        return {}
    found = sorted(population.variation(number, experiment.train.seed).items())
    return {path: value for path, value in found if path != "train.seed" or population.members > 1}
