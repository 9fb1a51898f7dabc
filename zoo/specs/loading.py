"""From a name or a file to a validated spec. The only file that knows OmegaConf.

A document is composed (:mod:`zoo.specs.composing`), its references ``${path.to.value}`` are
resolved, and Pydantic alone decides whether the outcome is valid. OmegaConf resolves references
and is imported by the documents that have some; what is handed to it has been checked to be small
once resolved, free of circles and of resolvers (``${oc.env:…}`` would read the environment).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any, NoReturn, TypeVar, cast

from zoo.errors import Problem, SpecError, brief
from zoo.registry.names import suggest
from zoo.specs import catalogue, migrations, problems
from zoo.specs.base import Spec
from zoo.specs.composing import Composed, compose_file, compose_text, override
from zoo.specs.derivation import DerivationSpec
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.reading import Path, dotted
from zoo.specs.study import PaperSpec, StudySpec

CLASSES: dict[str, type[Spec]] = {
    "experiment": ExperimentSpec,
    "study": StudySpec,
    "paper": PaperSpec,
    "derivation": DerivationSpec,
}

AnySpec = TypeVar("AnySpec", bound=Spec)


def load(
    source: FilePath | str,
    overrides: Sequence[str] = (),
    expected: type[AnySpec] = Spec,  # type: ignore[assignment]
) -> AnySpec:
    """The spec in a file, or of a name in the catalogue, with overrides ``path.to.key=value``.

    ``expected`` narrows it to one class. Raises :class:`SpecError` with every problem found,
    :class:`UnknownNameError` where there is no such entry.
    """
    path = catalogue.find(source)
    if path.name.startswith("_"):
        raise SpecError(
            f"{catalogue.shown(path)} is a fragment for other files to build on, no whole document."
        )
    composed = compose_file(path)
    return _validated(composed, overrides, expected, _misnamed(path, composed))


def parse(
    text: str | bytes,
    overrides: Sequence[str] = (),
    *,
    place: str = "<text>",
    base: FilePath | None = None,
    expected: type[AnySpec] = Spec,  # type: ignore[assignment]
) -> AnySpec:
    """The spec in a text. ``place`` names it in messages; ``base`` is the folder of its base files."""
    return _validated(compose_text(text, place, base), overrides, expected, [])


def _misnamed(path: FilePath, composed: Composed) -> list[Problem]:
    """A problem where the name in a file is not the one that it is found by."""
    name, written, where = catalogue.name_of(path), composed.data.get("name"), composed.where(("name",))
    if written == name or not isinstance(written, str):
        return []
    called = f"{name!r}, after the {'folder' if path.stem == 'paper' else 'file'}"
    if not where.startswith(f"{catalogue.shown(path)}:"):
        return [Problem(f"is required here and should be {called}", "name", composed.where(()))]
    return [Problem(f"should be {called} (got {brief(written)})", "name", where)]


def _validated(
    composed: Composed, overrides: Sequence[str], expected: type[AnySpec], found: list[Problem]
) -> AnySpec:
    family = migrations.family_of(composed.data.get("spec"), composed.where(("spec",)))
    cls = CLASSES[family]
    if not issubclass(cls, expected):
        wanted = next((name for name, other in CLASSES.items() if other is expected), expected.__name__)
        message = f"is a document of type {family}; one of type {wanted} is needed here"
        raise SpecError(Problem(message, "spec", composed.where(("spec",))))
    composed = override(composed, overrides, cls)
    data = _resolved(composed)
    try:
        spec = problems.validate(cls, data, composed.where)
    except SpecError as problem:
        raise SpecError([*found, *problem.problems], _hint(composed, problem.problems)) from None
    if found:
        raise SpecError(found)
    return spec


def _hint(composed: Composed, found: Sequence[Problem]) -> str:
    """What to do about a ``kind`` overridden alone, or to find keys that a migration moved."""
    for problem in found:
        node = tuple(problem.path.split(".")[:-1])
        if "unknown key" in problem.message and composed.places.get((*node, "kind"), "").startswith(
            "override"
        ):
            return f"To replace the whole node and not only its kind, override '{dotted(node)}={{kind: …}}'."
    if composed.migrated:
        now = composed.data.get("spec")
        return (
            f"The document is of the layout {composed.migrated} and was read as {now}; "
            "`zoo migrate` writes it anew."
        )
    return ""


# References -------------------------------------------------------------------------------------

MAX_RESOLVED = 10_000
"""Values of a document with references once each of them is replaced by what it refers to."""
MAX_CHARACTERS = 1_000_000
MAX_LEVELS = 32
"""Depth of nesting plus length of the chain of references that leads there."""

_REFERENCE = re.compile(r"(\\*)\$\{([^{}]*)(\}?)")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def _resolved(composed: Composed) -> dict[str, Any]:
    """The data with every reference replaced by the value that it names."""
    measure = _Measure(composed)
    if not measure.references():
        return composed.data
    measure.of(())
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        result = OmegaConf.to_container(OmegaConf.create(composed.data), resolve=True)
    except OmegaConfBaseException as problem:
        message = f"a reference cannot be resolved: {str(problem).partition(chr(10))[0]}"
        raise SpecError(Problem(message, place=composed.where(()))) from None
    return cast(dict[str, Any], result)


class _Measure:
    """How large a document becomes once its references are resolved; raises before it is too large."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self.sizes: dict[Path, tuple[int, int]] = {}
        self.open: list[Path] = []
        """What is being measured, outermost first: a value inside itself is a circle."""

    def references(self) -> bool:
        """Whether there are any."""
        pending: list[Any] = [self.composed.data]
        while pending:
            value = pending.pop()
            if isinstance(value, dict | list):
                pending.extend(value.values() if isinstance(value, dict) else value)
            elif isinstance(value, str) and "${" in value:
                return True
        return False

    def of(self, path: Path) -> tuple[int, int]:
        """Number of values and of characters of what is at a path, resolved."""
        if path in self.sizes:
            return self.sizes[path]
        if path in self.open:
            circle = (*self.open[self.open.index(path) :], path)
            chain = " → ".join(dotted(part) or "the document" for part in circle)
            self.refuse(f"refers to itself: {brief(chain, 200)}", self.open[-1])
        if len(self.open) > MAX_LEVELS:
            self.refuse(f"is nested or referred to more than {MAX_LEVELS} levels deep", path)
        self.open.append(path)
        value = self.at(path)
        values, characters = 1, 0
        if isinstance(value, dict | list):
            for key in value if isinstance(value, dict) else range(len(value)):
                values, characters = self.add(path, values, characters, self.of((*path, key)))
        elif isinstance(value, str):
            characters = len(value)
            for target in self.targets(value, path):
                values, characters = self.add(path, values, characters, self.of(target))
        self.open.pop()
        self.sizes[path] = values, characters
        return values, characters

    def add(self, path: Path, values: int, characters: int, more: tuple[int, int]) -> tuple[int, int]:
        values, characters = values + more[0], characters + more[1]
        if values > MAX_RESOLVED or characters > MAX_CHARACTERS:
            self.refuse(
                f"a document with references may grow to {MAX_RESOLVED:,} values and {MAX_CHARACTERS:,} "
                "characters; this one grows beyond",
                path,
            )
        return values, characters

    def targets(self, text: str, path: Path) -> list[Path]:
        """What a text refers to, each time it does."""
        found = []
        for match in _REFERENCE.finditer(text):
            if len(match[1]) % 2:
                continue  # \${ is the characters themselves
            if not match[3] or not _PLAIN.fullmatch(match[2]):
                self.refuse(
                    f"{brief(match[0].lstrip(chr(92)))} is no plain reference like ${{model.hidden}}; "
                    "write \\${ for the characters themselves",
                    path,
                )
            target = self.target(match[2], path)
            if isinstance(self.at(target), dict | list) and match[0] != text:
                self.refuse(f"${{{match[2]}}} is a list or mapping, which cannot stand inside a text", path)
            found.append(target)
        return found

    def target(self, reference: str, path: Path) -> Path:
        """The path that a reference names, list indices as numbers."""
        target: Path = ()
        value: Any = self.composed.data
        for key in reference.split("."):
            known = list(value) if isinstance(value, dict) else []
            if isinstance(value, list) and key.isdigit() and len(key) < 10 and int(key) < len(value):
                target, value = (*target, int(key)), value[int(key)]
            elif key in known:
                target, value = (*target, key), value[key]
            else:
                close = suggest(key, known)
                lost = dotted((*target, key))
                shown = brief(reference)[1:-1]
                self.refuse(f"${{{shown}}} refers to nothing: there is no {lost}.{close}", path)
        return target

    def at(self, path: Path) -> Any:
        value: Any = self.composed.data
        for key in path:
            value = value[key]
        return value

    def refuse(self, message: str, path: Path) -> NoReturn:
        raise SpecError(Problem(message, dotted(path), self.composed.where(path)))
