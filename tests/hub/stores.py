"""A file system in memory that fails as it is told to, and remembers what was read and written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

Fault = Callable[[str, str, bytes], bytes]
"""Operation, path and bytes to the bytes that are read or written instead; or it raises."""


class FaultyFileSystem(MemoryFileSystem):
    protocol = "faulty"
    store: dict[str, Any] = {}
    pseudo_dirs = [""]
    fault: Fault | None = None
    read: list[str] = []
    written: list[str] = []
    requests: list[str] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(str(path).removeprefix("faulty://"))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        self.read.append(path)
        return self._through("read", path, super().cat_file(path, start, end, **options))

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        Path(lpath).write_bytes(self.cat_file(rpath))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        self.written.append(path)
        super().pipe_file(path, self._through("write", path, value), mode, **options)

    def find(self, path: str, *arguments: Any, **options: Any) -> Any:
        self._through("list", path, b"")
        return super().find(path, *arguments, **options)

    def ls(self, path: str, *arguments: Any, **options: Any) -> Any:
        self._through("list", path, b"")
        return super().ls(path, *arguments, **options)

    def mv(self, old: str, new: str, **options: Any) -> None:
        self._through("move", new, b"")
        self.store[new] = self.store.pop(old)

    def rm(self, path: Any, *arguments: Any, **options: Any) -> None:
        self._through("remove", str(path), b"")
        super().rm(path, *arguments, **options)

    def _through(self, operation: str, path: str, data: bytes) -> bytes:
        self.requests.append(operation)
        return data if self.fault is None else type(self).fault(operation, path, data)  # type: ignore[misc]


def register() -> type[FaultyFileSystem]:
    """A store of its own for a test, at ``faulty://``."""
    fresh = {"store": {}, "pseudo_dirs": [""], "fault": None}
    fresh |= {"read": [], "written": [], "requests": []}
    made = type("FreshFileSystem", (FaultyFileSystem,), fresh)
    fsspec.register_implementation("faulty", made, clobber=True)
    return made
