"""What a worker trains: a few members of a sweep, to finished run folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.engine.job import lacks_memory
from zoo.specs.experiment import ExperimentSpec
from zoo.training.place import by_itself
from zoo.training.run import Run


def train_members(experiments: Sequence[ExperimentSpec]) -> list[Exception | None]:
    """Train experiments to finished run folders, and say of each what went wrong, if anything.

    Those of one shape train together. A finished one is left as it is, a half-finished one goes on from its
    last state, and one that fails disturbs no other. Raises what says that memory lacks where there is more
    than one, as fewer may do.
    """
    with by_itself():
        return _train_members(experiments)


def _train_members(experiments: Sequence[ExperimentSpec]) -> list[Exception | None]:
    from zoo.training.together import GroupDivergedError, fit_all, groups

    runs = [Run.of(experiment) for experiment in experiments]
    failed: dict[Path, Exception] = {}
    for group in groups([run for run in runs if not run.finished]):
        try:
            fit_all(group, progress=False)
        except GroupDivergedError as problem:
            failed |= {run.folder: each for run, each in problem.failed}
        except Exception as problem:
            if lacks_memory(problem) and len(experiments) > 1:
                raise
            failed |= {group[0].folder: problem} if len(group) == 1 else _one_by_one(group)
    return [failed.get(run.folder) for run in runs]


def _one_by_one(runs: Sequence[Run]) -> dict[Path, Exception]:
    """What fails where each trains by itself, as one of them kept a group from training."""
    failed: dict[Path, Exception] = {}
    for run in runs:
        try:
            run.fit(progress=False)
        except Exception as problem:
            failed[run.folder] = problem
    return failed
