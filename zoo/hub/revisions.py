"""What hubs that keep several revisions of each name share: which commit a revision stands for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import AmbiguousNameError, HubError, UnknownNameError, UnknownRevisionError
from zoo.hub.base import MAIN, Publishing, Revision
from zoo.hub.reference import check_revision
from zoo.registry import suggest


class Kept(Protocol):
    """What such a hub keeps under one name."""

    name: str

    @property
    def exists(self) -> bool: ...
    def ref(self, name: str = MAIN) -> str | None: ...
    def tags(self) -> dict[str, str]: ...
    def commits(self) -> list[str]: ...
    def beginning_with(self, digits: str) -> list[str]: ...
    def has(self, commit: str) -> bool: ...
    def snapshot(self, commit: str) -> Path: ...


class RevisionHub(Publishing):
    """Names with revisions and tags; a subclass says where they are kept."""

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        """``revision`` is a tag, a commit or its first digits (7 or more); without one, the newest.

        Raises :class:`UnknownNameError`, :class:`AmbiguousNameError` where several commits begin so.
        """
        kept = self._repository(name)
        commit = self._commit(kept, revision)
        return self._revision(kept, commit, kept.tags())

    def tags(self, name: str) -> dict[str, str]:
        """Tag → commit."""
        return self._repository(name).tags()

    def revisions(self, name: str) -> list[Revision]:
        """All of them, the latest published first."""
        kept = self._repository(name)
        self._commit(kept, None)
        tags = kept.tags()
        return [self._revision(kept, commit, tags) for commit in kept.commits()]

    def _newest(self, name: str) -> CheckpointFolder | None:
        commit = self._repository(name).ref()
        try:
            return self.fetch(name, commit) if commit else None
        except UnknownNameError:  # gone meanwhile
            return None

    def _repository(self, name: str) -> Kept:
        raise NotImplementedError

    def _commit(self, kept: Kept, revision: str | None) -> str:
        """The commit that a revision stands for, which is there."""
        asked = MAIN if revision is None else check_revision(revision)
        if not re.fullmatch("[0-9a-f]{7,40}", asked):
            commit = kept.ref(asked)
        elif len(asked) == 40:
            commit = asked
        else:
            begun = kept.beginning_with(asked)
            if len(begun) > 1:
                raise AmbiguousNameError(
                    f"several revisions of {kept.name} begin with {asked}: {', '.join(begun)}. Give more."
                )
            commit = begun[0] if begun else None
        if commit is None or not kept.has(commit):
            if not kept.exists:
                raise self._unknown(kept.name)
            known = [*kept.tags(), *(c[:12] for c in kept.commits())]
            raise UnknownRevisionError(
                f"{kept.name} has no revision {asked!r} in the hub {self.name!r}."
                f"{suggest(asked, known)} It has: {', '.join(known[:20])}."
            )
        return commit

    def _check_free(self, kept: Kept, tag: str, commit: str) -> None:
        taken = kept.ref(tag)
        if taken not in (None, commit):
            raise HubError(
                f"{kept.name}@{tag} in the hub {self.name!r} already stands for {str(taken)[:12]}, and "
                f"a tag never moves. Take another tag for {commit[:12]}, or delete that revision first."
            )

    def _revision(self, kept: Kept, commit: str, tags: dict[str, str]) -> Revision:
        named = tuple(tag for tag, known in tags.items() if known == commit)
        return Revision(self.name, kept.name, commit, named, kept.snapshot(commit))
