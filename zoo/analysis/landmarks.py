"""Distances of very many networks by way of a few: each is compared with the landmarks alone.

With k landmarks n networks cost k·n distances instead of n²/2. The distance of any two is then estimated from
their distances to the landmarks: between points that landmark scaling places (de Silva and Tenenbaum 2004,
"Sparse multidimensional scaling using landmark points"; it is the Nyström extension of classical scaling,
Platt 2005), or between the bounds that the triangle inequality gives, which are certain for a metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from zoo.analysis.base import Comparator, Features
from zoo.analysis.compare import comparator_of
from zoo.analysis.embedding import classical_scaling
from zoo.analysis.items import Item, gather
from zoo.analysis.store import Store
from zoo.errors import AnalysisError
from zoo.progress import Bars
from zoo.registry import suggest
from zoo.specs.families import AnalysisSpec

SMALLEST = 1e-9
"""Inertia along an axis, as a share of the first one's, below which it is rounding."""
BLOCK = 2**22
"""Numbers that an estimate holds at a time, at most."""


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """Networks by their distances to some of them."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    """The group of each network."""
    landmarks: tuple[int, ...]
    """Which of the names, in the order in which they were chosen."""
    distances: np.ndarray
    """``[landmark, network]``, float64."""
    spec: AnalysisSpec
    measure: str
    """Name and unit of the distance."""

    def points(self, dimensions: int | None = None) -> np.ndarray:
        """``[network, dimension]``: landmarks by classical scaling, all others by their distances to these.

        Without ``dimensions``, every axis along which the landmarks have a positive inertia. Exact where
        distances are Euclidean and the landmarks span the space. Raises :class:`AnalysisError` for less
        than one.
        """
        return place(self.distances, self.landmarks, dimensions)

    def estimate(
        self, rows: Sequence[int], columns: Sequence[int] | None = None, dimensions: int | None = None
    ) -> np.ndarray:
        """Distances ``[row, column]`` between some networks and others, or all: those of :meth:`points`,
        moved into the :meth:`bounds` where they break them."""
        points = self.points(dimensions)
        lower, upper = self.bounds(rows, columns)
        others = points if columns is None else points[list(columns)]
        return np.clip(_between(points[list(rows)], others), lower, upper)

    def bounds(
        self, rows: Sequence[int], columns: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the triangle inequality leaves of the distances ``[row, column]``: the least, the most.

        Certain where the distance is a metric. Distances to landmarks are known: there both are the same.
        """
        ours = self.distances[:, list(rows)]
        others = self.distances if columns is None else self.distances[:, list(columns)]
        lower, upper = np.zeros((2, ours.shape[1], others.shape[1]))
        upper += np.inf
        for one, other in zip(ours, others, strict=True):
            np.maximum(lower, np.abs(one[:, None] - other), out=lower)
            np.minimum(upper, one[:, None] + other, out=upper)
        return lower, upper

    def nearest(self, name: str, count: int = 10) -> list[tuple[str, float]]:
        """The networks that are estimated to be nearest to one, with these estimates.

        Compare the first few with :func:`zoo.compare` to know. Raises :class:`AnalysisError` for a name
        that is not among these.
        """
        if name not in self.names:
            raise AnalysisError(f"there is no {name!r} among these networks.{suggest(name, self.names)}")
        number = self.names.index(name)
        estimates = self.estimate([number])[0]
        estimates[number] = np.inf
        order = np.argsort(estimates, kind="stable")[: min(count, len(self.names) - 1)]
        return [(self.names[other], float(estimates[other])) for other in order]


