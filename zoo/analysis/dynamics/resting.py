"""Points where a step moves the state least: damped Gauss–Newton from many states at once."""

from __future__ import annotations

import math
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
"""Steps in a row with so small a gain, or that lead to nothing, after which a search ends."""
BLOCK = 512
"""Points that are compared with each other at once."""


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


@dataclass(frozen=True)
class Search:
    """When searches end: at a speed of ``tolerance``, after ``steps``, or where they lead to nothing."""

    tolerance: float
    steps: int
    worth: float = math.inf
    """One that at its pace would not come below this speed in the steps that are left is given up."""
    within: tuple[Tensor, float] | None = None
    """Centre ``[unit]`` and radius of what is searched: one that stays outside is given up."""
    apart: float = 0.0
    """Of those that come nearer to each other than this, the slowest goes on for all."""

    def hopeless(self, points: Tensor, speeds: Tensor, pace: Tensor, left: int) -> Tensor:
        """Which lead to nothing, as far as shows a step that took their speeds to ``pace`` times those."""
        late = speeds * pace**left > self.worth
        if self.within is None:
            return late
        centre, radius = self.within
        return late | ((points - centre).norm(dim=1) > radius)


@torch.no_grad()
def resting_points(model: Dynamics, starts: Tensor, u: Tensor, search: Search) -> Resting:
    """Minima of ``|F(h, u) - h|`` that are reached from ``starts`` ``[start, unit]`` under input ``u``.

    Levenberg–Marquardt with a damping of its own for each start; those that have ended cost nothing more.
    """
    points, before = starts.clone(), starts.clone()
    residual = _move(model, points, u)
    speeds = residual.norm(dim=1)
    damping = torch.full_like(speeds, 1e-3)
    idle = torch.zeros_like(speeds)
    left = torch.arange(len(points), device=points.device)
    for step in range(search.steps):
        if step and search.apart:
            left = left[_first_of_each(points[left], speeds[left], search.apart, before[left])]
        active = left[(speeds[left] > search.tolerance / 10) & (idle[left] < PATIENCE)]
        if not len(active):
            break
        h, r, speed_here = points[active], residual[active], speeds[active]
        most = max(1, CACHE // h.shape[1] ** 2) if h.is_cpu else len(h)
        parts = zip(*(value.split(most) for value in (h, r, damping[active])), strict=True)
        change = torch.cat([_change(model, u, *part) for part in parts])
        there = h + change
        after = _move(model, there, u)
        speed = after.norm(dim=1)
        pace = speed / speed_here
        better = pace < 1  # false for what is not finite
        small = (1 - pace < STILL) | (change.norm(dim=1) < FLAT * (1 + h.norm(dim=1)))
        vain = ~better | small | search.hopeless(there, speed, pace, search.steps - step)
        idle[active] = torch.where(vain, idle[active] + 1, 0.0)
        damping[active] = torch.where(better, damping[active] / 5, damping[active] * 4).clamp(1e-15, 1e12)
        before[left] = points[left]
        taken = active[better]
        points[taken], residual[taken], speeds[taken] = there[better], after[better], speed[better]
    return Resting(points[left], speeds[left])


def distinct(found: Resting, apart: float) -> Resting:
    """Of points nearer to each other than ``apart``, the slowest; in the order of their speed."""
    return found[_first_of_each(found.points, found.speeds, apart)]


def _first_of_each(points: Tensor, speeds: Tensor, apart: float, before: Tensor | None = None) -> Tensor:
    """Rows of points further than ``apart`` from all slower ones that are kept, the slowest first.

    Of points that were elsewhere ``before``, those are near that would be after another step which takes them
    together as the last one did: along a line of fixed points they stay ``apart``.
    """

    def near(some: Tensor, others: Tensor) -> Tensor:
        now = torch.cdist(points[some], points[others])
        then = now if before is None else torch.cdist(before[some], before[others])
        return now * now <= apart * then

    order = speeds.argsort(stable=True)
    kept = order[:0]
    for rows in order.split(BLOCK):
        rows = rows[~near(rows, kept).any(1)]
        slower = near(rows, rows).tril(-1).to(points)
        stays, last = slower.new_ones(len(rows)), None
        while last is None or not torch.equal(stays, last):  # each turn settles one row more at least
            last, stays = stays, (slower @ stays == 0).to(stays)
        kept = torch.cat([kept, rows[stays > 0]])
    return kept


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
