"""Where an index takes its entries from: the two forms of a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from zoo.errors import HubError
from zoo.hub.changes import LOCKS
from zoo.hub.index.entry import Entry, read_entry
from zoo.hub.reference import is_listed
from zoo.hub.repository import PREFIX, Repository

GONE = "-"
"""The stamp of a name that nothing is published under."""
Stamp = tuple[str, int]
"""What changes when an entry does, and the nanoseconds since 1970 of its latest change."""


class Source(Protocol):
    """A hub as an index sees it."""

    root: Path
    form: str
    """Indexes of another form are others."""
    kind: type[Entry]

    def names(self) -> dict[str, int]:
        """Each name that may have something published under it, with the number of its folder."""
        ...

    def folder(self, name: str) -> int:
        """The number of its folder; 0 where there is none."""
        ...

    def stamp(self, name: str) -> Stamp: ...
    def read(self, name: str) -> Entry | None:
        """None where nothing is published."""
        ...

    def idle(self, name: str) -> bool:
        """Whether nobody is writing to a name, as far as that can be seen."""
        ...


class CacheSource:
    """A directory of content-addressed repositories."""

    form = "cache"
    kind: type[Entry] = Entry

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = f"{root}{os.sep}{PREFIX}"

    def names(self) -> dict[str, int]:
        found = {}
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX):
                    name = entry.name[len(PREFIX) :].replace("--", "/")
                    if is_listed(name):
                        found[name] = entry.inode()
        return found

    def folder(self, name: str) -> int:
        return _number(f"{self._top}{name.replace('/', '--')}")

    def stamp(self, name: str) -> Stamp:
        """Of ``main``, which is replaced, and of the folder with the tags."""
        refs = f"{self._top}{name.replace('/', '--')}/refs"
        try:
            main, folder = os.stat(f"{refs}/main"), os.stat(refs)
        except OSError:
            return GONE, 0
        found = f"{main.st_ino}.{main.st_mtime_ns}.{main.st_size}.{folder.st_mtime_ns}"
        return found, max(main.st_mtime_ns, folder.st_mtime_ns)

    def read(self, name: str) -> Entry | None:
        repository = Repository(self.root, name)
        try:
            commit = repository.ref()
            if commit is None:
                return None
            tags = tuple(repository.tags())
        except (HubError, OSError) as problem:
            return Entry(name, problem=str(problem))
        return read_entry(repository.snapshot(commit), name, commit, tags)

    def idle(self, name: str) -> bool:
        from filelock import FileLock, Timeout

        lock = FileLock(self.root / LOCKS / f"{Repository(self.root, name).path.name}.lock", mode=0o666)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            return False
        lock.release()
        return True


class FolderSource:
    """A directory of plain checkpoint folders."""

    form = "plain"
    kind: type[Entry] = Entry

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> dict[str, int]:
        with os.scandir(self.root) as entries:
            return {entry.name: entry.inode() for entry in entries if is_listed(entry.name)}

    def folder(self, name: str) -> int:
        return _number(f"{self.root}{os.sep}{name}")

    def stamp(self, name: str) -> Stamp:
        """Of the record, and of the folder, which is replaced whole."""
        try:
            record, folder = (
                os.stat(f"{self.root}{os.sep}{name}{os.sep}record.json"),
                os.stat(f"{self.root}{os.sep}{name}"),
            )
        except OSError:
            return GONE, 0
        found = f"{record.st_ino}.{record.st_mtime_ns}.{record.st_size}.{folder.st_ino}.{folder.st_mtime_ns}"
        return found, max(record.st_mtime_ns, folder.st_mtime_ns)

    def read(self, name: str) -> Entry | None:
        folder = self.root / name
        return read_entry(folder, name) if (folder / "record.json").exists() else None

    def idle(self, name: str) -> bool:
        return True


def _number(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0
