"""Commits: what the client sends line by line, and how it becomes a revision, whole or not at all."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import brief
from zoo.hub.base import MAIN, commit_of
from zoo.hub.repository import STAGES, Repository, Source
from zoo.hub.server import about
from zoo.hub.server.about import Note
from zoo.hub.server.bodies import Body, as_object
from zoo.hub.server.limits import Limits
from zoo.hub.server.paths import check_path, check_together
from zoo.hub.server.refusals import RefusedError, no_entry, no_repository
from zoo.hub.server.shelf import Entry, Place, Shelf
from zoo.placing import staging

EMPTY = commit_of({})
"""The commit of a repository that was created and has no files yet."""
_CONTENT = re.compile(rb'"content"[ \t]*:[ \t]*"([A-Za-z0-9+/]*={0,2})"')
_MARK = "@"
"""Stands in a line for its content, which is decoded apart from it."""
_PIECE = 2**20
"""Characters of base64 decoded at a time."""
_SMALL = 2**16
"""Characters of base64 up to which the content of a file stays in memory."""


@dataclass(frozen=True)
class Added:
    """A file to be stored, or one that another commit of the repository has (without a source)."""

    digest: str
    source: Source | None


@dataclass(frozen=True)
class Change:
    """What one commit does: paths to what is put there; None removes a file, and a folder if it ends in /."""

    title: str
    message: str
    parent: str | None
    steps: list[tuple[str, Added | None]]


def read_change(body: Body, stage: Path, limits: Limits) -> Change:
    """Check and unpack a commit; large files go to ``stage``. Raises :class:`RefusedError`."""
    header: dict[str, Any] | None = None
    steps: list[tuple[str, Added | None]] = []
    for start, end in _lines(body):
        document, content = _parse(body, start, end, limits)
        key, value = document.get("key"), document.get("value")
        if not isinstance(value, dict):
            raise RefusedError(400, f'{brief(key)} has no value. Send lines of {{"key": …, "value": {{…}}}}.')
        if header is None and key != "header":
            raise RefusedError(400, "The first line of a commit should be its header. Send it first.")
        if key == "header":
            header = value
            continue
        if len(steps) == limits.operations:
            raise RefusedError(
                413, f"A commit changes at most {limits.operations} files here. Make several of them."
            )
        steps.append(_step(key, value, body, content, stage / str(len(steps)), limits))
    if header is None:
        raise RefusedError(400, "The commit is empty. Send a header and the changes, a line each.")
    return Change(
        _text(header, "summary", 500),
        _text(header, "description", 20_000),
        _text(header, "parentCommit", 40) or None,
        steps,
    )


def apply(shelf: Shelf, repository: Place, change: Change, author: str, limits: Limits) -> str:
    """The new commit, which ``main`` then stands for. Raises :class:`RefusedError`, with nothing changed."""
    with repository.locked():
        current = repository.ref()
        if current is None:
            raise no_repository(repository.name)
        if change.parent and not current.startswith(change.parent.lower()):
            raise RefusedError(
                412,
                f"{repository.name} is at {current[:12]} now, and no longer at {change.parent[:12]}, which "
                "this commit was made for. Look at what changed, and commit again on top of it.",
            )
        kept = dict(shelf.revision(repository, current).files)
        files = _changed(repository, kept, change)
        if len(files) > limits.files:
            raise RefusedError(413, f"A revision has at most {limits.files:,} files here. Remove some.")
        check_together(files)
        digests = {path: digest for path, (digest, _) in files.items()}
        commit = commit_of(digests)
        repository.store(commit, {path: source for path, (_, source) in files.items()}, digests, (MAIN,))
        note = Note(change.title, change.message, author, about.now())
        with suppress(OSError):  # the commit stands without it
            about.write(repository, shelf.about(repository).noted(commit, note))
        if current == EMPTY != commit and EMPTY not in repository.tags().values():
            repository.remove(EMPTY)
    return commit


def create(repository: Repository, private: bool, author: str) -> bool:
    """An empty repository; whether there was none of this name."""
    with repository.locked():
        if repository.exists:
            return False
        note = Note("created", "", author, about.now())
        about.write(repository, about.About(private, about.now()))  # before anyone can see it
        repository.store(EMPTY, {}, {}, (MAIN,))
        about.write(repository, about.About(private, about.now()).noted(EMPTY, note))
    return True


def staged(repository: Repository) -> AbstractContextManager[Path]:
    """Room for large files on their way, gone afterwards."""
    return staging(repository.root / STAGES, "upload")


def _changed(repository: Repository, kept: dict[str, Entry], change: Change) -> dict[str, tuple[str, Source]]:
    """All files of the new revision by path: digest and content."""
    files: dict[str, tuple[str, Source]] = {
        path: (entry.digest, Path(entry.path)) for path, entry in kept.items()
    }
    for path, added in change.steps:
        if added is None:
            gone = [known for known in files if known == path or (path[-1] == "/" and known.startswith(path))]
            if not gone:
                raise _nothing_there(repository, path)
            for known in gone:
                del files[known]
        else:
            source = added.source
            if source is None:
                source = _stored(repository, path, added.digest)
            files[path] = added.digest, source
    return files


def _stored(repository: Repository, path: str, digest: str) -> Path:
    """The content of a file that is copied inside the repository."""
    blob = repository.path / "blobs" / digest
    if not blob.is_file() or blob.is_symlink():
        raise RefusedError(
            400,
            f"{path} refers to content {digest[:12]}… that {repository.name} does not have. "
            "Send the file itself, in the commit.",
            "NotSupported",
        )
    return blob


def _nothing_there(repository: Repository, path: str) -> RefusedError:
    refusal = no_entry(repository.name, path)
    return RefusedError(404, f"A file with this name doesn't exist: {path}. {refusal.message}", refusal.code)


def _lines(body: Body) -> Iterator[tuple[int, int]]:
    """Where the lines of a body begin and end; empty ones are left out."""
    start, length = 0, len(body)
    while start < length:
        end = body.find(b"\n", start)
        end = length if end < 0 else end
        if end > start:
            yield start, end
        start = end + 1


def _parse(body: Body, start: int, end: int, limits: Limits) -> tuple[dict[str, Any], tuple[int, int] | None]:
    """A line as an object, and where its content stands in the body, if it has one."""
    found = _CONTENT.search(body, start, end)
    cut = found.span(1) if found else (end, end)
    if (cut[0] - start) + (end - cut[1]) > limits.document:
        raise RefusedError(
            413, f"A line of the commit is longer than {limits.document // 2**20} MB. Send less."
        )
    mark = _MARK.encode() if found else b""
    return as_object(body[start : cut[0]] + mark + body[cut[1] : end]), found and cut


def _step(
    key: Any, value: dict[str, Any], body: Body, content: tuple[int, int] | None, room: Path, limits: Limits
) -> tuple[str, Added | None]:
    path = value.get("path")
    if key == "deletedFolder" and isinstance(path, str):
        return f"{check_path(path.rstrip('/'))}/", None
    path = check_path(path)
    if key == "deletedFile":
        return path, None
    if key == "lfsFile":
        return path, _copied(value)
    if key != "file":
        raise RefusedError(
            400, f"{brief(key)} is no part of a commit that is known here. Update, or leave it out."
        )
    if value.get("encoding", "base64") != "base64" or value.get("content") != _MARK or content is None:
        raise RefusedError(400, f"{path} should come in base64. Encode its content.")
    if (content[1] - content[0]) // 4 * 3 > limits.file + 3:
        raise RefusedError(
            413, f"{path} is larger than the {limits.file // 2**20:,} MB that a file may have here."
        )
    return path, _decoded(path, body, content, room)


def _copied(value: dict[str, Any]) -> Added:
    digest = value.get("oid")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise RefusedError(400, "An lfsFile should have its SHA-256 as oid. Correct it.")
    return Added(digest, None)


def _decoded(path: str, body: Body, content: tuple[int, int], room: Path) -> Added:
    digest, pieces = hashlib.sha256(), _pieces(path, body, content)
    if content[1] - content[0] <= _SMALL:
        data = b"".join(pieces)
        return Added(hashlib.sha256(data).hexdigest(), data)
    with open(room, "xb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return Added(digest.hexdigest(), room)


def _pieces(path: str, body: Body, content: tuple[int, int]) -> Iterator[bytes]:
    for start in range(*content, _PIECE):
        text = body[start : min(start + _PIECE, content[1])]
        try:
            piece = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as problem:
            raise RefusedError(400, f"{path} is no valid base64: {problem}. Encode it again.") from None
        if start + _PIECE < content[1] and len(piece) * 4 != len(text) * 3:
            raise RefusedError(400, f"{path} ends in the middle of its base64. Encode it again.")
        yield piece


def _text(value: dict[str, Any], key: str, longest: int) -> str:
    found = value.get(key) or ""
    if not isinstance(found, str):
        raise RefusedError(400, f"{key} should be text. Correct the header of the commit.")
    return found[:longest]
