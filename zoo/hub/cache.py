"""A hub that is a directory of content-addressed repositories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.base import MAIN, DirectoryHub, Revision, check_parent, check_tag, commit_of
from zoo.hub.reference import check_name, is_listed
from zoo.hub.repository import Repository
from zoo.hub.revisions import RevisionHub

if TYPE_CHECKING:
    from zoo.hub.index.index import Index


class CacheHub(RevisionHub, DirectoryHub):
    """Several revisions of each name, and tags; ``huggingface_hub`` reads it as its own cache."""

    @cached_property
    def index(self) -> Index:
        from zoo.hub.index.index import Index
        from zoo.hub.index.sources import CacheSource

        return Index(CacheSource(self.root))

    def _listed(self) -> Iterable[str]:
        return filter(is_listed, Repository.names(self.root))

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
        for other files already, the newest commit is not the ``parent`` that is given, or the directory
        cannot be written. Nothing is half-written then.
        """
        name = check_name(name or folder.record.name)
        if tag is not None:
            check_tag(tag)
        files = self.contents(folder, name)
        digests = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
        commit, repository = commit_of(digests), self._repository(name)
        with self._failing_clearly(f"publish {name!r}"), repository.locked():
            check_parent(name, repository.ref(), parent)
            if tag is not None:
                self._check_free(repository, tag, commit)
            repository.store(commit, files, digests, (MAIN,) if tag is None else (MAIN, tag))
        return self._revision(repository, commit, repository.tags())

    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision:
        """Name a revision. Raises :class:`HubError` where the tag stands for another one."""
        check_tag(tag)
        self.resolve(name, revision)
        repository = self._repository(name)
        with self._failing_clearly(f"tag {name!r}"), repository.locked():
            found = self.resolve(name, revision)
            self._check_free(repository, tag, found.commit)
            repository.set_ref(tag, found.commit)
        return self._revision(repository, found.commit, repository.tags())

    def delete(self, name: str, revision: str | None = None) -> None:
        """Remove a name, or one revision with its tags; ``main`` then stands for the latest that is left."""
        self.resolve(name, revision)
        repository = self._repository(name)
        with self._failing_clearly(f"delete {name!r}"), repository.locked():
            found = self.resolve(name, revision)
            if revision is None:
                repository.clear()
            else:
                repository.remove(found.commit)

    def _repository(self, name: str) -> Repository:
        return Repository(self.root, check_name(name))
