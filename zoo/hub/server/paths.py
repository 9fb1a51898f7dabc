"""Paths of files in a repository: only those that mean the same file on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from zoo.errors import brief
from zoo.hub.server.refusals import RefusedError
from zoo.placing import DEVICE

LONGEST, LONGEST_PART, DEEPEST = 512, 200, 16
"""Bytes of a path and of a part of one, and parts."""
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_STAGE = ".zoo-stage-"


def check_path(path: object) -> str:
    """The path itself. Raises :class:`RefusedError` saying what is wrong with it."""
    if not isinstance(path, str):
        raise RefusedError(400, f"a path should be text, and this is {brief(path)}.")
    if why := _wrong(path):
        raise RefusedError(400, f"{ascii(path)[:200]} cannot be a file here: {why}. Rename it.")
    return path


def _wrong(path: str) -> str:
    if any(unicodedata.category(c) in _HIDDEN or (c.isspace() and c != " ") for c in path):
        return "it has characters that cannot be seen"
    if unicodedata.normalize("NFC", path) != path:
        return "its letters are composed in an unusual way (write it in Unicode's NFC)"
    if len(path.encode()) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if character := next((c for c in path if c in '\\:*?"<>|'), ""):
        return f"{character!r} does not mean the same everywhere"
    parts = path.split("/")
    if len(parts) > DEEPEST:
        return f"it is more than {DEEPEST} folders deep"
    return next(filter(None, map(_wrong_part, parts)), "")


def _wrong_part(part: str) -> str:
    if part in ("", ".", ".."):
        return "it should be a plain relative path"
    if len(part.encode()) > LONGEST_PART:
        return f"a part of it is longer than {LONGEST_PART} bytes"
    if part != part.strip() or part.endswith("."):
        return "a part of it begins or ends with a space, or ends with a dot"
    if part.casefold() == ".git" or part.startswith(_STAGE):
        return f"{part!r} is reserved"
    if DEVICE.fullmatch(part):
        return f"{part!r} is a device on Windows"
    return ""


def check_together(paths: Iterable[str]) -> None:
    """Whether all fit into one folder on every system. Raises :class:`RefusedError`."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        for folder in _parents(path):
            if folders.setdefault(folder.casefold(), folder) != folder:
                raise _clash(folders[folder.casefold()], folder)
        if other := seen.setdefault(path.casefold(), path) != path and seen[path.casefold()]:
            raise _clash(other, path)
    if both := next((seen[folded] for folded in folders if folded in seen), None):
        raise RefusedError(400, f"{both} would be a file and a folder at once. Rename one of them.")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _clash(one: str, other: str) -> RefusedError:
    return RefusedError(
        400, f"{one} and {other} are one name on systems that ignore case. Rename one of them."
    )
