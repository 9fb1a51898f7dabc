"""What a README and a record say to a catalogue: front matter, tags, a title. Bounded, and never trusted."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from zoo.checkpoints.folder import parse_json

LONGEST = 256 * 2**10
"""Bytes of front matter that are read."""
DEEPEST, MOST = 30, 20_000
"""Levels of nesting, and values in all."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
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
        data = front_matter(readme.decode("utf-8", "replace"))
    except ValueError:
        data = {}
    return Card(data, tuple(_tags(data)), _title(record), len(readme) if data else 0)


def front_matter(text: str) -> dict[str, Any]:
    """The lines between the first two ``---``. Raises :class:`ValueError` saying what is wrong."""
    found = _FRONT.match(text)
    if found is None:
        return {}
    if len(found[1]) > LONGEST:
        raise ValueError(f"the front matter is longer than {LONGEST // 2**10} kB; shorten it")
    try:
        _check_events(found[1])
        data = yaml.load(found[1], Loader=_LOADER)
    except Exception as problem:  # YAML's constructors of dates, numbers and the like check little
        why = " ".join(str(problem).split())[:300]
        raise ValueError(f"the front matter is no plain YAML: {why}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ValueError("the front matter should be 'key: value' lines")
    return {str(key)[:200]: _plain(value) for key, value in data.items()}


def problems(text: str) -> list[str]:
    """Everything that the Hub would not accept of a card."""
    try:
        data = front_matter(text)
    except ValueError as problem:
        return [str(problem)]
    found = []
    if not isinstance(data.get("license", ""), str | list):
        found.append("license should be the name of a licence, such as mit or cc-by-4.0")
    tags = data.get("tags", [])
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        found.append("tags should be a list of texts")
    if "model-index" in data and (why := _no_index(data["model-index"])):
        found.append(f"model-index cannot be read: {why}")
    return found


def _no_index(index: Any) -> str:
    """What the client's own reader says against a model-index; it is loaded for this only."""
    from huggingface_hub.repocard_data import model_index_to_eval_results

    try:
        model_index_to_eval_results(index)
    except Exception as problem:  # the reader checks nothing, so anything can come of odd values
        return f"{type(problem).__name__}: {problem}"[:300]
    return ""


def _check_events(text: str) -> None:
    """Refuse aliases, which can stand for billions of values, and what is too deep or too much."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases (*name); write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or count > MOST:
            raise ValueError("it is nested too deeply or too long")


def _plain(value: Any) -> Any:
    """A value of YAML as JSON has it: dates and odd numbers are text."""
    if isinstance(value, dict):
        return {str(key)[:200]: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return str(float(value)) if abs(value) < 2**1000 else "too large a number"
    if value is None or isinstance(value, bool | int | float | str):
        return _well_formed(value) if isinstance(value, str) else value
    return str(value)


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _tags(data: dict[str, Any]) -> list[str]:
    """As the Hub derives them: those given, the library, the licence, languages and data sets."""
    named = data.get("tags")
    found = list(named) if isinstance(named, list) else []
    if library := data.get("library_name"):
        found.append(library)
    for key, prefix in (("license", "license:"), ("datasets", "dataset:"), ("language", "")):
        values = data.get(key)
        found += [f"{prefix}{value}" for value in (values if isinstance(values, list) else [values]) if value]
    return list(dict.fromkeys(tag for tag in found if isinstance(tag, str) and _TAG.fullmatch(tag)))[:500]


def _title(record: bytes) -> str:
    try:
        found = parse_json(record or b"{}").get("title")
        return found[:200] if isinstance(found, str) else ""
    except (ValueError, RecursionError, AttributeError):
        return ""


def dumps(value: Any) -> bytes:
    """JSON without spaces, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
