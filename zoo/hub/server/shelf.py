"""The repositories of a hub as a server reads them: found, checked, and remembered while they do not change.

Asking again costs a few ``stat`` calls. Links lead to a repository's own blobs or are not followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import HubError
from zoo.hub.base import MAIN
from zoo.hub.reference import is_listed, is_name
from zoo.hub.repository import COMMIT, Repository
from zoo.hub.server import about
from zoo.hub.server.about import About
from zoo.hub.server.cards import Card, card_of
from zoo.hub.server.refusals import no_entry, no_repository, no_revision
from zoo.hub.server.remembering import Identity, Remembered, identity

README, RECORD = "README.md", "record.json"
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_READ = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in _FLAGS)


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    digest: str
    """SHA-256."""
    size: int
    path: str
    """Where its bytes are."""

    @property
    def pointer(self) -> bytes:
        """What stands for it in git; its length and SHA-1 are what the Hub gives for large files."""
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.digest}\nsize {self.size}\n"
        return text.encode()

    @property
    def oid(self) -> str:
        return git_oid(self.pointer)


@dataclass(frozen=True)
class Revision:
    """A commit of a repository, and its files by path."""

    repository: Place
    commit: str
    files: Mapping[str, Entry]
    about: About
    stamp: object
    """Changes when anything of this does."""

    def entry(self, path: str) -> Entry:
        """Raises :class:`RefusedError` where there is no such file."""
        found = self.files.get(path)
        if found is None:
            raise no_entry(self.repository.name, ascii(path)[1:-1][:200])
        return found


class Place(Repository):
    """A repository with the addresses of what is looked at with every request."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root, name)
        self.refs = f"{self.path}/refs/"
        self.snapshots = f"{self.path}/snapshots/"
        self.about = str(about.where(self))


class Shelf:
    """All repositories in one directory. For several threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._places: Remembered[Place] = Remembered(100_000)
        self._abouts: Remembered[About] = Remembered(100_000, lambda about: 1 + len(about.notes))
        self._refs: Remembered[str | None] = Remembered(100_000)
        self._created: Remembered[str] = Remembered(100_000)
        self._files: Remembered[dict[str, Entry]] = Remembered(200_000, lambda files: 1 + len(files))
        self._oids: Remembered[str] = Remembered(100_000)
        self._cards: Remembered[Card] = Remembered(32 * 2**20, lambda card: 1000 + card.size)

    def names(self) -> list[str]:
        return sorted(name for name in Repository.names(self.root) if is_listed(name))

    def place(self, name: str) -> Place:
        """Where a repository is, if there is one. Raises :class:`RefusedError` for what is no name."""
        if place := self._places.known(name, None):
            return place
        if not is_name(name):
            raise no_repository(ascii(name)[1:-1][:200])
        return self._places.get(name, None, lambda: Place(self.root, name))

    def repository(self, name: str) -> Place:
        """Raises :class:`RefusedError` where there is none of this name."""
        place = self.place(name)
        if self._ref(place, MAIN) is None:
            raise no_repository(name)
        return place

    def about(self, place: Place) -> About:
        """What is said of a repository."""
        return self._abouts.get(place.about, identity(place.about), lambda: about.read(place))

    def revision(self, place: Place, revision: str = MAIN, about: About | None = None) -> Revision:
        """By ``main``, a tag, or a commit or its first digits. Raises :class:`RefusedError`.

        ``about`` is what is said of the repository, if that is known already.
        """
        commit, stamp = self._find(place, revision)
        files = self._files.get((place.name, commit), stamp, lambda: _entries(place, commit))
        about = about or self.about(place)
        return Revision(place, commit, files, about, (stamp, about))

    def known_revision(self, place: Place, revision: str, about: About) -> Revision | None:
        """The same if it is remembered, which takes no time; otherwise none."""
        commit, stamp = self._find(place, revision)
        files = self._files.known((place.name, commit), stamp)
        return None if files is None else Revision(place, commit, files, about, (stamp, about))

    def created(self, revision: Revision) -> str:
        """When its repository was made: as it is noted, or else when the first one left was published."""
        repository = revision.repository
        where = repository.path / "snapshots"
        return revision.about.created or self._created.get(
            where, identity(where), lambda: about.first(repository)
        )

    def card(self, revision: Revision) -> Card:
        """What its README and its record say about it."""
        readme, record = revision.files.get(README), revision.files.get(RECORD)
        key = readme and readme.digest, record and record.digest
        return self._cards.get(key, None, lambda: card_of(head(readme), head(record)))

    def content_oid(self, entry: Entry) -> str:
        """The SHA-1 by which git knows the content of a file."""
        return self._oids.get(entry.digest, entry.size, lambda: _content_oid(entry))

    def _ref(self, place: Place, name: str) -> str | None:
        where = place.refs + name
        stamp = identity(where)
        if stamp is None:
            return None
        try:
            return self._refs.get(where, stamp, lambda: place.ref(name))
        except HubError:  # a damaged one names nothing
            return None

    def _find(self, place: Place, revision: str) -> tuple[str, Identity]:
        """The commit, and what changes when somebody else changes its folder."""
        commit = self._commit(place, revision)
        stamp = identity(place.snapshots + commit) if commit else None
        if commit is None or stamp is None:
            self.repository(place.name)
            raise no_revision(place.name, ascii(revision)[1:-1][:100])
        return commit, stamp

    def _commit(self, place: Place, revision: str) -> str | None:
        if COMMIT.fullmatch(revision):
            return revision
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", revision):
            return None
        if commit := self._ref(place, revision):
            return commit
        if not re.fullmatch("[0-9a-f]{7,39}", revision):
            return None
        begun = [commit for commit in place.commits() if commit.startswith(revision)]
        return begun[0] if len(begun) == 1 else None


def open_entry(entry: Entry) -> int:
    """A descriptor of a regular file, never of what a link leads to. Raises :class:`OSError`."""
    descriptor = os.open(entry.path, _READ)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
        os.close(descriptor)
        raise OSError(f"{entry.path} is not the file that was published")
    return descriptor


def head(entry: Entry | None, size: int = 2**20) -> bytes:
    """The beginning of a file; nothing where there is none that can be read."""
    if entry is None:
        return b""
    try:
        with open(open_entry(entry), "rb") as stream:
            return stream.read(size)
    except OSError:
        return b""


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def _content_oid(entry: Entry) -> str:
    found = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)
    with open(open_entry(entry), "rb") as stream:
        while piece := stream.read(2**20):
            found.update(piece)
    return found.hexdigest()


def _entries(repository: Repository, commit: str) -> dict[str, Entry]:
    """The regular files of a commit, and those behind links to the repository's own blobs."""
    blobs = os.path.join(repository.path, "blobs")
    found = {}
    for (file, digest), path in zip(
        repository.digests(commit).items(), repository.files(commit).values(), strict=True
    ):
        where = str(path)
        if path.is_symlink():
            where = os.path.normpath(os.path.join(path.parent, os.readlink(path)))
            if os.path.dirname(where) != blobs:
                continue
        with suppress(FileNotFoundError):
            status = os.lstat(where)
            if stat.S_ISREG(status.st_mode):
                found[file] = Entry(digest, status.st_size, where)
    return found
