"""What a search by outcomes asks for next: a function of the trials before, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from zoo.extras import need
from zoo.specs.base import canonical_json
from zoo.specs.search import ChoiceSpec, TPESearchSpec, UniformSpec, uniform


def optuna() -> Any:
    """The library. Raises :class:`MissingDependencyError` without it."""
    return need("optuna", "search", "A search by outcomes")


def ask(
    search: TPESearchSpec, points: Sequence[Mapping[str, Any]], outcomes: Sequence[float | None]
) -> dict[str, Any]:
    """The point of trial ``len(points)``: path → value.

    ``points`` are those of all trials before, and ``outcomes`` the metric of the first of them, none where
    the trial failed; the others are on their way. The sampler begins anew with each trial, from a seed of
    the trial's own, so that a search that was killed goes on as if it had not been.
    """
    trial = len(points)
    if trial < search.startup:
        return search.drawn(trial)
    library = optuna()
    worst = float("inf" if search.direction == "minimise" else "-inf")
    space = {path: _distribution(library, values) for path, values in sorted(search.space.items())}
    with _quiet(library):
        study = library.create_study(
            direction=search.direction.replace("mise", "mize"),
            sampler=library.samplers.TPESampler(
                n_startup_trials=1, seed=int(uniform(search.seed, "tpe", trial) * 2**32)
            ),
        )
        states = library.trial.TrialState
        for number, point in enumerate(points):
            over = number < len(outcomes)
            value = outcomes[number] if over else None
            study.add_trial(
                library.trial.create_trial(
                    state=states.COMPLETE if over else states.RUNNING,
                    value=worst if over and value is None else value,
                    params={path: _drawn(search.space[path], point[path]) for path in space},
                    distributions=space,
                )
            )
        asked = study.ask(space).params
    return {path: _value(values, asked[path]) for path, values in search.space.items()}


# Between our distributions and Optuna's -------------------------------------------------------------


def _distribution(library: Any, values: Any) -> Any:
    if isinstance(values, ChoiceSpec):  # by number, as a value may be a mapping
        return library.distributions.CategoricalDistribution(range(len(values.values)))
    kinds = library.distributions
    kind = kinds.FloatDistribution if isinstance(values, UniformSpec) else kinds.IntDistribution
    return kind(values.low, values.high, log=values.kind.startswith("log-"))


def _drawn(values: Any, value: Any) -> Any:
    """What Optuna has drawn where a point has this value."""
    if isinstance(values, ChoiceSpec):
        return [canonical_json(each) for each in values.values].index(canonical_json(value))
    return value


def _value(values: Any, drawn: Any) -> Any:
    """The value of a point where Optuna has drawn this."""
    if isinstance(values, ChoiceSpec):
        return values.values[drawn]
    return values.short(drawn) if isinstance(values, UniformSpec) else drawn


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without a line for every study."""
    before = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    try:
        yield
    finally:
        library.logging.set_verbosity(before)
