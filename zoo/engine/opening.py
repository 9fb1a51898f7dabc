"""From what stands behind ``--engine`` to an engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.engine.base import Engine
from zoo.engine.local import Here, Local
from zoo.errors import EngineError, brief

FORMS = (
    "here, local, local:4, dask://host:8786, slurm:workers=4,memory=2GB (or pbs, lsf, sge), or a YAML file"
)
MOST = 1024
"""Processes of this machine at most, so that a typo cannot stop it."""
ADDRESS = re.compile(r"dask://((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5})/?")


def open_engine(engine: str | Engine) -> Engine:
    """The engine of a name; an engine itself is as it is.

    Raises :class:`EngineError` and :class:`SpecError` for what is no engine, :class:`MissingDependencyError`
    where its library is not installed.
    """
    if isinstance(engine, Engine):
        return engine
    text = engine if isinstance(engine, str) else ""
    kind, _, rest = text.partition(":")
    if text == "here":
        return Here()
    if kind == "local":
        return Local(_count(text, rest) if text != kind else cpus())
    if match := ADDRESS.fullmatch(text):
        from zoo.engine import cluster

        return cluster.at(match[1])
    from zoo.engine import queues

    if kind in queues.KINDS or text.endswith((".yaml", ".yml")):
        from zoo.engine import cluster

        spec = queues.written(text) if kind in queues.KINDS else queues.read(Path(text))
        return cluster.queued(text, spec)
    raise EngineError(f"there is no engine {brief(engine)}; it is one of: {FORMS}.")


@contextmanager
def using(engine: str | Engine) -> Iterator[Engine]:
    """The engine of a name, open until the end of the block; an engine itself stays as it is.

    Raises what :func:`open_engine` does, and :class:`EngineError` where it cannot be reached.
    """
    found = open_engine(engine)
    if found is engine:
        yield found
    else:
        with found:
            yield found


def cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(engine: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST:
        return int(text)
    raise EngineError(f"{brief(engine)} should end in a number of processes from 1 to {MOST}, as in local:4.")
