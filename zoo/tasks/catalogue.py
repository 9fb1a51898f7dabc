"""Equations of the catalogue ``dysts`` (Gilpin 2021), read from its files.

The package itself is not imported: it pulls in libraries that have nothing to do with the equations.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import MissingDependencyError, SpecError
from zoo.registry import suggest
from zoo.tasks.flows import Flow

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Entry:
    """A system."""

    flow: Flow
    point: Tensor
    """An initial state on the attractor, ``[variable]``."""
    size: Tensor
    """Deviation of each variable on it."""
    period: float
    unbounded: frozenset[int]
    """Numbers of the variables that are phases, and grow."""


def entry(name: str, parameters: Mapping[str, float]) -> Entry:
    """A system by its name in the catalogue, with some parameters of one's own.

    Raises :class:`MissingDependencyError` where dysts is not installed, :class:`SpecError` for a name or a
    parameter that it does not have, and for systems that are no equation for a rate of change.
    """
    return _entry(name, tuple(sorted(parameters.items())))


@cache
def _entry(name: str, parameters: tuple[tuple[str, float], ...]) -> Entry:
    facts = _facts()
    if name not in facts:
        raise SpecError(f"task.system: dysts has no system {name!r}.{suggest(name, facts)}")
    found = facts[name]
    known = found["parameters"]
    for each, _ in parameters:
        if each not in known:
            raise SpecError(f"task.parameters: {name} has no parameter {each!r}.{suggest(each, known)}")
    rate = _rate(name, known | dict(parameters))

    def flow(state: Tensor) -> Tensor:
        return torch.from_numpy(rate(state.numpy().T, 0.0).T.copy())

    point = torch.tensor(found["initial_conditions"], dtype=torch.float64)
    size = torch.tensor(found.get("std") or [1.0] * len(point), dtype=torch.float64)
    return Entry(flow, point, size, float(found["period"]), frozenset(found.get("unbounded_indices") or ()))


def _folder() -> Path:
    spec = importlib.util.find_spec("dysts")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("dysts", "", "The task dysts", "--no-deps")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def _facts() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        (_folder() / "data" / "chaotic_attractors.json").read_text()
    )
    return found


@cache
def _classes() -> dict[str, Any]:
    """The classes of ``flows.py``, on a base that has parameters and nothing else."""
    tree = ast.parse((_folder() / "flows.py").read_text())
    tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.level)]
    space: dict[str, Any] = {"DynSys": _Equations, "DynSysDelay": type("DynSysDelay", (), {})}
    space["staticjit"] = staticmethod
    exec(compile(tree, "dysts.flows", "exec"), space)
    return space


class _Equations:
    """What the classes of the catalogue need of their base to give a rate of change."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        found = {k: np.asarray(v) if isinstance(v, list) else v for k, v in parameters.items()}
        self.params = found
        self.__dict__.update(found)

    def rhs(self, state: Array, time: float) -> Any:
        parameters = [self.params[name] for name in sorted(self.params)]  # the order that dysts relies on
        return self._rhs(*state, time, *parameters)  # type: ignore[attr-defined]


def _rate(name: str, parameters: Mapping[str, Any]) -> Callable[[Array, float], Array]:
    """The rate of change of states ``[variable, system]``. Raises :class:`SpecError` where it depends on
    more than the state, or on states one by one."""
    kind, point = _classes().get(name), np.asarray(_facts()[name]["initial_conditions"], np.float64)
    refusal = SpecError(
        f"task.system: {name} is not given as a rate of change that depends on the state alone, so it "
        "cannot be simulated here. Choose another system of the catalogue."
    )
    if kind is None or not issubclass(kind, _Equations):
        raise refusal
    system = kind(parameters)

    def rate(state: Array, time: float) -> Array:
        with np.errstate(all="ignore"):  # what is not finite is found afterwards
            return np.stack(np.broadcast_arrays(*system.rhs(state, time))).astype(np.float64)

    several = point[:, None] * np.array([1.0, 0.9, 1.2])
    try:
        found = rate(several, 0.0)
        alone = np.stack([rate(each, 0.0) for each in several.T], 1)
    except Exception as problem:  # whatever a foreign equation does with more than one state
        raise refusal from problem
    if not np.allclose(found, alone, equal_nan=True) or not np.array_equal(
        found, rate(several, 1.7), equal_nan=True
    ):
        raise refusal
    return rate
