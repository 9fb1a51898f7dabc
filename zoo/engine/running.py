"""Jobs through an engine: never more than it wants, tried again where a worker was lost."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue

from zoo.engine.base import Engine
from zoo.engine.job import Failure, Job, Report
from zoo.errors import VersionSkewError, cut

PATIENCE = 0.2
"""Seconds between two looks at the engine while nothing happens."""


class Runner:
    """Runs jobs and gives a report of each, as they end. More may be added while it is iterated.

    A job whose worker is lost, or that finds too little memory, is halved where ``halve`` gives parts of
    it, and else tried again, a bounded number of times. ``tick`` is called a few times a second.
    """

    def __init__(
        self,
        engine: Engine,
        jobs: Iterable[Job] = (),
        halve: Callable[[Job], Sequence[Job]] | None = None,
        tick: Callable[[], None] | None = None,
    ) -> None:
        self.engine = engine
        self.halve = halve
        self.tick = tick
        self.flying: dict[Future[Report], Job] = {}
        self._ended: SimpleQueue[Future[Report]] = SimpleQueue()
        """Filled by the futures themselves: to wait for any of thousands would take a look at each."""
        self._waiting: list[tuple[float, int, Job]] = []
        self._lost: Counter[str] = Counter()
        self._suspects: list[Job] = []
        """Lost with a worker that another job may have killed: each is tried again with nothing beside it."""
        self._added = 0
        self._begun: Job | None = None
        for job in jobs:
            self.add(job)

    def add(self, job: Job, delay: float = 0.0) -> None:
        """One more job, to begin in ``delay`` seconds at the earliest."""
        heapq.heappush(self._waiting, (time.monotonic() + delay if delay else 0.0, self._added, job))
        self._added += 1

    @property
    def running(self) -> list[Job]:
        """Jobs that the engine has."""
        begun = [self._begun] if self._begun else []
        return [*self.flying.values(), *begun]

    def __iter__(self) -> Iterator[tuple[Job, Report]]:
        """Each job with its report. Raises :class:`EngineError` where the engine as a whole fails."""
        while self._waiting or self.flying or self._suspects:
            self._fill()
            if not self.flying and not self._waiting and self._suspects:
                self._submit(self._suspects.pop())
            self._look()
            if not self.flying:  # all that is left has to wait
                time.sleep(PATIENCE)
                continue
            try:
                future = self._ended.get(timeout=PATIENCE)
            except Empty:
                continue
            job = self.flying.pop(future)
            report = self._report(future, job)
            if report is not None:
                yield job, report

    def _fill(self) -> None:
        if self._lost and not self.engine.blames and any(self._lost[job.key] for job in self.flying.values()):
            return  # a suspect stays by itself
        room = self.engine.slots - len(self.flying)
        while room > 0 and self._waiting and self._waiting[0][0] <= time.monotonic():
            self._submit(heapq.heappop(self._waiting)[2])
            room -= 1

    def _submit(self, job: Job) -> None:
        self._begun = job
        self._look()  # an engine may do the job before it returns
        future = self.engine.submit(job)
        self.flying[future], self._begun = job, None
        future.add_done_callback(self._ended.put)

    def _look(self) -> None:
        if self.tick:
            self.tick()

    def _report(self, future: Future[Report], job: Job) -> Report | None:
        """The report of a job that is over; none where it is tried again."""
        try:
            report = future.result()
        except (Exception, CancelledError) as problem:
            if not self.engine.lost(problem):
                return Report(failure=Failure.of(problem))
            return self._again(job, f"its worker was lost: {cut(' '.join(str(problem).split()), 300)}")
        if report.skew:
            raise VersionSkewError(report.worker, report.skew)
        if report.failure is not None and report.failure.memory:
            return None if self._halved(job) else report
        return report

    def _again(self, job: Job, why: str) -> Report | None:
        if self._halved(job):
            return None
        self._lost[job.key] += 1
        if self._lost[job.key] <= self.engine.retries:
            if self.engine.blames:
                self.add(job)
            else:
                self._suspects.append(job)
            return None
        times = self._lost[job.key]
        message = f"{why} (tried {times} time{'s' if times > 1 else ''})."
        return Report(failure=Failure("WorkerLost", message, memory=True))

    def _halved(self, job: Job) -> bool:
        """Add the parts of a job in its place; whether it has any."""
        parts = self.halve(job) if self.halve else ()
        for part in parts:
            self.add(part)
        return bool(parts)
