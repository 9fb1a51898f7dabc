"""What a catalogue shows of a checkpoint, read from its record and its spec: bounded, and never trusted.

Nothing is loaded by what stands here. Who loads a checkpoint reads its files, and verifies them.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.checkpoints.folder import RECORD, SPEC, CheckpointFolder, parse_json
from zoo.errors import ZooError, cut

MOST = 200
"""Tags and metrics of a checkpoint, at most, and characters of a text."""
LARGEST = 16 * 2**20
"""Bytes of a record or spec that are read, at most."""
LAYOUTS = {RECORD: "record/1", SPEC: "experiment/1"}
"""Layouts that are read as they are; others are brought up to date first."""
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_READ = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in _FLAGS)
_BLOB = re.compile(r"\.\./\.\./blobs/[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A checkpoint as a list shows it: its newest revision."""

    name: str
    hub: str = ""
    commit: str = ""
    """None on hubs of plain folders, which keep one revision."""
    model: str | None = None
    """Kind of the model, as of the task and the learner."""
    task: str | None = None
    learner: str | None = None
    paper: str | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    """What it is about, as the record says."""
    revisions: tuple[str, ...] = ()
    """Tags of its revisions on the hub, such as ``v1``."""
    members: int | None = None
    parameters: int = 0
    snapshots: int = 0
    """Steps that were kept of a member, the most of any."""
    size: int = 0
    """Bytes of all files of the record."""
    held: int = 0
    """Claims that hold."""
    failed: int = 0
    """Claims that fail."""
    license: str = ""
    created: str = ""
    """UTC, ISO 8601."""
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metric → the lowest and the highest over the members."""
    problem: str = ""
    """Why nothing else is known of it."""


def read_entry(folder: Path, name: str, commit: str = "", revisions: tuple[str, ...] = ()) -> Entry:
    """What the files of a checkpoint folder say. Never raises for what they hold; the entry says it."""
    try:
        record, spec = _document(folder, RECORD), _document(folder, SPEC)
        return Entry(name, commit=commit, revisions=revisions, **_facts(record, spec))
    except (ZooError, OSError, ValueError, RecursionError, TypeError, OverflowError) as problem:
        text = cut(str(problem) or type(problem).__name__, MOST)
        return Entry(name, commit=commit, revisions=revisions, problem=text)


def _document(folder: Path, file: str) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = parse_json(_content(folder, file))
        if isinstance(found, dict) and found.get("spec") == LAYOUTS[file]:
            return found
    checkpoint = CheckpointFolder(folder)  # says what is wrong with it, or knows how to read it
    return (checkpoint.record if file == RECORD else checkpoint.experiment).plain()


def _content(folder: Path, file: str) -> bytes:
    """The bytes of a regular file, in the folder or among the blobs that belong to it."""
    path = os.path.join(folder, file)
    try:
        link = os.readlink(path)
    except OSError:
        pass
    else:
        if not _BLOB.fullmatch(link):
            return CheckpointFolder(folder).read(file)  # which follows no other link, and says so
        path = os.path.normpath(os.path.join(folder, link))
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return CheckpointFolder(folder).read(file)  # which says what is wrong
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise ValueError(f"{path} is no file that could be read.")
        return stream.read(LARGEST)


def _facts(record: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    claims = [claim for claim in _list(record.get("claims")) if isinstance(claim, dict)]
    held = sum(claim.get("holds") is True for claim in claims)
    files = _mapping(record.get("files")).values()
    members = record.get("members")
    return {
        "model": _kind(spec, "model"),
        "task": _kind(spec, "task"),
        "learner": _kind(spec, "learner"),
        "paper": _text(record.get("paper")) or None,
        "title": _text(record.get("title")),
        "tags": tuple(filter(None, map(_text, _list(record.get("tags"))[:MOST]))),
        "members": None if members is None else _count(members),
        "parameters": _count(record.get("parameters")),
        "snapshots": max((len(_list(steps)) for steps in _list(record.get("series"))), default=0),
        "size": min(sum(_count(_mapping(entry).get("size")) for entry in files), 2**53),
        "held": held,
        "failed": len(claims) - held,
        "license": _text(record.get("license")),
        "created": _text(record.get("created")),
        "metrics": dict(_metrics(record)),
    }


def _metrics(record: dict[str, Any]) -> list[tuple[str, tuple[float, float]]]:
    found = []
    for name, values in list(_mapping(record.get("metrics")).items())[:MOST]:
        finite = [float(value) for value in _list(values) if type(value) in (int, float)]
        finite = [value for value in finite if math.isfinite(value)]
        if finite and len(name) <= MOST:
            found.append((name, (min(finite), max(finite))))
    return found


def _kind(spec: dict[str, Any], part: str) -> str | None:
    return _text(_mapping(spec.get(part)).get("kind")) or None


def _text(value: Any) -> str:
    return value[:MOST] if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_json(values: tuple[str, ...]) -> str:
    """How lists of texts are kept."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
