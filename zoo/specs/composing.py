"""One document out of several: base files, merged in order, and overrides.

``defaults: [_base.yaml, …]`` at the top of a file names files relative to its folder. They are
merged in that order, then the file itself: mappings are merged key by key, everything else
(lists too) is replaced, and so is a mapping whose ``kind`` changes, because the keys of one kind
mean nothing to another. A base file may have bases of its own. A file whose name begins with
``_`` is a fragment: only a base for others, no entry of the catalogue.

A document from elsewhere cannot reach files of its choice: bases lie below the folder of the
document, or below the nearest folder above it that is called ``specs`` or named in ``ZOO_SPECS``.

An override ``path.to.key=value`` replaces the value at that path, whatever it is. A key that holds
dots is reached through the mapping around it: ``population.grid={model.hidden: [8, 16]}``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any, NoReturn

from zoo.errors import Problem, SpecError, brief
from zoo.specs import catalogue, migrations, reading
from zoo.specs.base import Spec
from zoo.specs.problems import default_at
from zoo.specs.reading import Path, dotted

MAX_FILES = 32
"""Files that one document may be composed of, counted as often as they are read."""


class Composed:
    """Plain data, and where every part of it came from."""

    def __init__(self, data: dict[str, Any], places: dict[Path, str], migrated: str = "") -> None:
        self.data = data
        self.places = places
        self.migrated = migrated
        """The header of the earlier layout that it, or a base of it, was written in."""

    def where(self, path: Path) -> str:
        """The place of a path, or of the closest thing around it."""
        return next((self.places[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.places), "")


def compose_file(path: FilePath) -> Composed:
    """The document in a file, with its bases merged in and in the layout of today."""
    return _Composer(_limit(path.parent)).file(path, "", ())


def compose_text(text: str | bytes, place: str, base: FilePath | None) -> Composed:
    """The same for a text; without a folder ``base`` it cannot have bases."""
    composer = _Composer(_limit(base) if base else None)
    return composer.document(reading.read(text, place), place, base, "", ())


def override(composed: Composed, overrides: Sequence[str], cls: type[Spec]) -> Composed:
    """The document, one of class ``cls``, with values replaced in the order given.

    What lies on the way and is not written there begins at its default.
    """
    for text in overrides:
        place = f"override {brief(text, 80)}"
        dots, equals, value = text.partition("=")
        path = tuple(part.strip() for part in dots.split("."))
        if not equals or not all(path):
            raise SpecError(Problem("should read path.to.key=value", place=place))
        refused = ""
        if path[0] in ("spec", "defaults"):
            refused = "cannot be overridden: it decides how the document is read"
        elif not value.strip():
            refused = "has no value; write null for none, '' for an empty text"
        elif len(path) > reading.MAX_DEPTH:
            refused = f"is nested more than {reading.MAX_DEPTH} deep"
        if refused:
            raise SpecError(Problem(refused, dotted(path), place))
        composed = _assigned(composed, path, reading.value(value, place), place, cls)
    return composed


class _Composer:
    """Reads files below a limit and merges them."""

    def __init__(self, limit: FilePath | None) -> None:
        self.limit = limit
        self.files = 0

    def file(self, path: FilePath, header: str, above: tuple[FilePath, ...]) -> Composed:
        """A file and its bases. ``header`` is that of the file which names it, ``above`` all those."""
        shown = catalogue.shown(path)
        document = reading.read(contents(path), shown)
        return self.document(document, shown, path.parent, header, (*above, FilePath(os.path.realpath(path))))

    def document(
        self,
        document: reading.Document,
        shown: str,
        folder: FilePath | None,
        header: str,
        above: tuple[FilePath, ...],
    ) -> Composed:
        places = {path: f"{shown}:{line}:{column}" for path, (line, column) in document.positions.items()}
        own = Composed(dict(document.data), places)
        written = own.data.get("spec", header)
        header = written if isinstance(written, str) else ""
        names = own.data.pop("defaults", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            _refuse("should be a list of file names", own, "defaults")
        written_so, own.data = own.data, migrations.upgrade(own.data, header)
        own.migrated = header if own.data is not written_so else ""
        composed: Composed | None = None
        for index, name in enumerate(names):
            base = self.file(self.base(name, folder, own, index, above), header, above)
            composed = merged(composed, base) if composed else base
        return merged(composed, own) if composed else own

    def base(
        self, name: str, folder: FilePath | None, own: Composed, index: int, above: tuple[FilePath, ...]
    ) -> FilePath:
        """The file that an entry of ``defaults`` names, if it may be read."""
        if folder is None or self.limit is None:
            _refuse("a text that lies in no file cannot have base files", own, "defaults")
        self.files += 1
        if self.files >= MAX_FILES:
            _refuse(f"is composed of more than {MAX_FILES} files", own, "defaults", index)
        path = folder / name
        usable = name.endswith(catalogue.SUFFIXES) and name.isprintable() and len(name) <= 200
        if not usable or FilePath(name).anchor:
            message = f"should be the name of a .yaml file, relative to this one (got {brief(name)})"
            _refuse(message, own, "defaults", index)
        resolved = FilePath(os.path.realpath(path))
        if not resolved.is_relative_to(self.limit):
            message = f"{name} lies outside of {catalogue.shown(self.limit)}, where base files are looked for"
            _refuse(message, own, "defaults", index)
        if resolved in above:
            chain = " → ".join(p.name for p in (*above[above.index(resolved) :], resolved))
            _refuse(f"the files include each other: {chain}", own, "defaults", index)
        if not catalogue.exists(resolved):
            _refuse(f"there is no file {catalogue.shown(path)}", own, "defaults", index)
        return path


def merged(base: Composed, top: Composed) -> Composed:
    """``top`` laid over ``base``."""
    replaced: set[Path] = set()
    data = _merge(base.data, top.data, (), replaced)
    kept = {
        path: place
        for path, place in base.places.items()
        if not any(path[:n] in replaced for n in range(1, len(path) + 1))
    }
    return Composed(data, kept | top.places, top.migrated or base.migrated)


def _merge(base: dict[str, Any], top: dict[str, Any], at: Path, replaced: set[Path]) -> dict[str, Any]:
    result = dict(base)
    for key, value in top.items():
        path, old = (*at, key), base.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _same_kind(old, value):
            result[key] = _merge(old, value, path, replaced)
        else:
            replaced.add(path)
            result[key] = value
    return result


def _same_kind(base: dict[str, Any], top: dict[str, Any]) -> bool:
    return "kind" not in base or "kind" not in top or bool(base["kind"] == top["kind"])


def _assigned(composed: Composed, path: tuple[str, ...], value: Any, place: str, cls: type[Spec]) -> Composed:
    """A copy with one value replaced."""
    data = dict(composed.data)
    node: Any = data
    real: Path = ()
    made: dict[Path, str] = {}
    for depth, key in enumerate(path):
        slot: Any = key
        if isinstance(node, list):
            if not (key.isascii() and key.isdigit() and len(key) < 10 and int(key) < len(node)):
                message = f"there is no item {brief(key)} in a list of {len(node)}; the first is 0"
                raise SpecError(Problem(message, dotted(path[: depth + 1]), place))
            slot = int(key)
        elif not isinstance(node, dict):
            message = f"has the value {brief(node)}, so there is nothing below it"
            raise SpecError(Problem(message, dotted(path[:depth]), place))
        elif depth < len(path) - 1 and key not in node:
            node[key] = default_at(cls, composed.data, (*real, key))
            made[*real, key] = place
        real = (*real, slot)
        if depth == len(path) - 1:
            node[slot] = value
        else:
            below = node[slot]
            node[slot] = {} if below is None else below.copy() if isinstance(below, dict | list) else below
            node = node[slot]
    places = {old: where for old, where in composed.places.items() if old[: len(real)] != real}
    return Composed(data, places | made | {real: place}, composed.migrated)


def contents(path: FilePath) -> bytes:
    """The bytes of a document, a little more than are read at most. Raises :class:`SpecError`."""
    try:
        with path.open("rb") as file:
            return file.read(reading.MAX_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or problem
        raise SpecError(f"{catalogue.shown(path)} cannot be read: {reason}.") from problem


def _limit(folder: FilePath) -> FilePath:
    """The folder below which the bases of a document in ``folder`` must lie."""
    folder = folder.resolve()
    roots = {root.resolve() for root in catalogue.folders()}
    return next((f for f in (folder, *folder.parents) if f.name == "specs" or f in roots), folder)


def _refuse(message: str, composed: Composed, *path: str | int) -> NoReturn:
    raise SpecError(Problem(message, dotted(path), composed.where(path)))
