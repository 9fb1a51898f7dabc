"""Objects under an address, through ``fsspec``: written whole, tried again, with clear errors."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from zoo.errors import HubError, MissingDependencyError, OfflineError, ZooError
from zoo.hub.network import offline, public
from zoo.hub.store_errors import GarbledError, explained, is_precondition, may_pass

TRIES, PAUSE, PATIENCE = 5, 0.1, 10.0
"""How often a request is made at most, the first pause between two, which doubles, and the seconds after
which none is made again."""
WORKERS = 8
"""Requests at the same time, at most."""
SMALL = 16 * 2**20
"""Bytes at most of an object that is read into memory: a ref or a manifest."""
NEW = "new"
"""The folder for what is still being written, where a store shows that."""
HERE = frozenset({"file", "local", "memory"})
"""Schemes that need no network."""
WHOLE = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "swift", "memory", "obs", "r2"}
)
"""Schemes of stores in which an object is there once all of it is; others get it under another name first."""
_PACKAGES = {"smbclient": "smbprotocol", "ocifs": "ocifs", "pyarrow": "pyarrow"}
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Object:
    """What a listing says of an object."""

    size: int
    changed: float | None
    """Seconds since 1970; not every store tells."""
    version: str | None
    """What a conditional write compares, on S3."""


class Store:
    """The objects under one address, by their path below it. Nothing is asked of the store before a call.

    All methods raise :class:`HubError` where the store cannot be reached or refuses, :class:`OfflineError`
    where the network is switched off, and :class:`MissingDependencyError`.
    """

    def __init__(self, address: str, options: Mapping[str, Any] | None = None) -> None:
        self.where = public(address).rstrip("/")
        self.scheme, separator, rest = address.partition("://")
        if not separator or "::" in address or not re.fullmatch("[a-z][a-z0-9+.-]*", self.scheme):
            raise HubError(
                f"{self.where!r} is no address of a store. Addresses look like: s3://bucket/folder."
            )
        if "?" in rest or "#" in rest:
            raise HubError(
                f"options in an address are not read ({self.where}). Set them in variables instead: see the "
                "page on checkpoints, under object stores."
            )
        self._address = address.rstrip("/") if rest.strip("/") else address
        self._options = dict(options or {})
        self._turn = threading.RLock()

    @property
    def off(self) -> str | None:
        """The variable that switches the network off, if this store is on it."""
        return None if self.scheme in HERE else offline()

    def read(self, path: str, parse: Callable[[bytes], T]) -> T | None:
        """A small object as ``parse`` understands it; none where there is none.

        Raises :class:`GarbledError` where ``parse`` raises ValueError each time.
        """

        def act(fs: Any, root: str) -> T:
            data = fs.cat_file(f"{root}/{path}", start=0, end=SMALL)
            try:
                return parse(data)
            except ValueError as problem:
                raise GarbledError(str(problem)) from problem

        with suppress(FileNotFoundError):
            return self._call(f"read {path}", act)
        return None

    def download(self, path: str, to: Path, size: int, sha256: str, what: str) -> None:
        """An object into a new file, verified, and on the disk when this returns; messages call it ``what``.

        Raises :class:`GarbledError` where it has another digest each time, :class:`FileNotFoundError`.
        """

        def act(fs: Any, root: str) -> None:
            fs.get_file(f"{root}/{path}", str(to))
            found = hashlib.sha256()
            with open(to, "rb+") as stream:
                while part := stream.read(2**20):
                    found.update(part)
                os.fsync(stream.fileno())
            if (to.stat().st_size, found.hexdigest()) != (size, sha256):
                raise GarbledError(f"{to.stat().st_size:,} bytes with SHA-256 {found.hexdigest()[:12]}…")

        self._call(f"fetch {what}", act)

    def put(self, path: str, data: bytes) -> None:
        """Write an object, or replace it, of which a reader sees all or what was there before."""
        self._call(f"write {path}", lambda fs, root: self._put(fs, root, path, data), missing=False)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object unless there is one; whether there was none.

        In one step where the store can, as S3, Google Cloud Storage and Azure can.
        """

        def act(fs: Any, root: str) -> bool:
            if self.scheme not in WHOLE:
                there = fs.exists(f"{root}/{path}")
                if not there:
                    self._put(fs, root, path, data)
                return not there
            try:
                fs.pipe_file(f"{root}/{path}", data, mode="create")
            except FileExistsError:
                return False
            except OSError as problem:
                if problem.errno != errno.ENOSYS:  # a store that knows no conditions
                    raise
                fs.pipe_file(f"{root}/{path}", data)
            return True

        return self._call(f"write {path}", act, missing=False)

    def replace(self, path: str, data: bytes, version: str | None) -> bool:
        """Write over the ``version`` of an object that a listing told of; whether it was still there.

        Where the store knows no such condition (all but S3), it is not asked for.
        """
        if version is None or self.scheme not in ("s3", "s3a"):
            self.put(path, data)
            return True

        def act(fs: Any, root: str) -> bool:
            try:
                fs.pipe_file(f"{root}/{path}", data, IfMatch=version)
            except FileNotFoundError:
                return False
            except OSError as problem:
                if not is_precondition(problem):
                    raise
                return False
            return True

        return self._call(f"write {path}", act)

    def listing(self, folder: str) -> dict[str, Object]:
        """Everything in a folder and those below it, by path."""

        def act(fs: Any, root: str) -> dict[str, Object]:
            fs.invalidate_cache()
            found = fs.find(f"{root}/{folder}", detail=True)
            return {path.removeprefix(f"{root}/"): _object(info) for path, info in found.items()}

        with suppress(FileNotFoundError):
            return self._call(f"list {folder}", act)
        return {}

    def folders(self) -> list[str]:
        """The names of the folders right under the address."""

        def act(fs: Any, root: str) -> list[str]:
            fs.invalidate_cache()
            return [info["name"].rstrip("/").rpartition("/")[2] for info in fs.ls(root, detail=True)]

        with suppress(FileNotFoundError):
            return self._call("list the names", act)
        return []

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects, many in one request where the store can; those that are gone already are fine."""
        listed = sorted(paths)

        def act(fs: Any, root: str) -> None:
            try:
                fs.rm([f"{root}/{path}" for path in listed])
            except FileNotFoundError:
                for path in listed:
                    with suppress(FileNotFoundError):
                        fs.rm_file(f"{root}/{path}")

        if listed:
            self._call(f"remove {listed[0]}", act)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder without files, on stores that have folders."""

        def act(fs: Any, root: str) -> None:
            fs.invalidate_cache()
            if not fs.find(f"{root}/{folder}"):
                fs.rm(f"{root}/{folder}", recursive=True)

        if self.scheme not in WHOLE:
            with suppress(FileNotFoundError, HubError):
                self._call(f"remove {folder}", act)

    def each(self, function: Callable[[S], T], things: Iterable[S]) -> Iterator[T]:
        """``function`` of each thing, in order, several at a time."""
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                yield from pool.map(function, things)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _put(self, fs: Any, root: str, path: str, data: bytes) -> None:
        if self.scheme in WHOLE:
            fs.pipe_file(f"{root}/{path}", data)
            return
        target, new = f"{root}/{path}", f"{root}/{path.partition('/')[0]}/{NEW}/{uuid4().hex}"
        for file in (target, new):
            fs.makedirs(file.rpartition("/")[0], exist_ok=True)
        try:
            fs.pipe_file(new, data)
            if fs.size(new) != len(data):
                raise OSError(errno.EIO, f"{fs.size(new):,} of {len(data):,} bytes were written")
            fs.mv(new, target)
        except BaseException:
            with suppress(Exception):
                fs.rm_file(new)
            raise

    def _call(self, what: str, act: Callable[[Any, str], T], missing: bool = True) -> T:
        """What ``act`` gives with the file system and the path of the address in it.

        It is tried again after failures that may pass. :class:`FileNotFoundError` is raised as it is if
        ``missing``, which means that the caller knows what it stands for.
        """
        if self.off:
            raise OfflineError(
                f"cannot {what}: {self.where} is on the network, which {self.off} switches off. What was "
                "fetched before loads by its full commit. With a network, fetch more with: "
                f"zoo pull {self.where}/NAME"
            )
        end = time.monotonic() + PATIENCE
        for turn in itertools.count(1):
            try:
                with self._one_at_a_time():
                    return act(*self._open())
            except ZooError:
                raise
            except Exception as problem:
                if missing and isinstance(problem, FileNotFoundError):
                    raise
                if turn < TRIES and time.monotonic() < end and may_pass(problem):
                    time.sleep(PAUSE * 2 ** (turn - 1) * random.uniform(0.5, 1))
                    continue
                if isinstance(problem, GarbledError):
                    raise
                raise explained(problem, what, self.where) from problem
        raise AssertionError("the last try returns or raises")

    def _open(self) -> tuple[Any, str]:
        """The file system, which ``fsspec`` keeps for each process, and the path of the address in it."""
        from fsspec.core import url_to_fs

        try:
            fs, root = url_to_fs(self._address, **self._options)
        except ImportError as problem:
            module = getattr(problem.__cause__, "name", None) or self.scheme
            library = _PACKAGES.get(module, module)
            extra = "s3" if library == "s3fs" else ""
            raise MissingDependencyError(library, extra, f"a hub at {self.scheme}://") from problem
        except ValueError as problem:
            if "Protocol not known" not in str(problem):
                raise
            raise HubError(
                f"no library is known for {self.scheme}:// ({self.where}). Addresses look like: "
                "s3://bucket/folder, gs://bucket/folder, sftp://host/folder."
            ) from problem
        return fs, root.rstrip("/")

    def _one_at_a_time(self) -> Any:
        """A connection that threads cannot share is used by one at a time."""
        return nullcontext() if self.scheme in WHOLE | HERE else self._turn


def _object(info: Mapping[str, Any]) -> Object:
    """Each library has a key of its own for when an object was written."""
    keys = ("LastModified", "mtime", "updated", "last_modified", "modified", "created")
    changed = next((info[key] for key in keys if info.get(key) is not None), None)
    with suppress(ValueError):
        changed = datetime.fromisoformat(changed) if isinstance(changed, str) else changed
    seconds = changed.timestamp() if isinstance(changed, datetime) else changed
    version = info.get("ETag")
    return Object(
        int(info.get("size") or 0),
        float(seconds) if isinstance(seconds, int | float) else None,
        version if isinstance(version, str) else None,
    )
