"""Weight matching: the order of the units of one network that brings its weights nearest to another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from zoo.extras import need
from zoo.models.symmetry import Units, permuted
from zoo.specs.base import Seed
from zoo.tasks.base import derive_seed

Weights = Mapping[str, Tensor]


def match(fixed: Weights, moving: Weights, units: Sequence[Units], rounds: int, seed: Seed) -> list[Tensor]:
    """Orders ``[unit]``, one a group, in which ``moving`` has a largest inner product with ``fixed``.

    Coordinate ascent over the groups, in an order that ``seed`` draws for each round; of each, the optimal
    assignment given all others (Ainsworth, Hayase & Srinivasa 2023, algorithm 1). A matrix that a group lies
    along with both axes is linearised at the present order, and a step is taken only if it gains. Ends with
    the first round that changes nothing. Raises :class:`MissingDependencyError` without SciPy.
    """
    solve = need("scipy.optimize", "analysis", "Weight matching").linear_sum_assignment
    a = {name: value.double() for name, value in fixed.items()}
    b = {name: value.double() for name, value in moving.items()}
    orders = [torch.arange(group.count) for group in units]
    best = product(a, permuted(b, units, orders))
    generator = torch.Generator().manual_seed(derive_seed("matching", seed))
    for number in range(rounds):
        before = best
        for index in torch.randperm(len(units), generator=generator).tolist():
            for recurrent in (False, True) if number == 0 else (True,):  # the first is a start for the second
                gains = _gains(a, permuted(b, units, orders), units[index], recurrent)
                order = torch.from_numpy(np.asarray(solve(gains.numpy(), maximize=True)[1]))
                tried = [*orders]
                tried[index] = orders[index][order]
                now = product(a, permuted(b, units, tried))
                if now > best + 1e-9 * abs(best):
                    orders, best = tried, now
        if best == before:
            break
    return orders


def product(a: Weights, b: Weights) -> float:
    """The inner product of two networks' weights."""
    return sum((a[name] * b[name]).sum().item() for name in a)


def _gains(a: Weights, b: Weights, group: Units, recurrent: bool) -> Tensor:
    """What unit j of ``b`` adds to the inner product in the place of unit i, ``[i, j]``, to first order."""
    gains = torch.zeros(group.count, group.count, dtype=torch.float64)
    names = [name for name, _ in group.axes]
    for name, axis in group.axes:
        if names.count(name) == 1 or recurrent:
            ours, theirs = (each[name].movedim(axis, 0).reshape(group.count, -1) for each in (a, b))
            gains += ours @ theirs.T
    return gains
