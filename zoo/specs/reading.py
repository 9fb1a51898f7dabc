"""YAML text to plain data, with the place of every key.

A strict reader for documents that may come from anywhere: it works in bounded time and memory,
and refuses whatever two people could read differently (duplicate keys, tags, aliases, merge keys,
numbers with leading zeros). Plain words follow YAML 1.2: ``true`` and ``false`` are the only
booleans, ``1e-3`` is a number.
"""

from __future__ import annotations

import math
import re
from contextlib import closing
from typing import Any, NamedTuple, NoReturn

import yaml

from zoo.errors import Problem, SpecError, brief

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_EVENTS = 100_000
MAX_KEY = 200

Path = tuple[str | int, ...]
"""Keys and list indices from the root to a value."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Document(NamedTuple):
    """Plain data, and line and column (from 1) of every key and list item; ``()`` is the root."""

    data: dict[str, Any]
    positions: dict[Path, tuple[int, int]]


def read(source: str | bytes, place: str = "<text>") -> Document:
    """A YAML document whose root is a mapping.

    Raises :class:`SpecError` with the place, for anything that is refused.
    """
    data, positions = _Builder(_decode(source, place), place).build()
    if not isinstance(data, dict):
        _refuse(f"should be a mapping of keys to values, not {_article(data)}", place, positions[()])
    return Document(data, positions)


def value(text: str, place: str) -> Any:
    """One value by the same rules, for example of an override; ``place`` is the whole place."""
    try:
        return _Builder(_decode(text, place), place).build()[0]
    except SpecError as problem:  # a line and column would mislead here
        raise SpecError([Problem(p.message, p.path, place) for p in problem.problems]) from None


def scalar(text: str) -> str | int | float | bool | None:
    """What a plain (unquoted) word stands for. Raises ``ValueError`` for a number that is refused."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
            raise ValueError(f"the whole number {_cut(text)} is beyond 64 bits; quote it if it is text")
        return int(text)
    if LEADING_ZERO.fullmatch(text):
        raise ValueError(f"{_cut(text)} has a leading zero, which tools read differently; drop or quote it")
    if FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError(f"the number {_cut(text)} is too large; quote it if it is text")
        if number == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
            raise ValueError(f"the number {_cut(text)} is too small to be told from 0")
        return number
    if NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no finite number; quote it if it is text")
    return text


def dotted(path: Path) -> str:
    """A path as it stands in messages and overrides: ``model.hidden``."""
    steps = list(map(str, path)) if len(path) <= 12 else [*map(str, path[:8]), "…", *map(str, path[-2:])]
    return ".".join(steps)


