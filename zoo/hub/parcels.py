"""Parcels: files that processes hand to one another through a hub, where they share no disk.

A parcel has a name of its own kind, which no list of checkpoints shows, and one state at a time: whoever
replaces it says what is to be followed, and of two who do, the second is told. Its ``index.json`` gives
size and SHA-256 of each of its files, which lie beside it under their digests.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.checkpoints.folder import describe, parse_json
from zoo.errors import CheckpointError, HubError, brief
from zoo.hub.base import MAIN, Hub, OvertakenError, commit_of
from zoo.hub.cache import CacheHub
from zoo.hub.object_repository import ObjectRepository
from zoo.hub.objects import ObjectHub
from zoo.hub.reference import is_parcel
from zoo.placing import DEVICE
from zoo.specs.record import FileEntry

INDEX, FORMAT = "index.json", "parcel/1"
MOST = 4 * 2**30
"""Bytes of a parcel at most."""
MOST_FILES = 10_000
WORKERS = 8
"""Files that are fetched at the same time, at most."""
PART = re.compile("[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9_-])?")
"""Folders and files in the path of a file."""
TRIES = 20
"""How often a parcel is looked at anew that is replaced while it is read."""
Fetch = Callable[[str, int | None], bytes | None]
"""A file of a commit, of a size that may be known; none where it is not there (any more)."""


@dataclass(frozen=True)
class Parcel:
    """What stands under a name now."""

    commit: str
    files: dict[str, bytes]
    """Path → content, each of the digest that the index gives."""


class Parcels(ABC):
    """The parcels of one hub.

    All methods raise :class:`HubError` where the hub refuses, :class:`UnreachableError` where it does not
    answer, which may pass.
    """

    beat = 15.0
    """Seconds between two writings of one parcel that such a hub takes for hours."""

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def newest(self, name: str) -> str | None:
        """The commit that a name stands for; none where there is no such parcel."""

    @abstractmethod
    def write(self, name: str, files: Mapping[str, bytes], after: str | None) -> str:
        """Replace the parcel of the commit ``after``, or make it where that is none; the new commit.

        Raises :class:`OvertakenError` where the name stands for another one by now.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a parcel, if it is there."""

    @abstractmethod
    def _reading(self, name: str, commit: str) -> Any:
        """A context that gives a :data:`Fetch`."""

    def read(self, name: str) -> Parcel | None:
        """What stands under a name now, verified. Raises :class:`HubError` besides where it is damaged."""
        for _ in range(TRIES):
            commit = self.newest(name)
            if commit is None:
                return None
            with self._reading(name, commit) as fetch:
                found = self._all(name, fetch)
            if found is not None:
                return Parcel(commit, found)
            if self.newest(name) == commit:  # made, and not filled
                return None
        raise HubError(f"{name} in {self.where} is replaced faster than it can be read. Try again.")

    def _all(self, name: str, fetch: Fetch) -> dict[str, bytes] | None:
        text = fetch(INDEX, None)
        if text is None:
            return None
        try:
            entries = index(text)
            digests = {entry.sha256: entry.size for entry in entries.values()}
            with ThreadPoolExecutor(WORKERS) as pool:
                found = dict(zip(digests, pool.map(fetch, digests, digests.values()), strict=True))
            if None in found.values():
                return None
            return {path: _checked(found[entry.sha256], entry, path) for path, entry in entries.items()}
        except (CheckpointError, ValueError) as problem:
            raise HubError(
                f"{name} in {self.where} is damaged: {problem}. Remove it with: "
                f"zoo delete {name} --hub {self.where}"
            ) from problem


def parcels(hub: Hub) -> Parcels:
    """The parcels of a hub. Raises :class:`HubError` for one that has none."""
    if isinstance(hub, CacheHub):
        return DirectoryParcels(hub)
    if isinstance(hub, ObjectHub):
        return ObjectParcels(hub)
    from zoo.hub.huggingface import HuggingFaceHub

    if isinstance(hub, HuggingFaceHub):
        from zoo.hub.remote_parcels import RemoteParcels

        return RemoteParcels(hub)
    raise HubError(
        f"the hub {hub.name!r} ({hub.where}) keeps finished checkpoints only, in plain folders. Give a "
        "directory of its own, the address of a server by 'zoo serve', or one of an object store."
    )


def named(kind: str, identity: str) -> str:
    """The name of the parcel of a kind (``run``, ``state``, ``sweep``) for what a text identifies."""
    name = f"zoo-{kind}-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    assert is_parcel(name)
    return name


def packed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The index and the files under their digests, as a hub keeps them."""
    entries = {path: describe(data) for path, data in sorted(files.items())}
    text = json.dumps({"format": FORMAT, "files": {path: e.plain() for path, e in entries.items()}}, indent=1)
    return {INDEX: text.encode(), **{entries[path].sha256: files[path] for path in entries}}


