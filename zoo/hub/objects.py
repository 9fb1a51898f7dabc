"""A hub in any store that ``fsspec`` can reach: S3, Google Cloud Storage, SFTP and many more."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import HubError, UnknownNameError
from zoo.hub.base import Revision, check_parent, check_tag
from zoo.hub.manifest import Manifest
from zoo.hub.object_repository import AGE, ObjectRepository
from zoo.hub.reference import check_name, is_listed, is_name
from zoo.hub.repository import COMMIT, PREFIX
from zoo.hub.revisions import RevisionHub
from zoo.hub.store import Store
from zoo.paths import home
from zoo.registry import suggest


class ObjectHub(RevisionHub):
    """Several revisions of each name, and tags, as objects; what is fetched is kept under ``ZOO_HOME``.

    Args:
        url: Where it is: ``s3://bucket/folder``, ``gs://bucket``, ``sftp://host/folder``, ``memory://hub``.
        name: How references call it.
        storage_options: What ``fsspec`` hands to the library of that store, besides what variables say.
    """

    def __init__(
        self, url: str, name: str | None = None, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self.store = Store(url, storage_options)
        self.where = self.store.where
        self.name = name or self.where

    def __repr__(self) -> str:
        return f"ObjectHub({self.where!r}, name={self.name!r})"

    @property
    def cache(self) -> Path:
        """The folder on this machine with what has been fetched; all of it can be fetched again."""
        return home() / "cache" / "objects" / hashlib.sha256(self.where.encode()).hexdigest()[:16]

    def names(self) -> list[str]:
        """Every name that something is published under, sorted; nothing in a hub that does not exist yet."""
        found = [name for name in self._folders() if is_listed(name)]
        there = self.store.each(lambda name: self._repository(name).exists, found)
        return sorted(name for name, exists in zip(found, there, strict=True) if exists)

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        """The checkpoint, each file of which is fetched when it is asked for, and verified.

        A full commit that has been fetched before is not looked up again.
        """
        repository = self._repository(name)
        known = revision and COMMIT.fullmatch(revision) and repository.cache.manifest(revision)
        commit = revision if revision and known else self._commit(repository, revision)
        return CheckpointFolder(repository.snapshot(commit), partial(repository.bring, commit))

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        repository = self._repository(name)
        if revision and COMMIT.fullmatch(revision) and repository.cache.manifest(revision) and self.store.off:
            return self._revision(repository, revision, {})
        return super().resolve(name, revision)

    def publish(
        self,
        folder: CheckpointFolder,
        name: str | None = None,
        tag: str | None = None,
        *,
        parent: str | None = None,
    ) -> Revision:
        """A new revision, which ``main`` then stands for; the same files again are the same revision.

        Raises :class:`CheckpointError` for a damaged checkpoint, :class:`HubError` where ``tag`` stands
        for other files already, the newest commit is not the ``parent`` that is given, or the store
        cannot be written. Readers see no part of it then.
        """
        name = check_name(name or folder.record.name)
        if tag is not None:
            check_tag(tag)
        files = self.contents(folder, name)
        manifest, repository = Manifest.of(files), self._repository(name)
        if parent is not None:
            check_parent(name, repository.ref(), parent)
        if tag is not None:
            self._check_free(repository, tag, manifest.commit)
        taken = repository.store_revision(manifest, files, tag, parent)
        if taken is not None:
            if tag is not None:
                self._check_free(repository, tag, manifest.commit)
            check_parent(name, taken, parent)
            raise HubError(f"somebody else is publishing {name} to {self.where}. Publish again.")
        return self._revision(repository, manifest.commit, repository.tags())

    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision:
        """Name a revision. Raises :class:`HubError` where the tag stands for another one."""
        check_tag(tag)
        repository = self._repository(name)
        commit = self._commit(repository, revision)
        self._check_free(repository, tag, commit)
        repository.set_tag(tag, commit)
        self._check_free(repository, tag, commit)
        return self._revision(repository, commit, repository.tags())

    def delete(self, name: str, revision: str | None = None) -> None:
        """Remove a name, or one revision with its tags; ``main`` then stands for the latest that is left.

        What a deletion that was killed has left of a name is removed, too.
        """
        repository = self._repository(name)
        if revision is not None:
            repository.remove(self._commit(repository, revision))
            return
        if not repository.exists and repository.folder not in self.store.folders():
            raise self._unknown(name)
        repository.clear()

    def prune(self, age: float = AGE) -> int:
        """Remove objects that killed processes have left in the store; how many.

        Args:
            age: Seconds for which they are left alone, because somebody may still be publishing them; with
                0, all are removed, which whoever is publishing then finds out, and writes them again.
        """
        return sum(self._repository(name).prune(age) for name in self._folders() if is_name(name))

    def _folders(self) -> list[str]:
        found = (folder for folder in self.store.folders() if folder.startswith(PREFIX))
        return [folder.removeprefix(PREFIX).replace("--", "/") for folder in found]

    def _repository(self, name: str) -> ObjectRepository:
        return ObjectRepository(self.store, check_name(name), self.cache)

    def _unknown(self, name: str) -> UnknownNameError:
        names: list[str] = []
        with suppress(HubError):
            names = self.names()
        return UnknownNameError(
            f"there is no checkpoint {name!r} in the hub {self.name!r} ({self.where})."
            f"{suggest(name, names)} See what there is with: zoo list"
        )


def open(url: str) -> ObjectHub:
    """The hub at an address. Raises :class:`HubError` for what is none."""
    return ObjectHub(url)