def _decode(source: str | bytes, place: str) -> str:
    """The text, without a byte-order mark and with printable characters only."""
    if len(source) > MAX_BYTES:
        _refuse(f"is larger than {MAX_BYTES:,} bytes, too large for a spec", place)
    text = (source if isinstance(source, str) else _from_bytes(source, place)).removeprefix("\ufeff")
    if found := _UNPRINTABLE.search(text):
        start = found.start()
        position = (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        _refuse(f"has the control character {found.group()!r}, which YAML does not allow", place, position)
    return text


def _from_bytes(source: bytes, place: str) -> str:
    if source.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        _refuse("is UTF-32; save it as UTF-8", place)
    encoding = "utf-16" if source.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        return source.decode(encoding)
    except UnicodeDecodeError as problem:
        before = source[: problem.start] if encoding == "utf-8" else b""
        position = (before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        _refuse(f"is not valid {encoding.upper()}; save it as UTF-8", place, position)


def _refuse(message: str, place: str, position: tuple[int, int] | None = None, path: Path = ()) -> NoReturn:
    where = f"{place}:{position[0]}:{position[1]}" if position else place
    raise SpecError(Problem(message, dotted(path), where))


def _article(data: Any) -> str:
    return {list: "a list", type(None): "nothing"}.get(type(data), f"the single value {brief(data)}")


def _cut(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:27]}…"


class _Open:
    """A mapping or list whose end has not been read yet."""

    def __init__(self, node: dict[str, Any] | list[Any], path: Path) -> None:
        self.node = node
        self.path = path
        self.key: str | None = None


class _Builder:
    """Builds data from parser events, with a stack of its own instead of recursion."""

    def __init__(self, text: str, place: str) -> None:
        self.text = text
        self.place = place
        self.positions: dict[Path, tuple[int, int]] = {}
        self.stack: list[_Open] = []
        self.root: Any = None

    def build(self) -> tuple[Any, dict[Path, tuple[int, int]]]:
        documents = 0
        try:
            parsed: Any = yaml.parse(self.text, Loader=_LOADER)
            with closing(parsed) as events:
                for count, event in enumerate(events):
                    if count > MAX_EVENTS:
                        self.refuse(f"has more than {MAX_EVENTS:,} parts, too many for a spec", event)
                    if isinstance(event, yaml.DocumentStartEvent):
                        documents += 1
                        if documents > 1:
                            self.refuse("holds a second document; give each a file of its own", event)
                    elif isinstance(event, yaml.NodeEvent):
                        self.node(event)
                    elif isinstance(event, yaml.CollectionEndEvent):
                        self.stack.pop()
        except yaml.MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            context = f" ({problem.context})" if problem.context else ""
            position = (mark.line + 1, mark.column + 1) if mark else None
            _refuse(f"is no valid YAML: {problem.problem}{context}", self.place, position)
        except yaml.YAMLError as problem:
            _refuse(f"is no valid YAML: {problem}", self.place)
        if not documents:
            _refuse("is empty", self.place)
        return self.root, self.positions

    def node(self, event: yaml.NodeEvent) -> None:
        """A scalar, or the start of a mapping or list."""
        top = self.stack[-1] if self.stack else None
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self.refuse("anchors and aliases are not read here: refer to a value with ${path.to.it}", event)
        if (tag := getattr(event, "tag", None)) is not None:
            tag = _cut(tag.replace("tag:yaml.org,2002:", "!!"))
            self.refuse(f"the tag {tag} is not read here: leave it out, and quote what is text", event)
        if top is not None and isinstance(top.node, dict) and top.key is None:
            self.open_key(top, event)
            return
        if isinstance(event, yaml.ScalarEvent):
            self.attach(top, self.scalar(event), event)
            return
        if len(self.stack) >= MAX_DEPTH:
            self.refuse(f"is nested more than {MAX_DEPTH} deep", event)
        node: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Open(node, self.attach(top, node, event)))

    def open_key(self, top: _Open, event: yaml.NodeEvent) -> None:
        """The key of the next entry of a mapping."""
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse("a key should be text, not a list or mapping", event)
        key = self.scalar(event)
        if not isinstance(key, str):
            self.refuse(f"a key should be text: write '{_cut(event.value)}' in quotes", event)
        if key == "<<" and not event.style:
            self.refuse("merge keys (<<) are not read here: name a base file in 'defaults'", event)
        if len(key) > MAX_KEY or "\n" in key:
            self.refuse(f"the key {_cut(key)!r} is not one line of at most {MAX_KEY} characters", event)
        path = (*top.path, key)
        position = self.position(event)
        if key in top.node:
            first = self.positions[path][0]
            message = f"this key stands twice, on lines {first} and {position[0]}; keep one"
            _refuse(message, self.place, position, path)
        self.positions[path] = position
        top.key = key

    def attach(self, top: _Open | None, value: Any, event: yaml.NodeEvent) -> Path:
        """Put a value where it belongs; its path."""
        if top is None:
            self.root = value
            path: Path = ()
        elif isinstance(top.node, list):
            path = (*top.path, len(top.node))
            top.node.append(value)
        else:
            assert top.key is not None
            path = (*top.path, top.key)
            top.node[top.key] = value
            top.key = None
        self.positions.setdefault(path, self.position(event))
        return path

    def scalar(self, event: yaml.ScalarEvent) -> str | int | float | bool | None:
        text = event.value
        if found := _CONTROL.search(text):
            self.refuse(f"the text has the control character {found.group()!r}; leave it out", event)
        if event.style:  # quoted, or a block of text
            return text
        try:
            return scalar(text)
        except ValueError as problem:
            self.refuse(str(problem), event)

    def position(self, event: yaml.Event) -> tuple[int, int]:
        mark = event.start_mark
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)

    def refuse(self, message: str, event: yaml.Event) -> NoReturn:
        top = self.stack[-1] if self.stack else None
        path: Path = ()
        if top is not None:
            last = len(top.node) if isinstance(top.node, list) else top.key
            path = top.path if last is None else (*top.path, last)
        _refuse(message, self.place, self.position(event), path)