def unpacked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What was packed, verified. Raises ValueError where it is not all there, or other bytes."""
    entries = index(files.get(INDEX, b""))
    return {path: _checked(files.get(entry.sha256), entry, path) for path, entry in entries.items()}


def index(text: bytes) -> dict[str, FileEntry]:
    """Path → size and SHA-256. Raises ValueError for what is no index, or one of too much."""
    try:
        document = parse_json(text)
        form = document["format"]
        found = {path: FileEntry.model_validate(entry) for path, entry in document["files"].items()}
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as problem:
        raise ValueError(f"it has no index ({type(problem).__name__}: {str(problem)[:200]})") from problem
    if form != FORMAT:
        raise ValueError(f"its index is {brief(form)}, and {FORMAT} is known here")
    parts = {part for path in found for part in path.split("/")}
    if not all(PART.fullmatch(part) and not DEVICE.fullmatch(part) for part in parts):
        raise ValueError("it has files whose names lead elsewhere")
    if len(found) > MOST_FILES or sum(entry.size for entry in found.values()) > MOST:
        raise ValueError(f"it is larger than {MOST_FILES:,} files or {MOST:,} bytes")
    return found


def _checked(data: bytes | None, entry: FileEntry, path: str) -> bytes:
    if data is None or len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ValueError(f"{path} is not what the index says (SHA-256)")
    return data


class DirectoryParcels(Parcels):
    """Parcels beside the checkpoints in a directory."""

    def __init__(self, hub: CacheHub) -> None:
        super().__init__(hub.where)
        self.hub = hub

    def newest(self, name: str) -> str | None:
        with self.hub._failing_clearly(f"find {name!r}"):
            return self.hub._repository(name).ref()

    def write(self, name: str, files: Mapping[str, bytes], after: str | None) -> str:
        stored = packed(files)
        digests = {file: hashlib.sha256(data).hexdigest() for file, data in stored.items()}
        commit, repository = commit_of(digests), self.hub._repository(name)
        with self.hub._failing_clearly(f"write {name!r}"), repository.locked():
            check_follows(name, self.where, repository.ref(), after, commit)
            repository.store(commit, stored, digests, (MAIN,))
            for old in repository.commits():
                if old not in (commit, after):  # which somebody may be reading
                    repository.remove(old)
        return commit

    def remove(self, name: str) -> None:
        repository = self.hub._repository(name)
        if not repository.exists:
            return
        with self.hub._failing_clearly(f"remove {name!r}"), repository.locked():
            if repository.exists:
                repository.clear()

    @contextmanager
    def _reading(self, name: str, commit: str) -> Iterator[Fetch]:
        folder = self.hub._repository(name).snapshot(commit)

        def fetch(file: str, size: int | None) -> bytes | None:
            try:
                return (folder / file).read_bytes()
            except FileNotFoundError:
                return None

        with self.hub._failing_clearly(f"read {name!r}"):
            yield fetch


class ObjectParcels(Parcels):
    """Parcels beside the checkpoints in an object store. Nothing of them is kept in the cache here."""

    def __init__(self, hub: ObjectHub) -> None:
        super().__init__(hub.where)
        self.hub = hub

    def newest(self, name: str) -> str | None:
        with self._repository(name) as repository:
            return repository.ref()

    def write(self, name: str, files: Mapping[str, bytes], after: str | None) -> str:
        from zoo.hub.manifest import Manifest

        stored = packed(files)
        manifest = Manifest.of(stored)
        with self._repository(name) as repository:
            now = repository.ref()
            check_follows(name, self.where, now, after, manifest.commit)
            if now == manifest.commit:
                return manifest.commit
            # The tag is what only one can set where two make the same parcel at the same time.
            tag = FIRST if after is None else None
            taken = repository.store_revision(manifest, stored, tag, after)
            if taken is not None:
                raise overtaken(name, self.where)
            for old in repository.commits():
                if old not in (manifest.commit, after):
                    repository.remove(old)
        return manifest.commit

    def remove(self, name: str) -> None:
        with self._repository(name) as repository:
            repository.clear()

    @contextmanager
    def _reading(self, name: str, commit: str) -> Iterator[Fetch]:
        with self._repository(name) as repository:

            def fetch(file: str, size: int | None) -> bytes | None:
                try:
                    if not repository.bring(commit, file):
                        return None
                except CheckpointError:
                    if repository.ref() != commit:  # it is replaced just now
                        return None
                    raise
                return (repository.snapshot(commit) / file).read_bytes()

            yield fetch

    @contextmanager
    def _repository(self, name: str) -> Iterator[ObjectRepository]:
        with tempfile.TemporaryDirectory(prefix="zoo-parcel-") as folder:
            yield ObjectRepository(self.hub.store, name, Path(folder))


FIRST = "first"


def check_follows(name: str, where: str, now: str | None, after: str | None, commit: str) -> None:
    """Raises :class:`OvertakenError` unless a name stands for what is to be followed, or for it already."""
    if now not in (after, commit):
        raise overtaken(name, where)


def overtaken(name: str, where: str) -> OvertakenError:
    return OvertakenError(f"somebody else has written {name} in {where} in the meantime. Look at it again.")
