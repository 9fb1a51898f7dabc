"""A folder that hostile input is read in, and a watch on everything that is done outside of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

from zoo.errors import ZooError

SECRET = "hf_sEcReTsEcReTsEcReTsEcReT"
"""A token that no message, file or foreign host may ever see."""
PLANTED = "planted_module"
"""What hostile files try to have imported."""
LONGEST = 1500
"""Characters of a message."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.rename": ((0, 2), (1, 3)), "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),), "os.remove": ((0, 1),), "os.truncate": ((0, None),), "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),), "os.utime": ((0, 3),),
}  # fmt: skip
"""Event → which of its arguments are paths that it changes, and the folders that these are relative to."""
_RUNS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "pty.spawn",
}


class BrokenError(AssertionError):
    """Hostile input did something that it must not."""


class Sandbox:
    """``inside`` is where the zoo may write; what lies in ``outside`` must stay as it is."""

    def __init__(self, root: Path) -> None:
        self.inside, self.outside = root / "inside", root / "outside"
        for folder in (self.inside, self.outside):
            folder.mkdir(parents=True)
        (self.outside / "secret.txt").write_text("what nobody asked for")
        (self.outside / f"{PLANTED}.py").write_text("raise SystemExit('a planted module was run')")
        self.broken: list[str] = []
        self.may_run = ""
        """Part of the only command that may be run."""
        self._before = self._state()
        self._top = os.path.realpath(self.inside)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raises :class:`BrokenError` afterwards for whatever was done outside, run or imported."""
        global _watching
        _install()
        _watching = self
        try:
            yield
        finally:
            _watching = None
        if self._state() != self._before:
            self.broken.append("what lies outside has changed")
        if self.broken:
            raise BrokenError("; ".join(self.broken[:5]))

    def breaks(self, what: str) -> BrokenError:
        """To be raised, and kept: whoever is tested may take it for a failure of another kind."""
        self.broken.append(what)
        return BrokenError(what)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            self._check(event, arguments[0])
        elif event in _CHANGES:
            for path, folder in _CHANGES[event]:
                self._check(event, arguments[path], -1 if folder is None else arguments[folder])
        elif event in _RUNS and not (self.may_run and self.may_run in str(arguments)):
            self.broken.append(f"{event} {arguments!r:.200}")
        elif event in ("import", "pickle.find_class") and PLANTED in str(arguments[0]):
            self.broken.append(f"{event} {arguments[0]}")
        elif event == "exec" and isinstance(arguments[0], CodeType):
            if PLANTED in arguments[0].co_filename:
                self.broken.append(f"exec {arguments[0].co_filename}")
        elif event == "socket.connect" and str(arguments[1][0]) not in ("127.0.0.1", "::1"):
            self.broken.append(f"connected to {arguments[1]}")

    def _check(self, event: str, path: Any, folder: int = -1) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor, of something that was opened before
        where = os.path.join(f"/proc/self/fd/{folder}" if folder >= 0 else "", os.fsdecode(path))
        real = os.path.join(
            os.path.realpath(os.path.dirname(os.path.abspath(where))), os.path.basename(where)
        )
        cache = "__pycache__" in real  # of a module of ours that is imported for the first time
        if not real.startswith((self._top + os.sep, "/dev/null")) and real != self._top and not cache:
            self.broken.append(f"{event} {where!r:.200}")

    def _state(self) -> dict[str, tuple[int, int]]:
        found = {}
        for entry in sorted(self.outside.rglob("*")):
            status = entry.lstat()
            found[str(entry)] = status.st_size, status.st_mtime_ns
        return found


_watching: Sandbox | None = None
_installed = False


def _install() -> None:
    """An audit hook stays for good, so there is one, and it looks for whoever is watching."""
    global _installed
    if not _installed:
        sys.addaudithook(lambda event, arguments: _watching.see(event, arguments) if _watching else None)
        _installed = True


@contextmanager
def refused() -> Iterator[list[ZooError]]:
    """Failures of the zoo's own kind are fine if they are told in a few words; any other is not."""
    met: list[ZooError] = []
    try:
        yield met
    except ZooError as problem:
        met.append(problem)
        check_message(str(problem))


def check_message(message: str) -> None:
    """Whether a message may be shown to anybody."""
    if not message or len(message) > LONGEST:
        raise BrokenError(f"a message of {len(message):,} characters: {message[:300]!r}")
    if SECRET in message or "Traceback" in message:
        raise BrokenError(f"a message gives something away: {message[:300]!r}")