def landmarks(
    items: Any,
    metric: str | AnalysisSpec = "dsa",
    count: int = 50,
    *,
    choose: Literal["farthest", "random"] = "farthest",
    seed: int = 0,
    labels: Sequence[str] | Mapping[str, Any] | None = None,
    progress: bool = False,
    cache: bool = True,
    **parameters: Any,
) -> LandmarkMap:
    """Compare networks with some of them, the landmarks.

    Args:
        items: As :func:`zoo.compare` takes them.
        metric: A kind of comparator, or its spec.
        count: How many landmarks; each costs one distance a network.
        choose: ``farthest``: each landmark is the network farthest from those before it, which covers
            outliers; ``random``: by chance.
        seed: Of the first landmark, or of all.
        labels: The group of each network.
        progress: A bar on standard error.
        cache: Keep what is extracted of each network under ``$ZOO_HOME``, and take it from there.
        parameters: Fields of the metric's spec.

    Raises what :func:`zoo.compare` does, and :class:`AnalysisError` for fewer landmarks than two, or more
    than networks.
    """
    comparator = comparator_of(metric, parameters)
    found = gather(items, comparator.spec, labels)
    if not 2 <= count <= len(found):
        raise AnalysisError(f"{count} landmarks among {len(found)} networks: give 2 to {len(found)}.")
    with Bars(progress) as bars:
        store = Store(comparator) if cache else None
        features = [_features(item, comparator, store) for item in bars.over(found, "features")]
        generator = np.random.default_rng(seed)
        if choose == "random":
            chosen = generator.permutation(len(found))[:count].tolist()
            rows = [_row(comparator, features, one) for one in bars.over(chosen, "landmarks")]
        else:
            chosen, rows = _farthest(comparator, features, count, generator, bars)
    return LandmarkMap(
        tuple(item.name for item in found),
        tuple(item.label for item in found),
        tuple(chosen),
        np.stack(rows),
        comparator.spec,
        comparator.measure,
    )


def place(distances: np.ndarray, landmarks: Sequence[int], dimensions: int | None = None) -> np.ndarray:
    """Landmark scaling of distances ``[landmark, network]``, as :meth:`LandmarkMap.points` has it."""
    among = distances[:, list(landmarks)]
    among = (among + among.T) / 2
    scaling = classical_scaling(among, len(among) if dimensions is None else min(dimensions, len(among)))
    kept = scaling.eigenvalues[: scaling.points.shape[1]] > SMALLEST * max(scaling.eigenvalues[0], 0.0)
    points, inertia = scaling.points[:, kept], scaling.eigenvalues[: len(kept)][kept]
    means = np.square(among).mean(1, keepdims=True)
    placed = 0.5 * (means - np.square(distances)).T @ (points / inertia)
    wanted = placed.shape[1] if dimensions is None else dimensions
    return np.pad(placed, ((0, 0), (0, wanted - placed.shape[1])))


def _farthest(
    comparator: Comparator[Any],
    features: Sequence[Features],
    count: int,
    generator: np.random.Generator,
    bars: Bars,
) -> tuple[list[int], list[np.ndarray]]:
    """Landmarks and their rows, each landmark the farthest from those before it."""
    chosen, rows = [int(generator.integers(len(features)))], list[np.ndarray]()
    nearest = np.full(len(features), np.inf)
    for _ in bars.over(range(count), "landmarks"):
        rows.append(_row(comparator, features, chosen[len(rows)]))
        nearest = np.minimum(nearest, rows[-1])
        nearest[chosen] = -1.0  # twins of a landmark are at 0 and may be chosen, it itself may not
        chosen.append(int(nearest.argmax()))
    return chosen[:count], rows


def _row(comparator: Comparator[Any], features: Sequence[Features], one: int) -> np.ndarray:
    """Distances of one network to all."""
    others = [number for number in range(len(features)) if number != one]
    pairs = np.array([(min(one, other), max(one, other)) for other in others])
    row = np.zeros(len(features))
    row[others] = comparator.measures(features, pairs)["distance"]
    return row


def _features(item: Item, comparator: Comparator[Any], store: Store | None) -> Features:
    identity = item.identity() if store else None
    if store and identity and (kept := store.features(identity[1], item.name)):
        return kept
    features = comparator.features(replace(item.open(), name=item.name))
    if store and identity:
        store.keep_features(identity[1], features)
    return features


def _between(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distances ``[point, other]``, some rows at a time."""
    found = np.empty((len(points), len(others)))
    step = max(1, BLOCK // max(1, others.size))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        found[start : start + step] = np.linalg.norm(part[:, None] - others[None], axis=-1)
    return found
