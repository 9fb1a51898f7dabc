"""An index of one hub, brought up to date before each answer with a few looks at the hub, not one a name."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from zoo.errors import HubError, ZooWarning
from zoo.hub.changes import Position, changes_since, position_of
from zoo.hub.index.database import Database, Order, Row, damaged
from zoo.hub.index.entry import Entry
from zoo.hub.index.query import Query
from zoo.hub.index.sources import GONE, Source
from zoo.paths import home

BUDGET = 0.03
"""Seconds of each question that go into looking for changes that nobody told of."""
SETTLED = 2 * 10**9
"""Nanoseconds after which a change of a file shows in its time, whatever the resolution of the clock."""
BATCH = 500
"""Names that are read between two commits."""
SLICE = 256
"""Names whose files are looked at between two glances at the clock."""
SHOWN = 5000
"""Entries of an answer, at most, that are looked at one by one before they are given."""
PATIENCE = 900.0
"""Seconds to wait for another process that is reading the hub into the same index."""
TRIES = 4
LOCK = "lock"
EVERYTHING = Query()
T = TypeVar("T")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Health:
    """What a thorough look at an index found."""

    entries: int
    stale: int
    """Names of which it would have said something else than the hub."""
    damaged: bool
    """Whether its file could not be read, and was made anew."""


@dataclass
class _Plan:
    """What has to be read, and what is then known of the whole."""

    names: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    facts: dict[str, Any] = field(default_factory=dict)
    new: bool = False
    """Whether anything but the place of the next look has changed."""


class Index:
    """What is published on one hub, as it is at the moment of each question.

    Writers of the zoo tell which names they change (:mod:`zoo.hub.changes`); a name that comes or goes by
    other hands changes the time of the hub's folder; and what changes by other hands under a name is seen
    when that name is shown, or found in turn, some thousand names with each question. Nothing counts as seen
    before it is stored, so a process may be killed at any moment. The file is one's own, and one for each
    machine; where it is damaged it is made anew, and where it cannot be kept, it is kept in memory.

    For several threads and processes at once. Raises :class:`OSError` where the hub cannot be read, and
    :class:`HubError` where another process holds the index for too long.

    Args:
        budget: Seconds of each question that go into finding changes in turn; without, :data:`BUDGET`.
    """

    def __init__(self, source: Source, budget: float | None = None) -> None:
        self.source = source
        self.progress: Progress | None = None
        """Told how many names of how many have been read, where there are many."""
        self._budget = budget
        self._database = Database(folder_of(source), source.kind)
        self._turn = threading.RLock()
        self._damaged = False

    @property
    def built(self) -> bool:
        """Whether the hub has been read before, so that an answer takes little time."""
        with self._turn, suppress(OSError, sqlite3.Error):
            folder = self._database.folder
            return (folder is None or folder.is_dir()) and "whole" in self._database.facts()
        return False

    def names(
        self, query: Query = EVERYTHING, limit: int | None = None, start: int = 0, order: Order = "name"
    ) -> list[str]:
        """Names that a query finds: so many, from a place on, in an order."""
        return self._answer(lambda: self._database.names(query, limit, start, order))

    def count(self, query: Query = EVERYTHING) -> int:
        return self._answer(lambda: self._database.count(query))

    def get(self, names: Sequence[str]) -> list[Entry]:
        """What is known of some names: of those that there are, in the order of these, each looked at."""
        return self._answer(lambda: self._seen(lambda: list(names)))

    def find(
        self, query: Query = EVERYTHING, limit: int | None = None, start: int = 0, order: Order = "name"
    ) -> list[Entry]:
        """The same, and what is known of each, which is looked at."""
        return self._answer(lambda: self._seen(lambda: self._database.names(query, limit, start, order)))

    def check(self) -> Health:
        """Look at every name, and mend what is out of date although it should not be."""
        with self._turn:
            self._damaged = False
            self.count()
            stale = self._answer(lambda: 0, thorough=True)
            return Health(self.count(), stale, self._damaged)

    def _answer(self, act: Callable[[], T], thorough: bool = False) -> T:
        """What ``act`` says of tables that are up to date; if ``thorough``, how many names were not."""
        with self._turn:
            for last in (False, False, True):
                try:
                    stale = self._refresh(thorough)
                    return stale if thorough else act()  # type: ignore[return-value]
                except sqlite3.Error as problem:
                    if last:
                        raise HubError(f"the index of {self.source.root} fails: {problem}.") from problem
                    self._begin_anew(problem)
            raise AssertionError("the last try returns or raises")

    def _begin_anew(self, problem: sqlite3.Error) -> None:
        folder = self._database.folder
        if damaged(problem) and folder is not None:
            self._damaged = True
            with suppress(OSError, sqlite3.OperationalError), self._alone():
                self._database.remove()
                return
        self._database.close()
        self._database = Database(None, self.source.kind)
        if folder is not None:
            warnings.warn(
                f"the index of {self.source.root} cannot be kept at {folder} ({problem}), so every "
                "checkpoint is read anew. Free some space, or set ZOO_HOME to a folder of your own.",
                ZooWarning,
                stacklevel=4,
            )

    def _seen(self, ask: Callable[[], list[str]]) -> list[Entry]:
        """Entries of the names that are found, none of which has changed since it was read."""
        for _ in range(TRIES):
            names = ask()
            known = self._database.stamps_of(names[:SHOWN])
            stale = [name for name, stamp in known.items() if self.source.stamp(name)[0] != stamp]
            if not (stale := [name for name in stale if known[name]]):
                break
            with self._alone():
                self._read(stale)
        return self._database.entries(names)

    def _refresh(self, thorough: bool = False) -> int:
        """Bring the tables up to date; how many names they said something wrong of."""
        plan = self._plan(thorough)
        if not plan.new:
            if plan.facts:
                with suppress(
                    sqlite3.OperationalError
                ):  # to be read only, say: the next look begins there again
                    self._database.note(plan.facts)
            return 0
        with self._alone() as waited:
            if waited:
                plan = self._plan(thorough)
            stale = self._read(sorted(plan.names))
            with self._database.writing():
                self._database.set_begun(plan.begun)
                self._database.note(plan.facts)
        return stale

    def _plan(self, thorough: bool) -> _Plan:
        facts, root, plan = self._database.facts(), self.source.root, _Plan()
        try:
            status = os.stat(root)
        except FileNotFoundError:
            plan.names = set(self._database.folders())
            plan.facts, plan.new = {"root": "", "changed": ""}, bool(plan.names)
            return plan
        here: dict[str, Any] = {
            "root": f"{status.st_dev}.{status.st_ino}",
            "changed": _settled(status.st_mtime_ns),
        }
        before = Position(facts.get("file", ""), facts.get("offset", 0))
        changes = changes_since(root, before) if "whole" in facts and facts["root"] == here["root"] else None
        if changes is None:
            thorough = True
            changes = changes_since(root, Position(position_of(root).file, 0)) or changes_since(
                root, Position("", 0)
            )
        begun = self._database.begun()
        plan.names = begun | self._database.unsettled()
        if changes is not None:
            plan.begun = begun - (changes.names - changes.begun)
            plan.begun = {name for name in plan.begun if not self.source.idle(name)} | changes.begun
            plan.names |= changes.names
            here |= {"file": changes.position.file, "offset": changes.position.offset}
        if thorough or not here["changed"] or facts.get("changed") != here["changed"]:
            plan.names |= self._come_and_gone()
        differing, cursor = self._differing(facts.get("cursor", ""), None if thorough else self._time())
        plan.names |= differing
        here["whole"] = 1
        plan.new = bool(plan.names) or plan.begun != begun or any(facts.get(key) != here[key] for key in here)
        plan.facts = here if plan.new else {}
        if cursor != facts.get("cursor", ""):
            plan.facts |= {"cursor": cursor}
        return plan

    def _time(self) -> float:
        return BUDGET if self._budget is None else self._budget

    def _come_and_gone(self) -> set[str]:
        """Names that only the tables or only the hub has, and those whose folder is another one."""
        found, known = self.source.names(), self._database.folders()
        return {name for name, _ in found.items() ^ known.items()}

    def _differing(self, cursor: str, budget: float | None) -> tuple[set[str], str]:
        """Names whose files have changed, as far as one gets in the time, and where the next look begins."""
        end = None if budget is None else time.monotonic() + budget
        first, cursor = (cursor, cursor) if end else ("", "")
        found, wrapped = set[str](), not first
        while True:
            rows = self._database.stamps(cursor, SLICE)
            found.update(name for name, known in rows if known and self.source.stamp(name)[0] != known)
            cursor = rows[-1][0] if len(rows) == SLICE else ""
            if not cursor and wrapped:
                return found, ""
            wrapped |= not cursor
            if (wrapped and first and cursor >= first) or (end and time.monotonic() > end):
                return found, cursor

    def _read(self, names: Sequence[str]) -> int:
        """Read names into the tables, some at a time; of how many these said something else."""
        stale = 0
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            before = {entry.name: entry for entry in self._database.entries(batch)}
            rows = [self._row(name) for name in batch]
            stale += sum(row.entry != before.get(row.name) for row in rows)
            with self._database.writing():
                self._database.put(row for row in rows if row.inode)
                self._database.drop(row.name for row in rows if not row.inode)
            if self.progress and len(names) > 4 * BATCH:
                self.progress(start + len(batch), len(names))
        return stale

    def _row(self, name: str) -> Row:
        inode = self.source.folder(name)
        stamp, newest = self.source.stamp(name) if inode else (GONE, 0)
        entry = self.source.read(name) if stamp != GONE else None
        return Row(name, inode, stamp if _settled(newest) or stamp == GONE else "", entry)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """With no other process reading the hub into this index; whether one was waited for."""
        folder = self._database.folder
        if folder is None:
            yield False
            return
        from filelock import FileLock, Timeout

        lock = FileLock(folder / LOCK, timeout=PATIENCE)
        waited = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waited = True
                lock.acquire()
        except Timeout as problem:
            raise HubError(
                f"another process has been reading {self.source.root} into {folder} for {PATIENCE:.0f} s. "
                "Wait for it, or end it, and try again."
            ) from problem
        except OSError as problem:
            raise sqlite3.OperationalError(str(problem)) from problem
        try:
            yield waited
        finally:
            lock.release()


def folder_of(source: Source) -> Path:
    """Where the index of a hub is kept: one for each machine, because they could not share a file."""
    root = os.path.realpath(source.root)
    key = "\n".join((root, source.form, platform.node()))
    name = re.sub("[^A-Za-z0-9._-]+", "-", os.path.basename(root))[:40] or "hub"
    return places() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def places() -> Path:
    """The folder with all indexes."""
    return home() / "cache" / "index"


def _settled(changed: int) -> str:
    """A time of change in nanoseconds as it is kept; empty where another change might have the same."""
    return "" if abs(time.time_ns() - changed) < SETTLED else str(changed)
