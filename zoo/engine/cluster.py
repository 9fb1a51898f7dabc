"""Engines of many machines: a Dask scheduler that is there, or one whose workers are jobs in a queue."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Self

from zoo.engine.base import Engine
from zoo.engine.job import Job, Report, perform
from zoo.engine.queues import QueueSpec
from zoo.engine.versions import versions
from zoo.errors import EngineError

ANSWERS = 15.0
"""Seconds in which a scheduler has to answer."""
AHEAD = 2
"""Jobs a worker that the scheduler has, so that none waits for the driver."""
QUIET = {"dashboard_address": ":0"}
"""No warning where the usual port of Dask's dashboard is taken."""
NOISE = ("distributed.client", "distributed.core", "distributed.comm")
"""Loggers that say at length what an :class:`EngineError` says in a sentence."""


class Cluster(Engine):
    """Workers of a Dask scheduler, one job at a time each. They may come and go while it is open."""

    scattered = True
    retries = 1  # after the scheduler itself has given a job to three more workers
    blames = False  # a worker that is lost takes with it what it was to do next

    def __init__(
        self, name: str, connect: Callable[[], Any], mend: Callable[[Any], None] = lambda client: None
    ) -> None:
        from zoo.extras import need

        self._distributed = need("distributed", "dist", f"The engine {name!r}")
        self.name = name
        self._connect = connect
        self._mend = mend
        self._client: Any = None
        self._counted = (0.0, 0)
        """When the workers were last counted, and how many there were."""
        self._levels: dict[str, int] = {}

    def __enter__(self) -> Self:
        for name in NOISE:
            self._levels[name] = logging.getLogger(name).level
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client = self._connect()
        self._executor = self._client.get_executor(pure=False)
        self._versions = versions()
        return self

    @property
    def workers(self) -> int:
        when, count = self._counted
        if time.monotonic() - when > 1.0 and self._answers:
            try:
                count = len(self._client.nthreads())
                self._mend(self._client)
            except (OSError, CancelledError):  # it goes just now
                count = 0
            self._counted = time.monotonic(), count
        return count

    @property
    def slots(self) -> int:
        return max(1, AHEAD * self.workers)

    def submit(self, job: Job) -> Future[Report]:
        if not self._answers:
            raise self._gone()
        with warnings.catch_warnings():  # tiles of large networks are what is meant to be sent
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            done: Future[Report] = self._executor.submit(perform, job, self._versions)
        return done

    def lost(self, problem: BaseException) -> bool:
        if isinstance(problem, CancelledError):
            raise self._gone() from problem
        if isinstance(problem, ModuleNotFoundError) and (problem.name or "").partition(".")[0] == "zoo":
            raise EngineError(
                f"the workers of {self.name} cannot import the zoo of this driver: {problem}. "
                "Install the same version of neuroai-zoo where they run, start them anew, and call again."
            ) from problem
        return isinstance(problem, self._distributed.scheduler.KilledWorker)

    def close(self, cancel: bool) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._executor.shutdown(wait=not cancel and client.status == "running")
            cluster = client.cluster
            client.close()
            if cluster is not None:  # one that was started here
                cluster.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    @property
    def _answers(self) -> bool:
        return self._client is not None and self._client.status == "running"

    def _gone(self) -> EngineError:
        return EngineError(
            f"the scheduler of {self.name} is gone. What is finished is kept: start the scheduler and its "
            "workers again, and call the same command."
        )


def at(address: str) -> Cluster:
    """The engine of a Dask scheduler at ``host:port``."""
    name = f"dask://{address}"

    def connect() -> Any:
        from distributed import Client

        try:
            return Client(f"tcp://{address}", timeout=ANSWERS, set_as_default=False)
        except (OSError, ValueError) as problem:
            raise EngineError(
                f"no Dask scheduler answers at {name}: {problem}. Start one with 'dask scheduler', and "
                "workers with 'dask worker ADDRESS --nthreads 1', or correct the address."
            ) from problem

    return Cluster(name, connect)


def queued(name: str, spec: QueueSpec) -> Cluster:
    """The engine whose workers are jobs in the queue of a cluster; they go when it is closed."""

    def connect() -> Any:
        from distributed import Client

        from zoo.extras import need

        jobs = need("dask_jobqueue", "dist", f"The engine {name!r}")
        try:
            cluster = getattr(jobs, f"{spec.kind.upper()}Cluster")(**spec.options(), scheduler_options=QUIET)
            cluster.scale(jobs=spec.workers)
            return Client(cluster, timeout=ANSWERS, set_as_default=False)
        except (OSError, RuntimeError, ValueError) as problem:
            raise EngineError(
                f"no workers can be had from {name}: {problem}. Call from a machine that may submit jobs."
            ) from problem

    # Dask gives up a worker that was gone for a while, for example at the end of its walltime.
    return Cluster(name, connect, lambda client: client.cluster.scale(jobs=spec.workers))
