"""From what stands behind ``--engine`` to an engine."""

from __future__ import annotations

import os

from zoo.engine.base import Engine
from zoo.engine.local import Here, Local
from zoo.errors import EngineError, brief

FORMS = "here, local, local:4"
MOST = 1024
"""Processes of this machine at most, so that a typo cannot stop it."""


def open_engine(engine: str | Engine) -> Engine:
    """The engine of a name; an engine itself is as it is.

    Raises :class:`EngineError` for what is no engine, :class:`MissingDependencyError` where its library is
    not installed.
    """
    if isinstance(engine, Engine):
        return engine
    kind, _, rest = engine.partition(":") if isinstance(engine, str) else ("", "", "")
    if engine == "here":
        return Here()
    if kind == "local":
        return Local(_count(engine, rest) if rest or engine != kind else cpus())
    raise EngineError(f"there is no engine {brief(engine)}; it is one of: {FORMS}.")


def cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(engine: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST:
        return int(text)
    raise EngineError(f"{brief(engine)} should end in a number of processes from 1 to {MOST}, as in local:4.")
