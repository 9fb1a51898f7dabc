"""Engines of this machine: the process itself, and processes beside it."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from zoo.engine.base import Engine
from zoo.engine.job import Job, Report, perform
from zoo.engine.versions import versions

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Here(Engine):
    """This process, one job after the other."""

    name = "here"
    retries = 0
    workers = 1
    slots = 1

    def submit(self, job: Job) -> Future[Report]:
        done: Future[Report] = Future()
        done.set_result(perform(job, versions()))
        return done

    def lost(self, problem: BaseException) -> bool:
        return False

    def close(self, cancel: bool) -> None:
        pass


class Local(Engine):
    """Processes of this machine, one thread each, through loky.

    Each is a pool of its own, so that a process that dies takes no other job with it, and it is known
    which job it died of. They end with the process that made them, however that ends.
    """

    retries = 2

    def __init__(self, workers: int) -> None:
        from zoo.extras import need

        self._loky = need("loky", "dist", "The engine 'local'")
        self.name = f"local:{workers}"
        self._count = workers
        self._versions = versions()
        self._idle: list[Executor] = []
        self._busy: dict[Future[Report], Executor] = {}

    @property
    def workers(self) -> int:
        return self._count

    slots = workers

    def submit(self, job: Job) -> Future[Report]:
        self._reclaim()
        pool = self._idle.pop() if self._idle else self._start()
        try:
            future: Future[Report] = pool.submit(perform, job, self._versions)
        except BrokenExecutor:  # it died while it was idle
            _end(pool)
            pool = self._start()
            future = pool.submit(perform, job, self._versions)
        self._busy[future] = pool
        return future

    def lost(self, problem: BaseException) -> bool:
        return isinstance(problem, BrokenExecutor)

    def close(self, cancel: bool) -> None:
        for pool in (*self._idle, *self._busy.values()):
            _end(pool, kill=cancel)
        self._idle.clear()
        self._busy.clear()

    def _start(self) -> Executor:
        return self._loky.ProcessPoolExecutor(
            max_workers=1, initializer=_prepare, initargs=(os.getpid(),), env=ONE_THREAD
        )

    def _reclaim(self) -> None:
        """Pools whose job is done are idle; those whose process died are gone."""
        for future in [future for future in self._busy if future.done()]:
            pool = self._busy.pop(future)
            if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
                _end(pool)
            else:
                self._idle.append(pool)


def _end(pool: Any, kill: bool = True) -> None:
    pool.shutdown(wait=True, kill_workers=kill)


def _prepare(driver: int) -> None:
    """A new worker leaves Ctrl-C to the driver, and ends when the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(driver,), daemon=True).start()


def _watch(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(0.5)
    os._exit(1)
