"""What the finished members of a sweep measured, as a tidy table: one row a member and metric."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import TrainingError
from zoo.placing import write_whole
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.population import SEED
from zoo.sweeps.driving import varied
from zoo.sweeps.folder import SweepFolder
from zoo.sweeps.searching import mean
from zoo.sweeps.sweep import Sweep
from zoo.sweeps.trials import measured
from zoo.training.run import Run

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Finished:
    """A finished member: what sets it apart, and what its run found."""

    number: int
    digest: str
    varied: dict[str, Any]
    """Dotted path → value, as the grid has it."""
    result: dict[str, Any]
    """As :attr:`Run.result` describes it."""


def finished(experiment: ExperimentSpec) -> list[Finished]:
    """The finished members of a population, by number; what is twice in the grid is there once."""
    found: dict[str, Finished] = {}
    for number, member in enumerate(experiment.members()):
        run, digest = Run.of(member), member.digest()
        if digest not in found and run.finished:
            found[digest] = Finished(number, digest, varied(experiment, number), run.result)
    return list(found.values())


@dataclass(frozen=True)
class Best:
    """The best of the combinations, all of whose seeds are finished."""

    varied: dict[str, Any]
    """Dotted path → value, without the seed."""
    metric: str
    value: float
    """The mean over its members."""
    members: tuple[int, ...]
    """Their numbers in the population."""

    def __str__(self) -> str:
        varied = " ".join(f"{path}={value}" for path, value in self.varied.items())
        return f"best: {self.metric} {self.value:.4g} with {varied or 'what the spec says'}"


def best(experiment: ExperimentSpec, metric: str, maximise: bool = False) -> Best | None:
    """The best of the finished combinations of a population; none where none is finished.

    Raises :class:`TrainingError` where the members have no such metric.
    """
    seeds = experiment.population.members if experiment.population is not None else 1
    groups: dict[int, list[Finished]] = {}
    for member in finished(experiment):
        groups.setdefault(member.number // seeds, []).append(member)
    found = []
    for group in groups.values():
        value = mean([measured(member.result, metric) for member in group])
        if len(group) == seeds and value is not None:
            varied = {path: each for path, each in group[0].varied.items() if path != SEED or seeds == 1}
            found.append(Best(varied, metric, value, tuple(member.number for member in group)))
    return (max if maximise else min)(found, key=lambda each: each.value, default=None)


def rows(members: Sequence[Finished]) -> list[dict[str, Any]]:
    """One row a member and metric: member, digest, what varies, metric, value, steps, stopped, wall_time."""
    return [
        {
            "member": member.number,
            "digest": member.digest,
            **{path: _cell(value) for path, value in member.varied.items()},
            "metric": metric,
            "value": value,
            **{fact: member.result[fact] for fact in ("steps", "stopped", "wall_time")},
        }
        for member in members
        for metric, value in member.result["metrics"].items()
    ]


def results(sweep: str | Sweep) -> pd.DataFrame:
    """The tidy table of a sweep, or of the name of one: one row a finished member and metric.

    Raises :class:`UnknownNameError`, :class:`MissingDependencyError` without pandas.
    """
    from zoo.extras import need

    pandas = need("pandas", "tables", "A table of results")
    experiment = sweep.experiment if isinstance(sweep, Sweep) else SweepFolder.named(sweep).found
    frame: pd.DataFrame = pandas.DataFrame(rows(finished(experiment)))
    return frame


def check_suffix(path: Path) -> None:
    """Raises :class:`TrainingError` where no table can be written under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise TrainingError(f"no table can be written as {path.name!r}: end it in {' or '.join(SUFFIXES)}.")


def write_results(experiment: ExperimentSpec, path: Path) -> Path:
    """Write the tidy table of what is finished: ``.csv``, or ``.parquet`` (extra ``tables``).

    Raises :class:`TrainingError` for another suffix or where there is nothing to write yet, and
    :class:`MissingDependencyError`.
    """
    check_suffix(path)
    table = rows(finished(experiment))
    if not table:
        raise TrainingError(f"{path.name} would be empty: no member is finished. Call the same sweep again.")
    return write_whole(path, _csv(table) if path.suffix.lower() == ".csv" else _parquet(table))


def _csv(table: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _parquet(table: list[dict[str, Any]]) -> bytes:
    from zoo.extras import need

    need("pyarrow", "tables", "Writing Parquet")
    buffer = io.BytesIO()
    need("pandas", "tables", "Writing Parquet").DataFrame(table).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    """A value of the grid as it may stand in a cell: what has parts, as JSON."""
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value
