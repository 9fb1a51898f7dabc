"""Points whose distances are those of a matrix, as nearly as can be; and what they separate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.analysis.statistics import companions, separation
from zoo.errors import AnalysisError
from zoo.extras import need


@dataclass(frozen=True, eq=False)
class Scaling:
    """Classical scaling of a matrix of distances."""

    points: np.ndarray
    """``[n, dimensions]``, centred on their principal axes."""
    eigenvalues: np.ndarray
    """``[n]``, falling: the inertia along each axis; negative ones where distances are not Euclidean."""
    share: float
    """Of the sum of positive eigenvalues, what the points show; 1 where all distances are 0."""


def classical_scaling(distances: np.ndarray, dimensions: int = 2) -> Scaling:
    """Torgerson's scaling: principal coordinates of ``[n, n]`` distances, exact where these are Euclidean.

    The sign of each axis is that of its farthest point. Raises :class:`AnalysisError` for less than one
    dimension.
    """
    if dimensions < 1:
        raise AnalysisError(f"points in {dimensions} dimensions show nothing. Give at least 1.")
    count, largest = len(distances), float(distances.max())
    points = np.zeros((count, dimensions))
    if largest == 0:
        return Scaling(points, np.zeros(count), 1.0)
    squares = np.square(distances / largest)
    means = squares.mean(0)
    values, vectors = np.linalg.eigh(-0.5 * (squares - means - means[:, None] + means.mean()))
    values, vectors = values[::-1], vectors[:, ::-1]
    inertia = values.clip(0)
    leading = vectors[:, :dimensions] * np.sqrt(inertia[:dimensions])
    points[:, : leading.shape[1]] = leading
    share = float(inertia[:dimensions].sum() / inertia.sum())
    return Scaling(_signed(points) * largest, values * largest * largest, share)


def embed(
    distances: np.ndarray, dimensions: int = 2, steps: int = 500, tolerance: float = 1e-9
) -> tuple[np.ndarray, float]:
    """Metric multidimensional scaling: points ``[n, dimensions]`` and Kruskal's stress-1.

    :func:`classical_scaling`, then SMACOF (Guttman transforms, de Leeuw 1977) from there. It draws no
    random number, so the same matrix gives the same map; the sign of each axis is that of its farthest
    point.
    """
    count, largest = len(distances), float(distances.max())
    points = classical_scaling(distances, dimensions).points
    if largest == 0:
        return points, 0.0
    target, points = distances / largest, points / largest
    points += 1e-9 * np.arange(count)[:, None]  # coinciding points could never part
    stress = np.inf
    for _ in range(steps):
        found = _between(points)
        before, stress = stress, float(np.square(found - target).sum())
        if before - stress <= tolerance * before < np.inf:
            break
        ratio = np.divide(target, found, out=np.zeros_like(target), where=found > 0)
        points = (np.diag(ratio.sum(1)) - ratio) @ points / count
    found = _between(points)
    points = points - points.mean(0)
    points = _signed(points @ np.linalg.eigh(points.T @ points).eigenvectors[:, ::-1])
    return points * largest, float(
        np.sqrt(np.square(found - target).sum() / max(np.square(found).sum(), 1e-300))
    )


def _signed(points: np.ndarray) -> np.ndarray:
    """Each axis turned so that its farthest point is positive."""
    farthest = np.take_along_axis(points, np.abs(points).argmax(0)[None], 0)
    return np.where(farthest < 0, -points, points)


def _between(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def nearest_share(distances: np.ndarray, codes: np.ndarray) -> float:
    """Share of the items ``[n]`` whose nearest other item has the same code; ties count in part."""
    others = distances + np.diag(np.full(len(distances), np.inf))
    nearest = others == others.min(1, keepdims=True)
    return float(((nearest & (codes[:, None] == codes)).sum(1) / nearest.sum(1)).mean())


def group_statistics(distances: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """How well a matrix separates labels; see :meth:`zoo.analysis.DistanceMatrix.statistics`."""
    members, codes = companions(labels)
    if not len(members):
        return {}
    model = need("sklearn.svm", "analysis", "Decoding labels from distances")
    selection = need("sklearn.model_selection", "analysis", "Decoding labels from distances")
    among = distances[np.ix_(members, members)]
    points, _ = embed(among)
    size = np.sqrt(np.square(points).mean())
    # A support vector machine is not scale-free, distances are: W₂² of 1e-3 must count like angles of 1.
    hits = selection.cross_val_score(
        model.SVC(kernel="linear"), points / size if size > 0 else points, codes, cv=selection.LeaveOneOut()
    )
    return {
        "decoding": float(hits.mean()),
        "nearest": nearest_share(among, codes),
        "chance": int(np.bincount(codes).max()) / len(codes),
        **{name: float(value) for name, value in separation(among, codes).items()},
    }
