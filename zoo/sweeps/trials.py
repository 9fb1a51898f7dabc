"""What a search has asked for, and the population that this makes."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo import errors
from zoo.errors import DivergedError, SpecError, TrainingError, ZooError
from zoo.registry import suggest
from zoo.specs.base import canonical_json
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.search import TPESearchSpec


@dataclass(frozen=True)
class Trial:
    """One point of a search."""

    point: dict[str, Any]
    """Dotted path → value."""
    refused: bool = False
    """Whether the spec refuses it, so that nothing is trained."""


def adaptive(experiment: ExperimentSpec) -> TPESearchSpec | None:
    """The search that finds the members of an experiment while they train; none where the spec has them."""
    search = experiment.population.search if experiment.population is not None else None
    return search if isinstance(search, TPESearchSpec) else None


def listed(experiment: ExperimentSpec, trials: Sequence[Trial]) -> ExperimentSpec:
    """The experiment whose population has these points, each once, in place of its search."""
    points = {canonical_json(trial.point): trial.point for trial in trials if not trial.refused}
    return with_points(experiment, list(points.values()))


def with_points(experiment: ExperimentSpec, points: Sequence[dict[str, Any]]) -> ExperimentSpec:
    """The same, of points that are known to be valid; even of none, so that there are no members."""
    assert experiment.population is not None
    population = experiment.population.model_copy(update={"search": None, "points": tuple(points)})
    return experiment.model_copy(update={"population": population})


def beyond(experiment: ExperimentSpec, trials: Sequence[Trial]) -> int:
    """How many members a search has not asked for yet, and how many the spec has refused."""
    population, search = experiment.population, adaptive(experiment)
    if population is None or search is None:
        return 0
    refused = sum(trial.refused for trial in trials)
    return (search.trials - len(trials) + refused) * population.members


# Outcomes -----------------------------------------------------------------------------------------


def metrics(result: Mapping[str, Any]) -> dict[str, float | None]:
    """What a finished run measured: of the last validation, and over what it was evaluated on in the end."""
    last = {name: values[-1] for name, values in result["curve"]["values"].items()}
    return {**last, **result["metrics"]}


def measured(result: Mapping[str, Any], metric: str) -> float | None:
    """A metric of a finished run; none where it is no finite number.

    Raises :class:`TrainingError` where there is none of this name.
    """
    known = metrics(result)
    if metric not in known:
        raise TrainingError(
            f"the members have no metric {metric!r}; they have {', '.join(known)}.{suggest(metric, known)}"
        )
    return known[metric]


def of_the_point(kind: str) -> bool:
    """Whether a failure of this class says something of the point: that it diverges, or needs too much.

    Others are of the disk, the network or the installation, and may not come again.
    """
    found = getattr(errors, kind, None) or getattr(builtins, kind, None)
    if not isinstance(found, type) or issubclass(found, DivergedError | SpecError):
        return True
    return not issubclass(found, ZooError | OSError)
