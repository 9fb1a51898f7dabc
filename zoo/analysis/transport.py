"""Exact optimal transport between points of equal mass, from what it costs to carry one to another."""

from __future__ import annotations

from math import lcm

import numpy as np

from zoo.errors import AnalysisError
from zoo.extras import need

REPLICATED = 512
"""Up to this common multiple of two sizes, points are repeated; above, a linear programme is solved."""
PURPOSE = "The Wasserstein distance"


def transport_cost(ground: np.ndarray) -> float:
    """The cost of the optimal transport under ground costs ``[n, m]``, of a total mass of 1.

    Either side's mass is spread evenly over its points. Raises :class:`MissingDependencyError` without
    scipy, and :class:`AnalysisError` where no optimum was found.
    """
    rows, columns = ground.shape
    common = lcm(rows, columns)
    if rows != columns and common > REPLICATED:
        return _programme(ground)
    optimize = need("scipy.optimize", "analysis", PURPOSE)
    square = ground.repeat(common // rows, 0).repeat(common // columns, 1)
    return float(square[optimize.linear_sum_assignment(square)].mean())


def _programme(ground: np.ndarray) -> float:
    """The cost as a linear programme over few routes, to which routes are added until none would help.

    The dual prices certify that the optimum over the routes at hand is that over all of them, within
    the solver's tolerance: 1e-7 of the largest ground cost.
    """
    optimize = need("scipy.optimize", "analysis", PURPOSE)
    sparse = need("scipy.sparse", "analysis", PURPOSE)
    rows, columns = ground.shape
    # Integer masses, and a plan that is feasible to begin with: both lines cut at each other's borders.
    cuts = np.unique(np.concatenate([np.arange(rows) * columns, np.arange(columns) * rows]))
    routes = np.zeros(ground.shape, dtype=bool)
    routes[cuts // columns, cuts // rows] = True
    near = min(8, rows, columns)
    np.put_along_axis(routes, np.argpartition(ground, near - 1, 1)[:, :near], True, 1)
    np.put_along_axis(routes, np.argpartition(ground, near - 1, 0)[:near], True, 0)
    masses = np.concatenate([np.full(rows, columns), np.full(columns, rows)])
    scale = ground.max() or 1.0
    for _ in range(rows + columns):
        source, target = np.nonzero(routes)
        ends = np.concatenate([source, rows + target])
        legs = sparse.csr_array((np.ones(len(ends)), (ends, np.tile(np.arange(len(source)), 2))))
        result = optimize.linprog(ground[source, target] / scale, A_eq=legs, b_eq=masses, method="highs")
        if result.status != 0:
            break
        price = result.eqlin.marginals
        gain = price[:rows, None] + price[None, rows:] - ground / scale
        better = (gain > 1e-9) & ~routes
        if not better.any():
            return float(result.fun * scale / (rows * columns))
        best = np.argpartition(-gain, near - 1, 1)[:, :near]
        chosen = np.zeros_like(routes)
        np.put_along_axis(chosen, best, True, 1)
        routes |= chosen & better
    raise AnalysisError(
        f"no optimal transport was found between {rows} and {columns} points. Give as many on either side."
    )
