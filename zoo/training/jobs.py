"""What a worker trains: a few members of a sweep, to finished run folders."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.engine.job import lacks_memory
from zoo.specs.experiment import ExperimentSpec
from zoo.training.run import Run


def train_members(experiments: Sequence[ExperimentSpec]) -> list[Exception | None]:
    """Train experiments to finished run folders, and say of each what went wrong, if anything.

    A finished one is left as it is, a half-finished one goes on from its last state, and one that fails
    disturbs no other. Raises what says that memory lacks where there is more than one, as fewer may do.
    """
    outcomes: list[Exception | None] = []
    for experiment in experiments:
        try:
            Run.of(experiment).fit(progress=False)
            outcomes.append(None)
        except Exception as problem:
            if lacks_memory(problem) and len(experiments) > 1:
                raise
            outcomes.append(problem)
    return outcomes
