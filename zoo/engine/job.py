"""A job, what a worker says of it, and how a worker does one."""

from __future__ import annotations

import errno
import io
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any, Self, TextIO

from zoo.engine.versions import differences

TAIL = 4000
"""Characters of its output that come back with a job that failed."""
_ALONE = threading.Lock()
"""One job at a time in a process: seeds, threads of torch and the standard streams are the process's."""


@dataclass(frozen=True)
class Job:
    """A call of a function that the workers can import. Jobs of one key are the same job."""

    key: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    """Plain data, so that a worker of another version can read them and say so."""
    log: str | None = None
    """File that gets what the job prints, where the worker can write it."""


@dataclass(frozen=True)
class Failure:
    """Why a job, or a part of one, has no result."""

    kind: str
    """Name of the class of the error."""
    message: str
    trace: str = ""
    memory: bool = False
    """Whether there was not enough memory, so that less at a time may do."""
    disk: bool = False
    """Whether there was no room on a disk of the worker."""

    @classmethod
    def of(cls, problem: BaseException) -> Self:
        trace = "".join(traceback.format_exception(problem))
        message = str(problem) or "no message"
        return cls(type(problem).__name__, message, trace, lacks_memory(problem), lacks_room(problem))


@dataclass(frozen=True)
class Report:
    """What a worker says of one job: a value, or a failure with the end of the output."""

    value: Any = None
    failure: Failure | None = None
    seconds: float = 0.0
    worker: str = ""
    output: str = ""
    skew: str = ""
    """How the versions on the worker differ from the driver's; the job was not begun then."""


def perform(job: Job, versions: dict[str, str]) -> Report:
    """Do a job, on a worker. ``versions`` are the driver's; where they differ the job is refused."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    if skew := differences(versions):
        return Report(worker=worker, skew=skew)
    with _ALONE, _log(job.log) as log, redirect_stdout(log), redirect_stderr(log):
        started, value, failure = time.monotonic(), None, None
        try:
            value = job.call(*job.arguments)
        except (Exception, SystemExit) as problem:
            failure = Failure.of(problem)
            print(failure.trace, file=log, flush=True)
        return Report(value, failure, time.monotonic() - started, worker, _tail(log) if failure else "")


def lacks_memory(problem: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on the CPU or on a device."""
    return (
        isinstance(problem, MemoryError)
        or type(problem).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(problem)
    )


def lacks_room(problem: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that a disk is full or a quota used up."""
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


@contextmanager
def _log(path: str | None) -> Iterator[TextIO]:
    """The log of a job; in memory where the file cannot be written, which must not fail the job."""
    log: TextIO = io.StringIO()
    with suppress(OSError):
        log = open(path, "a+", buffering=1, encoding="utf-8") if path else log  # noqa: SIM115
    try:
        yield log
    finally:
        with suppress(OSError):  # what is printed last may find the disk full
            log.close()


def _tail(log: TextIO) -> str:
    try:
        log.seek(max(0, log.tell() - TAIL))
        return log.read()
    except (OSError, ValueError):
        return ""
