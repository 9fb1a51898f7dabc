"""What driver and workers hand to one another through a hub: finished runs, states, and patience with it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from zoo.errors import HubError, RunLockedError, TrainingError
from zoo.hub.base import OvertakenError, UnreachableError
from zoo.hub.lookup import open_hub
from zoo.hub.parcels import Parcels, named, parcels
from zoo.sweeps.parts import PORTABLE, place_run, place_state, run_files, state_files
from zoo.training.run import Run

T = TypeVar("T")
AWAY = 600.0
"""Seconds for which a hub that does not answer is waited for."""
FIRST, LONGEST = 0.5, 15.0
"""Seconds between two tries: at first, and at most; they double."""
AT_ONCE = 8
"""Members that are asked for at the same time."""


def patiently(act: Callable[[], T], say: Callable[[str], object] = print) -> T:
    """What ``act`` gives, tried again while its hub does not answer.

    Raises the last :class:`UnreachableError` after :data:`AWAY` seconds, any other error at once.
    """
    end, pause, told = time.monotonic() + AWAY, FIRST, False
    while True:
        try:
            return act()
        except UnreachableError as problem:
            if time.monotonic() > end:
                raise
            if not told:
                say(f"{problem} It is tried again for up to {AWAY:.0f} s.")
                told = True
            time.sleep(max(pause, min(problem.pause or 0.0, LONGEST)) * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST)


class Exchange:
    """A hub as sweeps use it.

    A finished run is there under the digest of its spec, and never changes. The state of those that a worker
    trains together is there under a name that the driver gives them, as long as they are not finished.
    """

    def __init__(self, hub: Parcels, say: Callable[[str], object] = print) -> None:
        self.hub = hub
        self.say = say

    @classmethod
    def at(cls, address: str, say: Callable[[str], object] = print) -> Self:
        """Raises :class:`HubError` for what is no hub, or one without room for it."""
        return cls(parcels(open_hub(address)), say)

    def fetch(self, run: Run) -> bool:
        """Have a run here as it was finished anywhere; whether it was.

        Raises :class:`HubError`, :class:`RunLockedError`, :class:`TrainingError` for what is no such run.
        """
        found = patiently(lambda: self.hub.read(run_name(run)), self.say)
        if found is not None:
            try:
                place_run(run, found.files)
            except RunLockedError:
                raise
            except TrainingError as problem:
                raise TrainingError(
                    f"{problem} Remove it with: zoo delete {run_name(run)} --hub {self.hub.where}"
                ) from problem
        return found is not None

    def fetch_all(self, runs: Iterable[Run]) -> None:
        """The same for several at a time; what another process here is training is left to it."""

        def one(run: Run) -> None:
            with suppress(RunLockedError):
                self.fetch(run)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, runs))

    def publish(self, run: Run, files: Mapping[str, bytes]) -> bool:
        """Have a finished run on the hub, for everyone; whether it is this one.

        One that is there already stays as it is: where a run was finished elsewhere in the meantime, it is
        that one that counts. Raises :class:`HubError`.
        """
        try:
            patiently(lambda: self.hub.write(run_name(run), files, None), self.say)
        except OvertakenError:
            return False
        return True

    def begin(self, name: str, files: Mapping[str, bytes]) -> None:
        """Have a state of no more than specs on the hub, unless there is one. Raises :class:`HubError`."""
        with suppress(OvertakenError):
            self.hub.write(name, files, None)

    def save(self, name: str, runs: Sequence[Run]) -> bool:
        """Have the state of these runs on the hub; whether they have one. Tried once.

        Raises :class:`HubError`, :class:`TrainingError` where the state cannot travel.
        """
        files = state_files(runs)
        if files:
            with suppress(OvertakenError):  # by another worker that was given the same
                self.hub.write(name, files, self.hub.newest(name))
        return bool(files)

    def resume(self, name: str, runs: Sequence[Run]) -> bool:
        """Have these runs here as their state was saved; whether it was. A damaged one is left alone."""
        try:
            found = patiently(lambda: self.hub.read(name), self.say)
            if found is not None:
                place_state(runs, found.files)
            return found is not None and any(path.endswith(PORTABLE) for path in found.files)
        except UnreachableError:
            raise
        except (HubError, TrainingError) as problem:
            self.say(f"the state on the hub cannot be used, and training goes on without: {problem}")
            return False

    def forget(self, name: str) -> None:
        """Remove a state; what cannot be removed now is of no harm."""
        with suppress(HubError):
            self.hub.remove(name)


def run_name(run: Run) -> str:
    """The name of a finished run on a hub."""
    return named("run", run.experiment.digest())


class Courier:
    """While it is entered, has on a hub what runs here come to: each that finishes, and their last state.

    It works beside the training, looks at the disk every now and then, and disturbs nothing: where the hub
    does not answer, it tries again next time. What is finished in the end is for :meth:`Exchange.publish`.
    """

    def __init__(self, exchange: Exchange, state: str, runs: Sequence[Run], every: float) -> None:
        self.exchange = exchange
        self.state = state
        self.runs = [run for run in runs if not run.finished]
        self.every = every
        self.published: set[Path] = set()
        self._seen: object = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._end.wait(self.every):
            try:
                self._deliver()
            except (HubError, TrainingError, OSError) as problem:
                self.exchange.say(f"not on the hub yet: {problem}")

    def _deliver(self) -> None:
        for run in self.runs:
            if run.finished and run.folder not in self.published:
                with suppress(OvertakenError):
                    self.exchange.hub.write(run_name(run), run_files(run), None)
                self.published.add(run.folder)
        left = [run for run in self.runs if run.folder not in self.published]
        stamp = states_of(left)
        if stamp and stamp != self._seen:
            self.exchange.save(self.state, left)
            self._seen = stamp


def states_of(runs: Sequence[Run]) -> object:
    """Something that changes with the states of these runs, whatever a clock says; nothing without any."""
    from zoo.training.groups import begun_in
    from zoo.training.run import STATE

    folders = {run.folder for run in runs} | {folder for run in runs if (folder := begun_in(run)) is not None}
    found = []
    for folder in sorted(folders):
        with suppress(OSError):
            status = (folder / STATE).stat()
            found.append((str(folder), status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
