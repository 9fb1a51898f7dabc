"""A hub that is a directory of content-addressed repositories."""

from __future__ import annotations

import hashlib
import re

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import AmbiguousNameError, HubError, UnknownRevisionError
from zoo.hub.base import MAIN, DirectoryHub, Revision, check_parent, check_tag, commit_of
from zoo.hub.reference import check_name, check_revision, is_name
from zoo.hub.repository import Repository
from zoo.registry import suggest


class CacheHub(DirectoryHub):
    """Several revisions of each name, and tags; ``huggingface_hub`` reads it as its own cache."""

    def names(self) -> list[str]:
        with self._failing_clearly("list the names"):
            return sorted(filter(is_name, Repository.names(self.root)))

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        """``revision`` is a tag, a commit or its first digits (7 or more); without one, the newest.

        Raises :class:`UnknownNameError`, :class:`AmbiguousNameError` where several commits begin so.
        """
        repository = self._repository(name)
        commit = repository.ref(MAIN if revision is None else check_revision(revision))
        if commit is None and not repository.exists:
            raise self._unknown(name)
        if commit is None and re.fullmatch("[0-9a-f]{7,40}", revision or ""):
            begun = [known for known in repository.commits() if known.startswith(revision or "")]
            if len(begun) > 1:
                raise AmbiguousNameError(
                    f"several revisions of {name} begin with {revision}: {', '.join(begun)}. Give more."
                )
            commit = begun[0] if begun else None
        if commit is None or not repository.snapshot(commit).is_dir():
            known = [*repository.tags(), *(c[:12] for c in repository.commits())]
            raise UnknownRevisionError(
                f"{name} has no revision {revision or MAIN!r} in the hub {self.name!r}."
                f"{suggest(revision or '', known)} It has: {', '.join(known[:20])}."
            )
        return self._revision(repository, commit)

    def tags(self, name: str) -> dict[str, str]:
        """Tag → commit."""
        return self._repository(name).tags()

    def revisions(self, name: str) -> list[Revision]:
        """All of them, the latest published first."""
        self.resolve(name)
        repository = self._repository(name)
        return [self._revision(repository, commit) for commit in repository.commits()]

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
        return self._revision(repository, commit)

    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision:
        """Name a revision. Raises :class:`HubError` where the tag stands for another one."""
        check_tag(tag)
        self.resolve(name, revision)
        repository = self._repository(name)
        with self._failing_clearly(f"tag {name!r}"), repository.locked():
            found = self.resolve(name, revision)
            self._check_free(repository, tag, found.commit)
            repository.set_ref(tag, found.commit)
        return self._revision(repository, found.commit)

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

    def _check_free(self, repository: Repository, tag: str, commit: str) -> None:
        taken = repository.ref(tag)
        if taken not in (None, commit):
            raise HubError(
                f"{repository.name}@{tag} in the hub {self.name!r} already stands for {str(taken)[:12]}, and "
                f"a tag never moves. Take another tag for {commit[:12]}, or delete that revision first."
            )

    def _revision(self, repository: Repository, commit: str) -> Revision:
        tags = tuple(tag for tag, known in repository.tags().items() if known == commit)
        return Revision(self.name, repository.name, commit, tags, repository.snapshot(commit))
