"""From a spec, a grid, a search and a number of seeds to the experiment whose members a sweep trains."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from zoo.errors import SpecError, TrainingError, brief
from zoo.registry import suggest
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load
from zoo.specs.population import PopulationSpec
from zoo.specs.problems import validate
from zoo.specs.reading import value

Grid = Mapping[str, Sequence[Any]]
Found = TypeVar("Found")


def declared(
    spec: str | Path | ExperimentSpec,
    overrides: Sequence[str] = (),
    grid: Grid | None = None,
    seeds: int | None = None,
    search: Mapping[str, Any] | None = None,
) -> ExperimentSpec:
    """The experiment with its population: its own, with the paths of ``grid``, ``seeds`` and what ``search``
    says laid over it.

    Raises :class:`SpecError`, :class:`TrainingError` where overrides come with a spec that is loaded already.
    """
    if isinstance(spec, ExperimentSpec):
        if overrides:
            raise TrainingError("overrides go with a name or a file; use experiment.updated(...) for a spec.")
        experiment = spec
    else:
        experiment = load(spec, overrides, ExperimentSpec)
    before = experiment.population or PopulationSpec()
    population: dict[str, Any] = {**before.plain(), "grid": {**before.grid, **(grid or {})}}
    if seeds is not None:
        population["members"] = seeds
    if search:
        population["search"] = _searched(before, search)
    return validate(ExperimentSpec, {**experiment.plain(), "population": population})


def _searched(population: PopulationSpec, search: Mapping[str, Any]) -> dict[str, Any]:
    """The search of a population with changes, as plain data."""
    own = population.search
    before = {} if own is None else own.plain()
    kind = search.get("kind", before.get("kind", "random"))
    if own is not None and kind != own.kind:
        before = {key: before[key] for key in ("space", "trials", "seed")}
    space = {**before.get("space", {}), **search.get("space", {})}
    return {**before, **search, "kind": kind, "space": space}


def grid_of(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The grid that ``path.to.key=one,two`` declare. Raises :class:`SpecError`."""
    return _by_path(texts, "--grid", "one,two,three", lambda values, place: value(f"[{values}]", place))


def space_of(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The space of a search that ``path.to.key=log:1e-4..1e-1`` and the like declare.

    Raises :class:`SpecError`.
    """
    return _by_path(texts, "--search", "log:1e-4..1e-1", _distribution)


RANGES = {"uniform": "uniform", "log": "log-uniform", "int": "integer", "log-int": "log-integer"}
_RANGE = re.compile(r"(?:([\w-]*):)?(.*?)\.\.(.*)")


def _distribution(text: str, place: str) -> dict[str, Any]:
    """``log:low..high``, ``int:…``, ``log-int:…``, ``uniform:…`` or without a word; or ``one,two,three``."""
    found = _RANGE.fullmatch(text)
    if found is None:
        return {"kind": "choice", "values": value(f"[{text}]", place)}
    word = found[1] or "uniform"
    if word not in RANGES:
        known = ", ".join(RANGES)
        raise SpecError(f"{place}: a range is one of {known}, not {word!r}.{suggest(word, RANGES)}")
    low, high = (value(bound, place) for bound in (found[2], found[3]))
    return {"kind": RANGES[word], "low": low, "high": high}


def _by_path(
    texts: Sequence[str], option: str, example: str, read: Callable[[str, str], Found]
) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for text in texts:
        path, equals, values = (part.strip() for part in text.partition("="))
        place = f"{option} {brief(text, 80)}"
        if not equals or not path or not values:
            raise SpecError(f"{place}: should read path.to.key={example}")
        if path in found:
            raise SpecError(f"{place}: this path has its values already; give each path once")
        found[path] = read(values, place)
    return found
