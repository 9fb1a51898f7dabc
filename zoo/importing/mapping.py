"""Mappings: read from a file, and the names of a file by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from zoo.errors import ForeignFileError, UnknownNameError, brief
from zoo.registry import suggest
from zoo.specs import reading
from zoo.specs.catalogue import exists, shown
from zoo.specs.composing import Composed, contents
from zoo.specs.mapping import MappingSpec, compiled
from zoo.specs.problems import validate

MOST = 12
"""Names in a message."""
T = TypeVar("T")


def load_mapping(path: Path) -> MappingSpec:
    """The mapping in a YAML file. Raises :class:`SpecError` with line and field for what it cannot be."""
    place = shown(path)
    if not exists(path):
        raise UnknownNameError(f"there is no mapping {place}. Check the path.")
    document = reading.read(contents(path), place)
    places = {at: f"{place}:{line}:{column}" for at, (line, column) in document.positions.items()}
    return validate(MappingSpec, document.data, Composed(document.data, places).where)


def strip(found: Mapping[str, T], prefixes: Sequence[str], where: str) -> dict[str, T]:
    """The same with prefixes taken off the names, in whatever order they stand there."""
    result: dict[str, T] = {}
    for name, tensor in found.items():
        short, before = name, ""
        while short != before:
            before = short
            for prefix in prefixes:
                short = short.removeprefix(prefix)
        if short in result or not short:
            raise ForeignFileError(
                f"{where}: without their prefixes two would be called {short!r}, one of them {name!r}. "
                "Strip fewer, or rename one of them."
            )
        result[short] = tensor
    return result


def rename(names: Sequence[str], rules: MappingSpec, where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Our name → theirs, and the names that are left out.

    Raises :class:`ForeignFileError` for a rule that fits nothing, and for two names that become one.
    """
    found: dict[str, str] = {}
    left_out, idle = [], dict.fromkeys(rules.rename)
    for name in names:
        ours: str | None = name
        for rule, target in rules.rename.items():
            pattern, text = compiled(rule, target or "")
            if match := pattern.fullmatch(name):
                idle.pop(rule, None)
                ours = None if target is None else match.expand(text)
                break
        if ours is None:
            left_out.append(name)
        elif ours in found:
            raise ForeignFileError(
                f"{where}: {found[ours]!r} and {name!r} would both become {ours!r}. Correct the mapping."
            )
        else:
            found[ours] = name
    if idle:
        rule = next(iter(idle))
        raise ForeignFileError(
            f"{where}: the rule {rule!r} of the mapping fits no name.{suggest(rule, names)} "
            f"Correct it or take it out; the names are: {listed(names)}."
        )
    return found, tuple(left_out)


def listed(names: Iterable[str]) -> str:
    """The first of some names, for a message."""
    shown = list(names)
    return ", ".join(brief(name, 100)[1:-1] for name in shown[:MOST]) + (", …" if shown[MOST:] else "")
