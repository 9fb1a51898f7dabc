"""Facts that are read from the disk once and kept as long as the file that they came from is the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Identity = tuple[int, int, int]


def identity(path: str | Path) -> Identity | None:
    """What changes when a file is replaced or written to; none where there is no such file."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class Remembered(Generic[T]):
    """The latest ``size`` facts by key, each with a stamp that says whether it still holds."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._facts: dict[object, tuple[object, T]] = {}

    def get(self, key: object, stamp: object, find: Callable[[], T]) -> T:
        """What ``find`` said when the stamp was this; for several threads at once."""
        known = self._facts.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        found = find()
        if len(self._facts) >= self._size:
            for old in list(self._facts)[: self._size // 8 + 1]:
                self._facts.pop(old, None)
        self._facts[key] = stamp, found
        return found
