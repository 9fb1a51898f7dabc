"""An engine whose workers share no disk with the driver, in this process: each has a ZOO_HOME of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from zoo.engine.job import Job, Report
from zoo.engine.local import Here
from zoo.sweeps import work


class Elsewhere(Here):
    """Jobs in turn on workers with these homes."""

    name = "elsewhere"
    scattered = True

    def __init__(self, *homes: Path) -> None:
        self.homes = homes
        self.workers = len(homes)
        self.done: list[Path] = []
        self._turn = itertools.cycle(homes)

    def submit(self, job: Job) -> Future[Report]:
        home = next(self._turn)
        self.done.append(home)
        with pytest.MonkeyPatch.context() as patch, at_home(home):
            patch.setattr(work, "_sees", lambda order: False)
            return super().submit(job)


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """As on a machine with this ``ZOO_HOME``."""
    before = os.environ["ZOO_HOME"]
    os.environ["ZOO_HOME"] = str(home)
    try:
        yield
    finally:
        os.environ["ZOO_HOME"] = before


def files_below(folder: Path, but: Sequence[str] = (".lock",)) -> dict[str, bytes]:
    """Every file of a folder, by path."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in but)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
