"""Facts that are read from the disk once and kept as long as the file that they came from is the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
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
    """The latest facts by key, each with a stamp that says whether it still holds.

    Args:
        size: How much all of them may weigh together; the oldest go first.
        weigh: What one weighs; without it, 1.
    """

    def __init__(self, size: int, weigh: Callable[[T], int] = lambda fact: 1) -> None:
        self._size = size
        self._weigh = weigh
        self._weight = 0
        self._facts: dict[object, tuple[object, T]] = {}
        self._lock = Lock()

    def known(self, key: object, stamp: object) -> T | None:
        """What is remembered, if it still holds."""
        fact = self._facts.get(key)
        return fact[1] if fact is not None and fact[0] == stamp else None

    def get(self, key: object, stamp: object, find: Callable[[], T]) -> T:
        """What ``find`` said when the stamp was this; for several threads at once."""
        fact = self._facts.get(key)
        if fact is not None and fact[0] == stamp:
            return fact[1]
        found = find()
        with self._lock:
            self._forget(key)
            self._facts[key] = stamp, found
            self._weight += self._weigh(found)
            while self._weight > self._size and len(self._facts) > 1:
                self._forget(next(iter(self._facts)))
        return found

    def _forget(self, key: object) -> None:
        if fact := self._facts.pop(key, None):
            self._weight -= self._weigh(fact[1])
