"""What an object store keeps under one name, and how it is fetched, published and tidied.

``blobs/<sha256>`` are the files, ``snapshots/<commit>.json`` the manifests, ``refs/`` hold the commits that
``main`` and the tags stand for. A revision is there once its manifest is, which is written after its blobs.
So whoever is killed, a reader sees it whole or not at all, and only blobs without a manifest are left over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from zoo.errors import CheckpointError, HubError
from zoo.hub.base import MAIN
from zoo.hub.manifest import Manifest
from zoo.hub.object_cache import ObjectCache
from zoo.hub.repository import COMMIT
from zoo.hub.store import NEW, TRIES, Object, Store
from zoo.hub.store_errors import GarbledError
from zoo.specs.record import FileEntry

AGE = 3600.0
"""Seconds for which blobs without a manifest are left alone: it may be on its way."""


class ObjectRepository:
    """One name in a store; what is read of it is kept under ``cache``."""

    def __init__(self, store: Store, name: str, cache: Path) -> None:
        self.store = store
        self.name = name
        self.cache = ObjectCache(cache, name)
        self.folder = self.cache.path.name

    @property
    def exists(self) -> bool:
        return self.ref() is not None

    def ref(self, name: str = MAIN) -> str | None:
        """The commit that ``main`` or a tag stands for. Raises :class:`HubError` where it says none."""
        path = self._ref(name)
        try:
            return self.store.read(path, _commit)
        except GarbledError as problem:
            raise HubError(
                f"{self.store.where}/{path} names no commit. Publish again, or remove the object."
            ) from problem

    def tags(self) -> dict[str, str]:
        """Tag → commit."""
        top = f"{self.folder}/refs/"
        listed = sorted(path.removeprefix(top) for path in self.store.listing(f"{self.folder}/refs"))
        if MAIN not in listed:  # on its way in or out
            return {}
        names = [name for name in listed if name != MAIN and "/" not in name]
        found = zip(names, self.store.each(self.ref, names), strict=True)
        return {tag: commit for tag, commit in found if commit}

    def commits(self) -> list[str]:
        """The latest first."""
        return self._latest_first(self.store.listing(f"{self.folder}/snapshots"))

    def beginning_with(self, digits: str) -> list[str]:
        """Commits whose first digits are these."""
        return [c for c in _commits(self.store.listing(f"{self.folder}/snapshots")) if c.startswith(digits)]

    def has(self, commit: str) -> bool:
        return self.manifest(commit) is not None

    def snapshot(self, commit: str) -> Path:
        """The folder on this machine for the files of a commit, as far as they have been fetched."""
        return self.cache.snapshot(commit)

    def manifest(self, commit: str) -> Manifest | None:
        """What a commit consists of. Raises :class:`HubError` where the store has something else there."""
        if known := self.cache.manifest(commit):
            return known
        path = self._manifest(commit)
        try:
            found = self.store.read(path, lambda data: Manifest.parse(data, commit))
        except GarbledError as problem:
            raise HubError(
                f"{self.store.where}/{path} is damaged: {problem}. Publish that checkpoint again, or take "
                "another revision."
            ) from problem
        if found:
            self.cache.keep(found)
        return found

    def bring(self, commit: str, file: str) -> bool:
        """Have a file of a commit on this machine, verified; whether the commit has such a file.

        Raises :class:`CheckpointError` where the store has other bytes than the manifest says.
        """
        manifest = self.manifest(commit)
        if manifest is None or file not in manifest.files:
            return False
        entry = manifest.files[file]
        self.cache.bring(commit, file, entry.sha256, lambda to: self._download(to, file, entry))
        return True

    def store_revision(
        self, manifest: Manifest, files: Mapping[str, bytes], tag: str | None, parent: str | None
    ) -> str | None:
        """A revision of these files, which ``main`` and a tag then stand for.

        What is there already is kept. Gives the commit that stands in the way, if ``tag`` or ``main``
        (which should be at ``parent``, if one is given) has come to stand for something else; then nothing
        is changed.
        """
        path, ref = self._manifest(manifest.commit), self._ref(tag) if tag else ""
        before = self.store.listing(self.folder)
        there = self._upload(manifest, files, before)
        tagged = bool(tag) and self.store.create(ref, manifest.commit.encode())
        taken = self.ref(tag) if tag and not tagged else None
        if taken in (None, manifest.commit):
            if self._move_main(manifest.commit, parent, there.get(self._ref(MAIN))):
                self.cache.keep(manifest)
                with suppress(HubError):
                    self._tidy(there, {path, ref})
                return None
            taken = self.ref() or ""
        self.store.remove([ref] if tagged else [])
        if path not in before and manifest.commit not in (self.ref(), *self.tags().values()):
            self.store.remove([path])
        return taken

    def set_tag(self, tag: str, commit: str) -> None:
        """Nothing happens where the tag is there: see which commit it stands for."""
        self.store.create(self._ref(tag), commit.encode())

    def remove(self, commit: str) -> None:
        """A commit and its tags; ``main`` then stands for the latest left."""
        left = [known for known in self.commits() if known != commit]
        if not left:
            return self.clear()
        if self.ref() == commit:
            self.store.put(self._ref(MAIN), left[0].encode())
        self.store.remove(self._ref(tag) for tag, known in self.tags().items() if known == commit)
        manifest = self.manifest(commit)
        self.store.remove([self._manifest(commit)])
        if manifest:
            self._remove_unused(self._blob(digest) for digest in manifest.digests)
        self.cache.forget(commit)
        return None

    def clear(self) -> None:
        """Everything: ``main`` first, so that the name is gone before its parts are; ours of it, too."""
        there = list(self.store.listing(self.folder))
        self.store.remove(path for path in there if path == self._ref(MAIN))
        for part in ("refs/", "snapshots/", ""):
            top = f"{self.folder}/{part}"
            self.store.remove(path for path in there if path.startswith(top))
            there = [path for path in there if not path.startswith(top)]
        self.store.remove_folder(self.folder)
        self.cache.clear()

    def prune(self, age: float = AGE) -> int:
        """Remove what killed processes left more than ``age`` seconds ago; how many objects."""
        there = self.store.listing(self.folder)
        before = time.time() - age
        return self._sweep(there, {p for p, o in there.items() if age <= 0 or _is_before(o, before)})

    def _tidy(self, there: Mapping[str, Object], keep: set[str]) -> None:
        """The same after publishing, by the clock of the store, which may not be ours."""
        newest = max((found.changed for found in there.values() if found.changed), default=0.0)
        self._sweep(there, {p for p, found in there.items() if _is_before(found, newest - AGE)} - keep)

    def _sweep(self, there: Mapping[str, Object], old: set[str]) -> int:
        """Remove what is of no use among old objects; how many."""
        blobs = {path for path in old if path.startswith(f"{self.folder}/blobs/")}
        useless = {path for path in old if path.startswith(f"{self.folder}/{NEW}/")}
        if self._ref(MAIN) not in there:  # a deletion, or a first publication, that was not finished
            useless |= old - blobs
        self.store.remove(useless)
        count = len(useless) + self._remove_unused(blobs)
        if count and count == len(there):
            self.store.remove_folder(self.folder)
        return count

    def _ref(self, name: str) -> str:
        return f"{self.folder}/refs/{name}"

    def _manifest(self, commit: str) -> str:
        return f"{self.folder}/snapshots/{commit}.json"

    def _blob(self, digest: str) -> str:
        return f"{self.folder}/blobs/{digest}"

    def _latest_first(self, paths: Iterable[str]) -> list[str]:
        commits = _commits(paths)
        found = zip(commits, self.store.each(self.manifest, commits), strict=True)
        known = sorted(((m.created, commit) for commit, m in found if m), reverse=True)
        return [commit for _, commit in known]

    def _upload(
        self, manifest: Manifest, files: Mapping[str, bytes], there: Mapping[str, Object]
    ) -> Mapping[str, Object]:
        """Blobs that are not there, and then the manifest; what the store then lists under this name.

        Another listing tells whether all of it has arrived, and is there still. If not, it is sent again.
        """
        blobs = {self._blob(entry.sha256): file for file, entry in manifest.files.items()}
        sizes = {path: manifest.files[file].size for path, file in blobs.items()}
        path = self._manifest(manifest.commit)
        sizes[path] = len(manifest.text())
        for _ in range(TRIES):
            missing = [p for p, size in sizes.items() if p not in there or there[p].size != size]
            if not missing:
                return there
            send = [p for p in missing if p != path]
            list(self.store.each(lambda p: self.store.put(p, files[blobs[p]]), send))
            if path in missing:
                self.store.put(path, manifest.text())
            there = self.store.listing(self.folder)
        raise HubError(
            f"cannot publish {self.name} to {self.store.where}: {len(missing)} objects are not there as they "
            f"were written, {missing[0]} among them. Look at the store, and publish again."
        )

    def _move_main(self, commit: str, parent: str | None, known: Object | None) -> bool:
        """Have ``main`` stand for a commit; whether it was at ``parent`` until then, if that is given."""
        now = self.ref()
        if now == commit:
            return True
        if parent is None:
            self.store.put(self._ref(MAIN), commit.encode())
            return True
        if now != parent:
            return False
        moved = self.store.replace(self._ref(MAIN), commit.encode(), known.version if known else None)
        return moved or self.ref() == commit  # an answer may get lost

    def _remove_unused(self, blobs: Iterable[str]) -> int:
        """Those of the blobs that are in no manifest that can be seen now; how many."""
        unsure = set(blobs)
        if not unsure:
            return 0
        commits = _commits(self.store.listing(f"{self.folder}/snapshots"))
        for manifest in self.store.each(self.manifest, commits):
            unsure -= {self._blob(digest) for digest in (manifest.digests if manifest else ())}
        self.store.remove(unsure)
        return len(unsure)

    def _download(self, to: Path, file: str, entry: FileEntry) -> None:
        path = self._blob(entry.sha256)
        try:
            self.store.download(path, to, entry.size, entry.sha256, f"{file} of {self.name}")
        except FileNotFoundError as problem:
            raise CheckpointError(
                f"{self.store.where}/{path}, which is {file} of {self.name}, is not there. Publish that "
                "checkpoint again, or take another revision."
            ) from problem
        except GarbledError as problem:
            raise CheckpointError(
                f"{file} of {self.name} did not arrive as {self.store.where} describes it: {problem} instead "
                f"of {entry.size:,} with {entry.sha256[:12]}…. Fetch it again; if that does not help, "
                "delete that revision and publish it again."
            ) from problem


def _is_before(found: Object, moment: float) -> bool:
    return found.changed is not None and found.changed < moment


def _commit(data: bytes) -> str:
    text = data.decode("ascii", "replace").strip()
    if not COMMIT.fullmatch(text):
        raise ValueError("no commit")
    return text


def _commits(paths: Iterable[str]) -> list[str]:
    found = (path.rpartition("/")[2].removesuffix(".json") for path in paths)
    return sorted(filter(COMMIT.fullmatch, found))
