"""What every engine offers: slots to fill, and a future for each job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from zoo.engine.job import Job, Report


class Engine(ABC):
    """A place where jobs run, from entering it (``with engine:``) to :meth:`close`.

    It knows nothing of retries, keys or what jobs mean: :class:`zoo.engine.running.Runner` does.
    """

    name: str
    """How it was asked for, such as ``local:4``."""
    retries: int
    """How often a job is tried again whose worker was lost, beyond what the engine does by itself."""
    scattered: bool = False
    """Whether workers may be on several machines, with disks of their own."""
    blames: bool = True
    """Whether a job that is lost with its worker was the one that ran there."""

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many are there now."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many jobs it wants to have at a time; at least one."""

    @abstractmethod
    def submit(self, job: Job) -> Future[Report]:
        """Begin a job, of :attr:`slots` at most. Raises :class:`EngineError` where that cannot be."""

    @abstractmethod
    def lost(self, problem: BaseException) -> bool:
        """Whether the error of a future says that its worker was lost.

        Raises :class:`EngineError` where it says that the engine as a whole is gone.
        """

    @abstractmethod
    def close(self, cancel: bool) -> None:
        """Let the workers go; with ``cancel`` without waiting for what they do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)
