"""Chaotic systems, simulated many at a time in double precision."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.errors import SpecError

Flow = Callable[[Any], Any]
"""The rate of change of states ``[system, variable]``."""


def lorenz(p: Mapping[str, float]) -> Flow:
    """Lorenz (1963)."""

    def flow(state: Tensor) -> Tensor:
        x, y, z = state.unbind(-1)
        return torch.stack([p["sigma"] * (y - x), x * (p["rho"] - z) - y, x * y - p["beta"] * z], -1)

    return flow


def rossler(p: Mapping[str, float]) -> Flow:
    """Rössler (1976)."""

    def flow(state: Tensor) -> Tensor:
        x, y, z = state.unbind(-1)
        return torch.stack([-y - z, x + p["a"] * y, p["b"] + z * (x - p["c"])], -1)

    return flow


def lorenz96(p: Mapping[str, float]) -> Flow:
    """Lorenz (1996)."""

    def flow(x: Tensor) -> Tensor:
        return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + p["forcing"]

    return flow


FLOWS = {"lorenz": lorenz, "rossler": rossler, "lorenz96": lorenz96}


def origin(system: str, dimension: int) -> tuple[Tensor, Tensor]:
    """A point near the attractor and the size of the attractor, ``[variable]`` each."""
    match system:
        case "lorenz":  # the initial state and deviations of the catalogue dysts
            point, size = [-9.7869288, -15.03852, 20.533978], [7.9, 9.0, 8.6]
        case "rossler":
            point, size = [6.5134412, 0.4772013, 0.34164294], [5.1, 4.8, 2.9]
        case "lorenz96":
            point, size = [8.01, *[8.0] * (dimension - 1)], [3.6] * dimension
        case _:  # pasts are constant, so they may lie far apart
            point, size = [0.9], [2.0]
    return torch.tensor(point, dtype=torch.float64), torch.tensor(size, dtype=torch.float64)


def advance(flow: Flow, state: Any, h: float) -> Any:
    """One step of the classical Runge-Kutta method."""
    a = flow(state)
    b = flow(state + h / 2 * a)
    c = flow(state + h / 2 * b)
    d = flow(state + h * c)
    return state + h / 6 * (a + 2 * b + 2 * c + d)


def sample(flow: Flow, state: Any, samples: int, every: float, substeps: int, burn_in: int) -> list[Any]:
    """States after ``burn_in`` samples, the first of them and those that follow it."""
    found = []
    for number in range(burn_in + samples):
        if number >= burn_in:
            found.append(state)
        for _ in range(substeps):
            state = advance(flow, state, every / substeps)
    return found


def mackey_glass(
    p: Mapping[str, float], state: Tensor, samples: int, every: float, substeps: int, burn_in: int
) -> list[Tensor]:
    """The same for Mackey & Glass (1977), x' = β x(t-τ) / (1 + x(t-τ)ⁿ) - γ x, which was ``state`` before.

    At half a step the past is interpolated by a cubic, so that the method keeps its order.
    """
    h, lag = every / substeps, round(p["tau"] / every * substeps)
    past = deque([state] * (lag + 2), lag + 2)  # the latest is the last; one beyond the delay, for the cubic

    def flow(x: Tensor, delayed: Tensor) -> Tensor:
        return p["beta"] * delayed / (1 + delayed.clamp_min(0) ** p["n"]) - p["gamma"] * x

    found = []
    for number in range((burn_in + samples - 1) * substeps + 1):
        if number % substeps == 0 and number >= burn_in * substeps:
            found.append(past[-1])
        x = past[-1]
        earlier, then, after = past[-lag - 2], past[-lag - 1], past[-lag]
        later = past[-lag + 1] if lag > 1 else x
        half = (9 * (then + after) - earlier - later) / 16 if lag > 1 else (then + after) / 2
        a = flow(x, then)
        b = flow(x + h / 2 * a, half)
        c = flow(x + h / 2 * b, half)
        d = flow(x + h * c, after)
        past.append(x + h / 6 * (a + 2 * b + 2 * c + d))
    return found


def checked(states: Tensor, system: str) -> Tensor:
    """The same. Raises :class:`SpecError` where a state is not finite."""
    if not bool(torch.isfinite(states).all()):
        raise SpecError(
            f"a trajectory of the system {system!r} leaves every bound with these parameters and initial "
            "states. Give more substeps or a smaller spread, or other parameters."
        )
    return states
