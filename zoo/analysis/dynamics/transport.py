"""Optimal transport between clouds of points in the complex plane, each point of equal mass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.analysis.transport import transport_cost


def transport_costs(clouds: Sequence[np.ndarray], order: int, pairs: np.ndarray) -> np.ndarray:
    """``W_order ** order`` of the pairs ``[pair, 2]`` of clouds, ``[pair]``; NaN where a point is not finite.

    Clouds are complex vectors, of equal lengths or not. Raises what :func:`transport_cost` does.
    """
    costs = np.empty(len(pairs))
    for number, (i, j) in enumerate(pairs.tolist()):  # the one loop over pairs: each is a call into C
        ground = np.abs(clouds[i][:, None] - clouds[j][None]) ** order
        costs[number] = transport_cost(ground) if np.isfinite(ground).all() else np.nan
    return costs
