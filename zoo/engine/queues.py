"""What workers ask of the queue of a cluster: in one word, or in a YAML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from zoo.errors import EngineError, brief
from zoo.paths import home
from zoo.specs import reading
from zoo.specs.base import Count, Line, Lines, Spec
from zoo.specs.problems import validate

KINDS = ("slurm", "pbs", "lsf", "sge")
NUMBERS = ("workers", "cores")


class QueueSpec(Spec):
    """Workers as jobs of a batch system. A key is the option of that system of the same meaning."""

    kind: Literal["slurm", "pbs", "lsf", "sge"]
    workers: Annotated[int, Field(ge=1, le=10_000)] = 1
    cores: Count = 1
    """Processors of a worker; a job of ours uses one, unless ``train.threads`` says otherwise."""
    memory: Line = "2GB"
    """Of a worker; one that needs more is killed, and its job tried elsewhere."""
    queue: Line | None = None
    account: Line | None = None
    walltime: Line | None = None
    """Of a worker, ``hours:minutes:seconds``; what it has begun then is gone on with by another."""
    interface: Line | None = None
    """Of the network between driver and workers, such as ``ib0``."""
    directives: Lines = ()
    """Further options for the head of the job script, as in ``--gres=gpu:1``."""
    prologue: Lines = ()
    """Commands before a worker starts, such as ``module load python``."""

    def options(self) -> dict[str, Any]:
        """The same as dask-jobqueue calls it."""
        given = {name: getattr(self, name) for name in ("queue", "account", "walltime", "interface")}
        return {
            **{name: value for name, value in given.items() if value is not None},
            "cores": self.cores,
            "processes": 1,
            "memory": self.memory,
            "worker_extra_args": ["--nthreads", "1"],
            "job_extra_directives": list(self.directives),
            "job_script_prologue": ["export OMP_NUM_THREADS=" + str(self.cores), *self.prologue],
            "python": sys.executable,
            "log_directory": str(home() / "sweeps" / "workers"),
        }


def written(text: str) -> QueueSpec:
    """``slurm:workers=4,memory=2GB,queue=short``. Raises :class:`SpecError`, :class:`EngineError`."""
    kind, _, rest = text.partition(":")
    options: dict[str, Any] = {"kind": kind}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if not equals or not value or key in options:
            raise EngineError(
                f"{brief(text, 100)}: {brief(part)} should be an option of its own, key=value, as in "
                f"{kind}:workers=4,memory=2GB. Lists go in a YAML file."
            )
        options[key] = int(value) if key in NUMBERS and value.isascii() and value.isdigit() else value
    return validate(QueueSpec, options, lambda path: text)


def read(path: Path) -> QueueSpec:
    """The same from a YAML file. Raises :class:`SpecError`, :class:`EngineError`."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise EngineError(f"the engine {path} cannot be read: {problem.strerror or problem}.") from problem
    document = reading.read(content, str(path))
    places = {at: f"{path}:{line}:{column}" for at, (line, column) in document.positions.items()}
    return validate(QueueSpec, document.data, lambda at: places.get(at, str(path)))
