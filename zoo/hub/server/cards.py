"""What a README and a record say to a catalogue: front matter, tags, a title. Bounded, and never trusted."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from zoo.checkpoints.folder import parse_json
from zoo.errors import CheckpointError
from zoo.hub.front_matter import split

MOST = 500
"""Tags of a model."""
_TAG = re.compile(r"[^\x00-\x1f<>\"]{1,120}")


@dataclass(frozen=True)
class Card:
    """Front matter as plain JSON values, and what a list of models shows."""

    data: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    title: str = ""
    size: int = 0
    """Bytes that it was read from."""

    @property
    def library(self) -> str | None:
        found = self.data.get("library_name")
        return found if isinstance(found, str) else None


def card_of(readme: bytes, record: bytes) -> Card:
    """Never raises: front matter that cannot be read counts as none."""
    try:
        front, _ = split(readme.decode("utf-8", "replace"))
    except CheckpointError:
        front = {}
    data: dict[str, Any] = _plain(front)
    return Card(data, tuple(_tags(data)), _title(record), len(readme) if data else 0)


def dumps(value: Any) -> bytes:
    """JSON without spaces, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """A value of front matter as JSON has it: numbers that are not finite are text."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _tags(data: dict[str, Any]) -> list[str]:
    """As the Hub derives them: those given, the library, the licence, languages and data sets."""
    named = data.get("tags")
    found = [*named] if isinstance(named, list) else []
    found.append(data.get("library_name"))
    for key, prefix in (("license", "license:"), ("datasets", "dataset:"), ("language", "")):
        values = data.get(key)
        found += [f"{prefix}{value}" for value in (values if isinstance(values, list) else [values]) if value]
    return list(dict.fromkeys(tag for tag in found if isinstance(tag, str) and _TAG.fullmatch(tag)))[:MOST]


def _title(record: bytes) -> str:
    try:
        found = parse_json(record or b"{}").get("title")
        return found[:200] if isinstance(found, str) else ""
    except (ValueError, RecursionError, AttributeError):
        return ""
