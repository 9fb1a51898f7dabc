"""What a worker does for a sweep. Its arguments are plain data, so that any version can read them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from zoo import paths
from zoo.engine.job import Failure
from zoo.errors import EngineError
from zoo.sweeps.folder import SPEC


def train(home: str, sweep: str, documents: Sequence[str]) -> list[Failure | None]:
    """Train the members that these JSON documents declare; of each, what went wrong, if anything.

    ``home`` is the driver's ``ZOO_HOME`` and ``sweep`` the folder of the sweep in it, which the worker must
    see. Raises :class:`EngineError` where it does not.
    """
    if not (Path(sweep) / SPEC).is_file():
        raise EngineError(
            f"a worker does not see {sweep}, which its driver has just written. "
            "Set ZOO_HOME to a folder that driver and workers share, and call again."
        )
    if str(paths.home()) != home:
        os.environ["ZOO_HOME"] = home
    from zoo.specs.experiment import ExperimentSpec
    from zoo.training.jobs import train_members

    members = [ExperimentSpec.model_validate(json.loads(document)) for document in documents]
    print(f"process {os.getpid()} trains {', '.join(member.digest()[:12] for member in members)}")
    outcomes = [Failure.of(problem) if problem else None for problem in train_members(members)]
    for failure in filter(None, outcomes):
        print(failure.trace)
    return outcomes
