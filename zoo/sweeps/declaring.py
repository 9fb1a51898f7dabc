"""From a spec, a grid and a number of seeds to the experiment whose members a sweep trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import SpecError, TrainingError, brief
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load
from zoo.specs.population import PopulationSpec
from zoo.specs.problems import validate
from zoo.specs.reading import value

Grid = Mapping[str, Sequence[Any]]


def declared(
    spec: str | Path | ExperimentSpec,
    overrides: Sequence[str] = (),
    grid: Grid | None = None,
    seeds: int | None = None,
) -> ExperimentSpec:
    """The experiment with its population: its own, with the paths of ``grid`` and ``seeds`` laid over it.

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
    return validate(ExperimentSpec, {**experiment.plain(), "population": population})


def grid_of(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The grid that ``path.to.key=one,two`` declare. Raises :class:`SpecError`."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        place = f"--grid {brief(text, 80)}"
        if not equals or not path.strip() or not values.strip():
            raise SpecError(f"{place}: should read path.to.key=one,two,three")
        if path.strip() in grid:
            raise SpecError(f"{place}: this path has its values already; give each path once")
        grid[path.strip()] = value(f"[{values}]", place)
    return grid
