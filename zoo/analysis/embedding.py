"""Points in the plane whose distances are those of a matrix, as nearly as can be; and what they separate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from zoo.analysis.extras import need


def embed(distances: np.ndarray, steps: int = 500, tolerance: float = 1e-9) -> tuple[np.ndarray, float]:
    """Metric multidimensional scaling: points ``[n, 2]`` and Kruskal's stress-1.

    Classical scaling, then SMACOF (Guttman transforms, de Leeuw 1977) from there. It draws no random
    number, so the same matrix gives the same map; the sign of each axis is that of its farthest point.
    """
    count, largest = len(distances), float(distances.max())
    if largest == 0:
        return np.zeros((count, 2)), 0.0
    target = distances / largest
    centre = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centre @ target**2 @ centre)
    points = np.zeros((count, 2))
    leading = vectors[:, :-3:-1] * np.sqrt(values[:-3:-1].clip(0))
    points[:, : leading.shape[1]] = leading
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
    _, _, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
    points = (points - points.mean(0)) @ axes.T
    points *= np.sign(points[np.abs(points).argmax(0), [0, 1]] + 1e-300)
    return points * largest, float(
        np.sqrt(np.square(found - target).sum() / max(np.square(found).sum(), 1e-300))
    )


def _between(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def group_statistics(distances: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """How well a matrix separates labels; see :meth:`zoo.analysis.DistanceMatrix.statistics`."""
    sizes = Counter(labels)
    members = [index for index, label in enumerate(labels) if sizes[label] > 1]
    kept = np.array([labels[index] for index in members])
    if len(set(kept)) < 2:
        return {}
    model = need("sklearn.svm", "analysis", "Decoding labels from distances")
    selection = need("sklearn.model_selection", "analysis", "Decoding labels from distances")
    metrics = need("sklearn.metrics", "analysis", "The silhouette of labels")
    among = distances[np.ix_(members, members)]
    points, _ = embed(among)
    size = np.sqrt(np.square(points).mean())
    # A support vector machine is not scale-free, distances are: W₂² of 1e-3 must count like angles of 1.
    hits = selection.cross_val_score(
        model.SVC(kernel="linear"), points / size if size > 0 else points, kept, cv=selection.LeaveOneOut()
    )
    same = kept[:, None] == kept[None]
    pairs = ~np.eye(len(kept), dtype=bool)
    return {
        "decoding": float(hits.mean()),
        "chance": max(Counter(kept.tolist()).values()) / len(kept),
        "silhouette": float(metrics.silhouette_score(among, kept, metric="precomputed")),
        "within": float(among[same & pairs].mean()),
        "between": float(among[~same].mean()),
    }
