"""Points where a step moves the state least: damped Gauss–Newton from many states at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from zoo.analysis.jacobians import step_jacobians
from zoo.models.dynamics import Dynamics

FLAT, STILL = 1e-13, 1e-9
"""Where a search ends that is at no fixed point: a step so small beside the state, or so small a gain."""
CACHE = 2**17
"""Numbers in the Jacobians that are worked on together, which stay in a processor's cache."""
PATIENCE = 8
"""Steps in a row with so small a gain, after which a search ends."""


@dataclass(frozen=True)
class Resting:
    """Points ``[point, unit]`` and their speeds ``|F(h, u) - h|`` ``[point]``."""

    points: Tensor
    speeds: Tensor

    @classmethod
    def none(cls, units: int, like: Tensor) -> Self:
        return cls(like.new_zeros(0, units), like.new_zeros(0))

    def __getitem__(self, rows: Tensor) -> Resting:
        return Resting(self.points[rows], self.speeds[rows])

    def joined(self, other: Resting) -> Resting:
        """These and those."""
        return Resting(torch.cat([self.points, other.points]), torch.cat([self.speeds, other.speeds]))


@torch.no_grad()
def resting_points(model: Dynamics, starts: Tensor, u: Tensor, tolerance: float, steps: int) -> Resting:
    """Minima of ``|F(h, u) - h|`` that are reached from ``starts`` ``[start, unit]`` under input ``u``.

    Levenberg–Marquardt with a damping of its own for each start; those that have ended cost nothing more.
    """
    points = starts.clone()
    residual = _move(model, points, u)
    speeds = residual.norm(dim=1)
    damping = torch.full_like(speeds, 1e-3)
    idle = torch.zeros_like(speeds)
    active = torch.arange(len(points), device=points.device)
    for _ in range(steps):
        active = active[(speeds[active] > tolerance / 10) & (idle[active] < PATIENCE)]
        if not len(active):
            break
        h, r = points[active], residual[active]
        most = max(1, CACHE // h.shape[1] ** 2) if h.is_cpu else len(h)
        parts = zip(*(value.split(most) for value in (h, r, damping[active])), strict=True)
        change = torch.cat([_change(model, u, *part) for part in parts])
        there = h + change
        after = _move(model, there, u)
        speed = after.norm(dim=1)
        better = speed < speeds[active]  # false for what is not finite
        gain = 1 - speed / speeds[active]
        small = ~better | (gain < STILL) | (change.norm(dim=1) < FLAT * (1 + h.norm(dim=1)))
        idle[active] = torch.where(small, idle[active] + 1, 0.0)
        damping[active] = torch.where(better, damping[active] / 5, damping[active] * 4).clamp(1e-15, 1e12)
        taken = active[better]
        points[taken], residual[taken], speeds[taken] = there[better], after[better], speed[better]
    return Resting(points, speeds)


def distinct(found: Resting, apart: float) -> Resting:
    """Of points nearer to each other than ``apart``, the slowest; in the order of their speed."""
    found = found[found.speeds.argsort()]
    kept, left = [], torch.arange(len(found.points), device=found.points.device)
    while len(left):
        first = left[0]
        kept.append(first)
        away = (found.points[left] - found.points[first]).norm(dim=1) > apart
        left = left[away]
    return found[torch.stack(kept)] if kept else found


def _change(model: Dynamics, u: Tensor, h: Tensor, residual: Tensor, damping: Tensor) -> Tensor:
    """What to add to states ``[point, unit]``: the damped Gauss–Newton step."""
    jacobian = step_jacobians(model, h, u.expand(len(h), -1))
    jacobian.diagonal(dim1=1, dim2=2).sub_(1)
    square, slope = jacobian.mT @ jacobian, jacobian.mT @ residual[..., None]
    diagonal = square.diagonal(dim1=1, dim2=2)
    diagonal.add_((damping * diagonal.mean(1))[:, None])
    return -torch.linalg.solve_ex(square, slope).result[..., 0]


def _move(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    return model.step(h, u.expand(len(h), -1)) - h
