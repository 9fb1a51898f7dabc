"""What every hub is: the protocol, revisions, and how failures of a disk are told."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from zoo.checkpoints.folder import CARD, CheckpointFolder
from zoo.errors import CheckpointError, HubError, UnknownNameError
from zoo.hub.card import render
from zoo.hub.card_check import check_card
from zoo.hub.reference import Reference, check_name, check_revision
from zoo.registry import suggest

if TYPE_CHECKING:
    from zoo.hub.index.index import Index, Progress

T = TypeVar("T")
MAIN = "main"
_ADVICE = {
    errno.ENOSPC: "The disk is full: free some space, or publish to another hub.",
    errno.EDQUOT: "The quota is used up: free some space, or publish to another hub.",
    errno.EROFS: "It is read-only: publish to another hub, for example 'local'.",
    errno.EACCES: "You may not write there: publish to another hub, for example 'local'.",
    errno.EPERM: "You may not write there: publish to another hub, for example 'local'.",
}


@dataclass(frozen=True)
class Revision:
    """What was published under a name: bytes that never change."""

    hub: str
    name: str
    commit: str
    """40 hexadecimal digits: the beginning of the SHA-256 of the manifest (``<sha256>  <file>`` lines)."""
    tags: tuple[str, ...]
    path: Path

    @property
    def reference(self) -> Reference:
        """A name that always stands for these bytes."""
        return Reference(self.name, self.hub, self.commit[:12])

    def __str__(self) -> str:
        return str(self.reference)


class UnreachableError(HubError):
    """A hub does not answer. ``pause`` are the seconds after which it might; none, if it hardly will."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class OvertakenError(HubError):
    """Somebody else has published in the meantime, and nothing was changed."""


class Hub(Protocol):
    """Where checkpoints are published and fetched by name.

    All raise :class:`UnknownNameError` for a name or revision that is not there, and :class:`HubError`
    where the hub cannot be read or written, or would have to change what it promised to keep.
    """

    name: str
    """How references call it."""
    where: str
    """Its folder or address."""

    def names(self) -> list[str]: ...
    def resolve(self, name: str, revision: str | None = None) -> Revision: ...
    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder: ...
    def publish(
        self,
        folder: CheckpointFolder,
        name: str | None = None,
        tag: str | None = None,
        *,
        parent: str | None = None,
    ) -> Revision: ...
    def owned(self, name: str) -> str: ...
    def contents(self, folder: CheckpointFolder, name: str) -> dict[str, bytes]: ...
    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision: ...
    def delete(self, name: str, revision: str | None = None) -> None: ...
    def tags(self, name: str) -> dict[str, str]: ...
    def revisions(self, name: str) -> list[Revision]: ...


def commit_of(digests: Mapping[str, str]) -> str:
    """The commit of files with these SHA-256 digests."""
    manifest = "".join(f"{digest}  {file}\n" for file, digest in sorted(digests.items()))
    return hashlib.sha256(manifest.encode()).hexdigest()[:40]


def check_tag(tag: str) -> None:
    if check_revision(tag) == MAIN or re.fullmatch("[0-9a-f]{7,40}", tag):
        why = "always stands for the newest revision" if tag == MAIN else "could be taken for a commit"
        raise HubError(f"{tag!r} {why}, so it cannot be a tag. Take another, for example v1.")


def check_parent(name: str, newest: str | None, parent: str | None) -> None:
    """Whether a name still stands for the commit that is to be followed, where one is given."""
    if parent is not None and newest != parent:
        raise OvertakenError(
            f"somebody else has published {name} in the meantime: it is at {(newest or 'nothing')[:12]} now, "
            f"and {parent[:12]} was to be followed. Look at what is there, and publish again."
        )


class Publishing:
    """What publishing to hubs of our own has in common."""

    name: str

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        raise NotImplementedError

    def _unknown(self, name: str) -> UnknownNameError:
        raise NotImplementedError

    def _newest(self, name: str) -> CheckpointFolder | None:
        """What a name stands for now, if anything; found without a look at other names."""
        raise NotImplementedError

    def owned(self, name: str) -> str:
        """The name that publishing under ``name`` gives."""
        return check_name(name)

    def contents(self, folder: CheckpointFolder, name: str) -> dict[str, bytes]:
        """The verified files that publishing under a name would put there, the card among them."""
        files = folder.contents()
        if CARD not in files:
            existing = None
            if newest := self._newest(name):
                with suppress(UnknownNameError, CheckpointError):  # gone meanwhile, or damaged
                    existing = newest.read(CARD).decode("utf-8", "replace")
            files[CARD] = render(folder.record, folder.experiment, existing, reference=name).encode()
        if folder.bring is None:  # a copy from another hub stays what it is there
            check_card(files[CARD], folder.record)
        return files


class DirectoryHub(Publishing):
    """What the two forms of a directory share."""

    def __init__(self, root: Path, name: str | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        self.name = name or self.root.name
        self.where = str(self.root)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, name={self.name!r})"

    def names(self) -> list[str]:
        """Every name that something is published under, sorted; nothing in a hub that does not exist yet."""
        with self._failing_clearly("list the names"):
            return self.index.names() if self.index.built else sorted(self._listed())

    @cached_property
    def index(self) -> Index:
        """What is published here, for lists and filters."""
        raise NotImplementedError

    def indexed(self, ask: Callable[[Index], T], progress: Progress | None = None) -> T:
        """What the index answers. ``progress`` is told of a hub that is read for the first time."""
        self.index.progress = progress
        with self._failing_clearly("list what there is"):
            return ask(self.index)

    def _listed(self) -> Iterable[str]:
        """The names, found by a look at each folder."""
        raise NotImplementedError

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        raise NotImplementedError

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        """The checkpoint, whose files are verified as they are read."""
        return CheckpointFolder(self.resolve(name, revision).path)

    def _unknown(self, name: str) -> UnknownNameError:
        names = self.names()
        missing = "" if self.root.is_dir() else ", which does not exist"
        return UnknownNameError(
            f"there is no checkpoint {name!r} in the hub {self.name!r} ({self.root}{missing})."
            f"{suggest(name, names)}"
        )

    @contextmanager
    def _failing_clearly(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            advice = _ADVICE.get(problem.errno or 0, "Look at the directory, or take another hub.")
            reason = problem.strerror or f"{type(problem).__name__}: {problem}"
            error = HubError if problem.errno in _ADVICE else UnreachableError  # as a disk that is away
            raise error(
                f"cannot {what} in the hub {self.name!r} ({self.root}): {reason}. Nothing was changed. "
                f"{advice}"
            ) from problem
