"""What was fetched or computed and could be again: where it lies, its size, and how to be rid of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo.checkpoints.folder import RECORD
from zoo.hub.index import index
from zoo.hub.repository import PREFIX, Repository
from zoo.paths import home
from zoo.placing import UNFINISHED, staging, sweep

SETTLED = 3600.0
"""Seconds after which an unfinished file is no longer being written."""
Kind = Literal["checkpoints", "results", "indexes", "leftovers"]
KINDS: tuple[Kind, ...] = ("checkpoints", "results", "indexes", "leftovers")


@dataclass(frozen=True)
class Cached:
    """Something that can be removed without loss."""

    kind: Kind
    what: str
    path: Path
    size: int
    """Bytes."""
    used: float
    """When it was last read or written, in seconds since 1970."""


def places() -> dict[str, tuple[Path, str]]:
    """The folders of all caches, and what each is for."""
    return {
        "Hugging Face cache": (
            hugging_face(),
            "checkpoints fetched over the network, beside what other libraries fetch; HF_HUB_CACHE moves it",
        ),
        "object cache": (home() / "cache" / "objects", "checkpoints fetched from object stores"),
        "results": (home() / "cache" / "analysis", "what analyses found, by digest; nothing is done twice"),
        "indexes": (index.places(), "what is on each hub, for lists and filters; made anew when asked for"),
    }


def cached() -> list[Cached]:
    """Everything that can be removed, the largest first. In the Hugging Face cache, ours only."""
    return sorted((*_checkpoints(), *_results(), *_indexes(), *_leftovers()), key=lambda each: -each.size)


def prune(days: float = 0.0, kinds: tuple[Kind, ...] = KINDS) -> list[Cached]:
    """Remove what has not been used for so many days, and say what that was.

    Each goes whole: a reader finds all of it or nothing, and what a killed process left goes the next time.
    """
    for root in _roots():
        sweep(root)
    before = time.time() - 86_400 * days
    gone = [each for each in cached() if each.kind in kinds and each.used <= before]
    for each in gone:
        with suppress(FileNotFoundError):  # another process was quicker
            if each.path.is_dir():
                with staging(each.path.parent, "prune") as stage:
                    os.rename(each.path, stage / "gone")
            else:
                each.path.unlink()
    return gone


def hugging_face() -> Path:
    """Where ``huggingface_hub`` keeps what it fetches: ``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _roots() -> list[Path]:
    """Folders of repositories, whole or in parts."""
    hub = hugging_face()
    return [hub, *sorted(hub.glob("endpoints/*")), *sorted((home() / "cache" / "objects").glob("*"))]


def _checkpoints() -> Iterator[Cached]:
    for root in _roots():
        for path in sorted(root.glob(f"{PREFIX}*")):
            if any(path.glob(f"snapshots/*/{RECORD}")):
                yield Cached("checkpoints", Repository.name_of(path), path, *_extent(path))


def _results() -> Iterator[Cached]:
    for path in sorted((home() / "cache" / "analysis").glob("*")):
        if path.is_dir():
            yield Cached("results", path.name, path, *_extent(path))


def _indexes() -> Iterator[Cached]:
    for path in sorted(index.places().glob("*")):
        if path.is_dir():
            yield Cached("indexes", path.name, path, *_extent(path))


def _leftovers() -> Iterator[Cached]:
    """Unfinished files of processes that are no more."""
    found: list[Path] = []
    for root in (*_roots(), home() / "hub"):
        for pattern in ("blobs/*.incomplete", f"refs/*{UNFINISHED}", f"snapshots/*/*{UNFINISHED}"):
            found += root.glob(f"{PREFIX}*/{pattern}")
    found += (home() / "cache").glob(f"analysis/*/*{UNFINISHED}")
    for path in found:
        with suppress(OSError):
            size, used = _extent(path)
            if time.time() - used > SETTLED:
                yield Cached("leftovers", path.name, path, size, used)


def _extent(path: Path) -> tuple[int, float]:
    """Bytes on the disk, links not followed, and the time of the last use."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if not p.is_symlink() and p.is_file()]
    size, used = 0, 0.0
    for file in files:
        with suppress(OSError):
            status = file.stat()
            size, used = size + status.st_size, max(used, status.st_atime, status.st_mtime)
    return size, used
