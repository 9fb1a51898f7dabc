"""What writers tell the indexes of a hub: which names they are changing, and have changed.

A file beside the locks, to which a line is added before a change and another one after it. It is a hint: an
index that has read it knows where to look, and looks at everything where it is missing, cut or begun anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from zoo.hub.reference import is_name

try:
    import fcntl
except ImportError:  # a system without it: lines are short enough to be written in one go
    fcntl = None  # type: ignore[assignment]

LOCKS = ".locks"
FILE = "changes"
LONGEST = 16 * 2**20
"""Bytes after which the file is begun anew."""
_FLAGS = ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | sum(getattr(os, flag, 0) for flag in _FLAGS)
_HEAD = 33
"""Bytes of the first line, a number that no other such file has."""


@dataclass(frozen=True)
class Position:
    """How far the file has been read."""

    file: str
    """Its first line; empty where there is no file."""
    offset: int


@dataclass(frozen=True)
class Changes:
    """What was told since a position."""

    names: frozenset[str]
    """What was changed, or may have been."""
    begun: frozenset[str]
    """Those of them whose change has not ended, or whose writer was killed."""
    position: Position


@contextmanager
def changing(root: Path, name: str) -> Iterator[None]:
    """Tell of a change of one name, for the holder of its lock. Never fails."""
    where = os.path.join(root, LOCKS, FILE)
    _tell(where, f"+{name}\n")
    try:
        yield
    finally:
        _tell(where, f"-{name}\n")


def changes_since(root: Path, position: Position) -> Changes | None:
    """What was told since then; none where that cannot be said, and everything has to be looked at."""
    where = os.path.join(root, LOCKS, FILE)
    start = max(position.offset, _HEAD)
    try:
        with open(where, "rb", buffering=0) as stream:
            head = stream.read(_HEAD)
            stream.seek(start)
            tail = stream.read()
            stream.seek(0)
            if stream.read(_HEAD) != head or _file(head) != position.file or not position.file:
                return None
            if stream.seek(0, os.SEEK_END) < position.offset:
                return None
    except FileNotFoundError:
        return Changes(frozenset(), frozenset(), position) if not position.file else None
    except OSError:
        return None
    whole = tail[: tail.rfind(b"\n") + 1]
    latest: dict[str, bool] = {}
    for line in whole.decode("utf-8", "replace").splitlines():
        if is_name(line[1:]):
            latest[line[1:]] = line[:1] != "-"
    begun = frozenset(name for name, open_ in latest.items() if open_)
    return Changes(frozenset(latest), begun, Position(position.file, start + len(whole)))


def position_of(root: Path) -> Position:
    """Where the file ends now."""
    try:
        with open(os.path.join(root, LOCKS, FILE), "rb", buffering=0) as stream:
            file = _file(stream.read(_HEAD))
            return Position(file, stream.seek(0, os.SEEK_END)) if file else Position("", 0)
    except OSError:
        return Position("", 0)


def _file(head: bytes) -> str:
    """What a first line says, if it is one."""
    return head.decode("ascii", "replace").strip() if len(head) == _HEAD and head.endswith(b"\n") else ""


def _tell(where: str, line: str) -> None:
    """Add a line. Where that cannot be, the file is emptied, so that indexes look at everything."""
    try:
        descriptor = os.open(where, _APPEND, 0o666)
        try:
            _lock(descriptor)
            status = os.fstat(descriptor)
            if not _HEAD <= status.st_size <= LONGEST:
                os.ftruncate(descriptor, 0)
                line = f"{uuid4().hex}\n{line}"
                with suppress(OSError):
                    os.chmod(descriptor, 0o666)  # as the locks: whoever may write to the hub
            data = line.encode()
            if os.write(descriptor, data) != len(data):
                raise OSError("half a line was written")
        finally:
            os.close(descriptor)
    except OSError:
        with suppress(OSError):
            os.truncate(where, 0)


def _lock(descriptor: int) -> None:
    """Until it is closed; for a second at most, because a line added without does no harm as a rule."""
    end = time.monotonic() + 1
    while fcntl is not None and time.monotonic() < end:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            return
