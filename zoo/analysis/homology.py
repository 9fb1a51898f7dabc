"""Persistent homology of a few points: parts and loops, and over which distances they last."""

from __future__ import annotations

import numpy as np

from zoo.errors import AnalysisError

MOST = 200
"""Points; the triangles among them, a million, are all looked at."""


def landmarks(points: np.ndarray, count: int) -> np.ndarray:
    """Rows of ``points`` ``[point, unit]`` that cover them: each the furthest from those before it."""
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmax())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def loops(points: np.ndarray) -> np.ndarray:
    """Birth and death ``[loop, 2]`` of the loops among ``points`` ``[point, unit]``, the longest first.

    The first persistent homology of the Vietoris–Rips complex, with coefficients modulo 2 (Edelsbrunner,
    Letscher & Zomorodian 2002), by reduction of the boundary matrix; an edge is born at its length, and a
    triangle at that of its longest edge. Loops that are filled where they begin are left out. Raises
    :class:`AnalysisError` for more than 200 points.
    """
    count = len(points)
    if count > MOST:
        raise AnalysisError(
            f"loops are looked for among at most {MOST} points, not {count}; see landmarks()."
        )
    if count < 3:
        return np.zeros((0, 2))
    apart = np.sqrt(np.maximum(((points[:, None] - points[None]) ** 2).sum(-1), 0))
    first, second = np.triu_indices(count, 1)
    order = np.argsort(apart[first, second], kind="stable")
    first, second = first[order], second[order]
    length = apart[first, second]
    number = np.zeros((count, count), dtype=np.int64)  # of the edge between two points, by its length
    number[first, second] = number[second, first] = np.arange(len(first))
    i, j, k = _triples(count)
    sides = np.sort(np.stack([number[i, j], number[i, k], number[j, k]], 1), 1)
    sides = sides[np.lexsort((sides[:, 0], sides[:, 1], sides[:, 2]))]
    columns: dict[int, int] = {}  # latest edge of a boundary → that boundary, a set of edges as bits
    left = len(first) - (count - 1)  # edges that close a loop
    born, died = [], []
    for low, middle, high in sides.tolist():
        boundary = (1 << low) ^ (1 << middle) ^ (1 << high)
        latest = high
        while latest in columns:
            boundary ^= columns[latest]
            if not boundary:
                break
            latest = boundary.bit_length() - 1
        if boundary:
            columns[latest] = boundary
            born.append(length[latest])
            died.append(length[high])
            if len(columns) == left:  # every loop is filled
                break
    bars = np.array([born, died]).T
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.argsort(bars[:, 0] - bars[:, 1], kind="stable")]


def _triples(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All i < j < k below ``count``."""
    first, second = np.triu_indices(count, 1)
    more = count - 1 - second
    i, j = np.repeat(first, more), np.repeat(second, more)
    starts = np.repeat(np.cumsum(more) - more, more)
    return i, j, np.arange(len(i)) - starts + j + 1
