"""What is looked for in a catalogue: one meaning, in Python and in SQL."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from zoo.errors import ZooError, brief
from zoo.hub.index.entry import Entry
from zoo.registry import glob

_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BOUND = re.compile(r"\s*(?P<metric>[^<>=\s][^<>=]*?)\s*(?P<sign><=|>=|<|>)\s*(?P<value>[^<>=\s]+)\s*")
PARTS = ("model", "task", "learner", "paper")


@dataclass(frozen=True)
class Bound:
    """A bound on a metric, which every member keeps."""

    metric: str
    sign: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """``test/loss<0.1``. Raises :class:`ZooError` for anything else."""
        found = _BOUND.fullmatch(text)
        value = math.nan
        with suppress(ValueError):
            value = float(found["value"]) if found else value
        if found is None or not math.isfinite(value):
            raise ZooError(f"{brief(text)} is no bound on a metric. Bounds look like: 'test/loss<0.1'.")
        return cls(found["metric"], found["sign"], value)

    def holds(self, entry: Entry) -> bool:
        if self.metric not in entry.metrics:
            return False
        lowest, highest = entry.metrics[self.metric]
        return _COMPARED[self.sign](highest if "<" in self.sign else lowest, self.value)


@dataclass(frozen=True)
class Query:
    """All that is given must hold."""

    names: tuple[str, ...] = ()
    """Globs of which one matches, minus those after a ``!``."""
    text: str = ""
    """A part of the name, the title or a tag, in any case."""
    kind: str | None = None
    """Of the model, the task or the learner."""
    model: str | None = None
    task: str | None = None
    learner: str | None = None
    paper: str | None = None
    tag: str | None = None
    """Of the record, or of a revision."""
    bounds: tuple[Bound, ...] = ()

    def matches(self, entry: Entry) -> bool:
        return (
            bool(glob(self.names, [entry.name]))
            and self.text.lower() in words(entry)
            and self.kind in (None, entry.model, entry.task, entry.learner)
            and all(getattr(self, part) in (None, getattr(entry, part)) for part in PARTS)
            and (self.tag is None or self.tag in entry.tags or self.tag in entry.revisions)
            and all(bound.holds(entry) for bound in self.bounds)
        )

    def sql(self) -> tuple[str, list[str | float]]:
        """The same as a condition on the table ``entries``, and its parameters."""
        terms, values = ["live = 1"], list[str | float]()

        def add(term: str, *given: str | float) -> None:
            terms.append(term)
            values.extend(given)

        if wanted := [pattern for pattern in self.names if not pattern.startswith("!")]:
            add(f"({' OR '.join(map(_glob, wanted))})", *wanted)
        for pattern in self.names:
            if pattern.startswith("!"):
                add(f"NOT {_glob(pattern[1:])}", pattern[1:])
        if self.text:
            add("instr(words, ?)", self.text.lower())
        if self.kind is not None:
            add("? IN (model, task, learner)", self.kind)
        for part in PARTS:
            if (value := getattr(self, part)) is not None:
                add(f"{part} = ?", value)
        if self.tag is not None:
            add("id IN (SELECT entry FROM tags WHERE tag = ?)", self.tag)
        for bound in self.bounds:
            side = "highest" if "<" in bound.sign else "lowest"
            add(
                f"id IN (SELECT entry FROM metrics WHERE metric = ? AND {side} {bound.sign} ?)",
                bound.metric,
                bound.value,
            )
        return " AND ".join(terms), values


def words(entry: Entry) -> str:
    """The column that texts are looked for in."""
    return "\n".join((entry.name, entry.title, *entry.tags)).lower()


def matches(name: str, pattern: str) -> bool:
    """``zoo_glob`` of the SQL."""
    return bool(glob(pattern, [name]))


def patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    """A pattern, or several; every name where all would match."""
    found = (given,) if isinstance(given, str) else tuple(given)
    return () if found == ("*",) else found


def _glob(pattern: str) -> str:
    """SQLite's own matching goes by an index, and reads brackets in another way than the shell."""
    return "zoo_glob(name, ?)" if "[" in pattern or pattern.startswith("!") else "name GLOB ?"
