"""What a matrix of distances says about groups, and whether chance alone would say as much.

All labelings of a permutation test go in batches: what a statistic needs of a labeling is one product of
the matrix with the indicators of its groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod
from typing import Literal, TypeVar

import numpy as np

from zoo.analysis.transport import transport_cost
from zoo.errors import AnalysisError
from zoo.extras import need

L = TypeVar("L", bound=Hashable)
Statistic = Literal["silhouette", "between-within"]
Population = Literal["energy", "linkage", "wasserstein"]
Linkage = Literal["average", "complete", "single"]

QUANTILES = (0.05, 0.5, 0.95, 0.99)
"""Of the null distribution, that a test reports."""
TIE = 1e-12
"""Statistics that differ by less, as a share of their scale, are equal: rounding must not decide a test."""
BLOCK = 2**18
"""Numbers in one batch of labelings: what a cache holds."""


@dataclass(frozen=True)
class PermutationTest:
    """A statistic, and what it is when labels, or rows, are dealt out at random."""

    statistic: str
    observed: float
    p: float
    """The share of labelings with a statistic as large, the observed one counted in; never 0."""
    quantiles: Mapping[float, float]
    """Of the statistic under the null hypothesis, at :data:`QUANTILES`."""
    permutations: int
    """Labelings that were tried."""
    exact: bool
    """Whether these are all that there are, once each; otherwise they are random."""

    def __str__(self) -> str:
        among = f"all {self.permutations}" if self.exact else f"{self.permutations} random"
        return f"{self.statistic} {self.observed:.4g}, p = {self.p:.3g} ({among} permutations)"


@dataclass(frozen=True, eq=False)
class Clusters:
    """A hierarchical clustering, cut."""

    labels: np.ndarray
    """``[n]`` integers from 0, in order of appearance."""
    tree: np.ndarray
    """``[n - 1, 4]``: scipy's linkage matrix, one merger a row: two clusters, their height, their size."""
    cophenetic: float
    """Correlation of the heights at which pairs meet with their distances; NaN where either is constant."""


# Labels and a matrix ----------------------------------------------------------------------------


def silhouette(distances: np.ndarray, labels: Sequence[Hashable]) -> np.ndarray:
    """How much nearer each item is to its own group than to the next, ``[n]`` in [-1, 1] (Rousseeuw 1987).

    ``(b - a) / max(a, b)`` with the mean distances ``a`` to the others of its group and ``b`` to the
    nearest other group; 0 for an item alone in its group, or at distance 0 from both. The mean is the
    silhouette of the labels. Raises :class:`AnalysisError` as :func:`permutation_test` does.
    """
    distances, _, codes = _grouped(distances, labels)
    return _silhouettes(distances, _indicators(codes))


def companions(labels: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """The items whose label has two members or more, ``[m]``, and their labels as integers from 0, ``[m]``.

    Both are empty where fewer than two labels have two members.
    """
    sizes = Counter(labels)
    numbers = {label: number for number, label in enumerate(label for label in sizes if sizes[label] > 1)}
    members = [index for index, label in enumerate(labels) if label in numbers and len(numbers) > 1]
    return np.array(members, dtype=np.intp), np.array([numbers[labels[i]] for i in members], dtype=np.intp)


def separation(distances: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
    """``silhouette``, and the mean distances ``within`` and ``between`` groups, of one matrix or of many.

    ``distances`` are ``[…, n, n]``, ``codes`` ``[n]`` integers from 0; results are ``[…]``. Some group has
    two members, and there are two groups.
    """
    indicators = _indicators(codes)
    same, pairs = _within(distances, indicators), np.square(np.bincount(codes)).sum()
    return {
        "silhouette": _silhouettes(distances, indicators).mean(-1),
        "within": same / (pairs - len(codes)),
        "between": (distances.sum((-2, -1)) - same) / (len(codes) ** 2 - pairs),
    }


def permutation_test(
    distances: np.ndarray,
    labels: Sequence[Hashable],
    statistic: Statistic = "silhouette",
    permutations: int = 9999,
    seed: int = 0,
) -> PermutationTest:
    """Whether labels are further apart than labels dealt out at random to the same items.

    Args:
        distances: ``[n, n]``, symmetric, zero on the diagonal.
        labels: One an item.
        statistic: ``silhouette``: the mean of :func:`silhouette`. ``between-within``: R of ANOSIM, the
            mean rank of distances between groups less that within, in units that make it 1 where every
            distance between is larger than every one within (Clarke 1993).
        permutations: Labelings to draw. Where no more than these exist, each is taken once: the test is
            exact.
        seed: Of the labelings.

    The p value is that of ``statistic`` being as large or larger. For random labelings it is
    ``(1 + count) / (1 + permutations)``, which keeps the level of the test (Phipson & Smyth 2010).

    Raises:
        AnalysisError: No matrix of distances, one group only, every item a group of its own, or no
            permutations.
    """
    distances, _, codes = _grouped(distances, labels)
    count = len(codes)
    if statistic == "silhouette":

        def values(labelings: np.ndarray) -> np.ndarray:
            return _silhouettes(distances, _indicators(labelings)).mean(-1)

    elif statistic == "between-within":
        ranks = np.zeros_like(distances)
        upper = np.triu_indices(count, 1)
        ranks[upper] = _ranks(distances[upper])
        ranks += ranks.T
        pairs, same = count * (count - 1) / 2, (np.square(np.bincount(codes)).sum() - count) / 2
        total = pairs * (pairs + 1) / 2

        def values(labelings: np.ndarray) -> np.ndarray:
            within = _within(ranks, _indicators(labelings)) / 2
            return ((total - within) / (pairs - same) - within / same) / (pairs / 2)

    else:
        raise AnalysisError(f"there is no statistic {statistic!r}. Choose 'silhouette' or 'between-within'.")
    return _tested(statistic, codes, values, permutations, seed, count * (codes.max() + 1))


def mantel(
    first: np.ndarray,
    second: np.ndarray,
    correlation: Literal["pearson", "spearman"] = "pearson",
    permutations: int = 9999,
    seed: int = 0,
) -> PermutationTest:
    """Whether two metrics agree on the same items: the correlation of their distances (Mantel 1967).

    The items of the second matrix are permuted, rows with columns, as distances that share an item are
    not independent. The p value is one-sided: that of a correlation as large or larger.

    Args:
        first, second: ``[n, n]``, symmetric, zero on the diagonal, items in the same order.
        correlation: Of the distances, or of their ranks.
        permutations, seed: As for :func:`permutation_test`; exact up to the ``n!`` that fit.

    Raises:
        AnalysisError: No matrices of distances, of different sizes, of fewer than three items, or with
            distances that are all the same.
    """
    matrices = [_checked(each) for each in (first, second)]
    count = len(matrices[0])
    if len(matrices[1]) != count or count < 3:
        raise AnalysisError(
            f"matrices of {count} and {len(matrices[1])} items cannot be correlated. "
            "Give two of the same three items or more, in the same order."
        )
    if correlation not in ("pearson", "spearman"):
        raise AnalysisError(f"there is no correlation {correlation!r}. Choose 'pearson' or 'spearman'.")
    upper = np.triu_indices(count, 1)
    scores = []
    for matrix in matrices:
        values = matrix[upper] / (matrix.max() or 1.0)
        values = _ranks(values) if correlation == "spearman" else values
        values = values - values.mean()
        size = np.linalg.norm(values)
        if not size > TIE * len(values):
            raise AnalysisError(
                "all distances of a matrix are the same, so there is nothing to correlate. "
                "Compare items that differ."
            )
        scores.append(values / size)
    other = np.zeros((count, count))
    other[upper] = scores[1]
    other += other.T

    def values_of(orders: np.ndarray) -> np.ndarray:
        return other[orders[:, upper[0]], orders[:, upper[1]]] @ scores[0]

    return _tested(correlation, np.arange(count), values_of, permutations, seed, 3 * len(upper[0]))


def clusters(
    distances: np.ndarray,
    count: int | None = None,
    height: float | None = None,
    linkage: Linkage = "average",
) -> Clusters:
    """Hierarchical clustering, cut to give ``count`` clusters or at a ``height``; one of the two.

    Clusters that would part at equal heights stay together, so there may be fewer than ``count``. Raises
    :class:`AnalysisError` for no matrix of distances, fewer than two items, or a cut that cannot be
    made; :class:`MissingDependencyError` without scipy.
    """
    distances = _checked(distances)
    items = len(distances)
    if items < 2:
        raise AnalysisError(f"{items} items make no clusters. Give at least two.")
    if (count is None) == (height is None):
        raise AnalysisError("a tree is cut by 'count' or at a 'height'. Give one of the two.")
    if count is not None and not 1 <= count <= items:
        raise AnalysisError(f"{items} items make no {count} clusters. Give a 'count' from 1 to {items}.")
    if height is not None and not height >= 0:
        raise AnalysisError(f"a tree cannot be cut at the height {height}. Give a number from 0.")
    if linkage not in ("average", "complete", "single"):
        raise AnalysisError(f"there is no linkage {linkage!r}. Choose 'average', 'complete' or 'single'.")
    hierarchy = need("scipy.cluster.hierarchy", "analysis", "Clustering a distance matrix")
    upper = np.triu_indices(items, 1)
    tree = hierarchy.linkage(distances[upper], linkage)
    cut = (height, "distance") if count is None else (count, "maxclust")
    _, first, codes = np.unique(hierarchy.fcluster(tree, *cut), return_index=True, return_inverse=True)
    heights = hierarchy.cophenet(tree)
    varies = np.ptp(heights) > 0 and np.ptp(distances[upper]) > 0
    agreement = float(np.corrcoef(heights, distances[upper])[0, 1]) if varies else np.nan
    return Clusters(first.argsort().argsort()[codes], tree, agreement)


# Populations ------------------------------------------------------------------------------------


def population_distances(
    distances: np.ndarray, labels: Sequence[L], kind: Population = "energy"
) -> tuple[tuple[L, ...], np.ndarray]:
    """Distances between groups of items: the labels in order of appearance, and ``[g, g]``.

    ``energy``: ``2 E d(X, Y) - E d(X, X') - E d(Y, Y')`` between the groups as empirical distributions,
    that is with means over all pairs, an item and itself among them (the V-statistic of Székely & Rizzo
    2013). Where ``d`` is a Euclidean distance or has one's negative type it is not negative, and 0 only
    for equal groups; where ``d`` is not, it can be negative. Small groups of one distribution are apart
    by about ``E d(X, X') (1 / n + 1 / m)``: ask :func:`population_test`, not the number.
    ``linkage``: ``E d(X, Y)``, the mean distance of a member of each (average linkage); the diagonal is 0.
    ``wasserstein``: the cost of the optimal transport with ``d`` as ground cost (W₁), all members of a
    group having equal mass; a metric where ``d`` is one.

    Raises :class:`AnalysisError` for no matrix of distances, other than one label an item, or an unknown
    kind; :class:`MissingDependencyError` without scipy for ``wasserstein``.
    """
    distances, names, codes = _coded(distances, labels)
    return names, _between(kind)(distances, codes[None], len(names))[0]


def population_test(
    distances: np.ndarray,
    labels: Sequence[Hashable],
    pair: tuple[Hashable, Hashable],
    kind: Population = "energy",
    permutations: int = 9999,
    seed: int = 0,
) -> PermutationTest:
    """Whether two groups are further apart than two of their sizes, dealt out from both at random.

    The statistic is that of :func:`population_distances`; the rest is as for :func:`permutation_test`.
    ``wasserstein`` solves one transport a permutation, which takes some 10 ms where the sizes of the
    groups have a common multiple above :data:`~zoo.analysis.transport.REPLICATED`, and far less below.

    Raises:
        AnalysisError: What both functions raise, and labels that no item has.
    """
    distances, names, codes = _coded(distances, labels)
    missing = [label for label in pair if label not in names]
    if missing or len(set(pair)) != 2:
        raise AnalysisError(
            f"{pair!r} is no pair of groups. Give two of the labels: {', '.join(map(str, names[:8]))}."
        )
    chosen = [names.index(label) for label in pair]
    members = np.flatnonzero(np.isin(codes, chosen))
    distances, _, codes = _grouped(
        distances[np.ix_(members, members)], (codes[members] == chosen[1]).tolist()
    )
    between = _between(kind)

    def values(labelings: np.ndarray) -> np.ndarray:
        return between(distances, labelings, 2)[:, 0, 1]

    return _tested(kind, codes, values, permutations, seed, 2 * len(codes), float(distances.max()))


Between = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""From distances ``[n, n]``, labelings ``[labeling, n]`` and the number of groups: ``[labeling, g, g]``."""


def _between(kind: str) -> Between:
    found = {"energy": _energy, "linkage": _linkage, "wasserstein": _transport}.get(kind)
    if found is None:
        raise AnalysisError(
            f"there is no distance {kind!r} of groups. Choose 'energy', 'linkage' or 'wasserstein'."
        )
    return found


def _means(distances: np.ndarray, labelings: np.ndarray, groups: int) -> np.ndarray:
    """Mean distances of the members of two groups, of one with itself over all ordered pairs."""
    indicators = np.eye(groups)[labelings]
    sizes = indicators.sum(1)
    sums = indicators.swapaxes(1, 2) @ (distances @ indicators)
    return sums / (sizes[:, :, None] * sizes[:, None])


def _energy(distances: np.ndarray, labelings: np.ndarray, groups: int) -> np.ndarray:
    means = _means(distances, labelings, groups)
    own = means.diagonal(axis1=1, axis2=2)
    return means + means.swapaxes(1, 2) - own[:, :, None] - own[:, None]


def _linkage(distances: np.ndarray, labelings: np.ndarray, groups: int) -> np.ndarray:
    return _means(distances, labelings, groups) * (1 - np.eye(groups))


def _transport(distances: np.ndarray, labelings: np.ndarray, groups: int) -> np.ndarray:
    costs = np.zeros((len(labelings), groups, groups))
    for found, codes in zip(costs, labelings, strict=True):  # each transport is a call into C
        members = [np.flatnonzero(codes == group) for group in range(groups)]
        for i, j in combinations(range(groups), 2):
            found[i, j] = found[j, i] = transport_cost(distances[np.ix_(members[i], members[j])])
    return costs


# What both are made of --------------------------------------------------------------------------


def _tested(
    statistic: str,
    codes: np.ndarray,
    values: Callable[[np.ndarray], np.ndarray],
    permutations: int,
    seed: int,
    width: int,
    scale: float = 1.0,
) -> PermutationTest:
    """Test ``values`` of labelings ``[labeling, n]``, which take ``width`` numbers each to compute."""
    if permutations < 1:
        raise AnalysisError(f"a test with {permutations} permutations says nothing. Give at least 1.")
    sizes = np.bincount(codes)
    labelings = prod(comb(int(upto), int(size)) for upto, size in zip(sizes.cumsum(), sizes, strict=True))
    exact = labelings <= permutations
    block = max(1, BLOCK // width)
    observed = float(values(codes[None])[0])
    blocks = _all_labelings(sizes, block) if exact else _random_labelings(codes, permutations, block, seed)
    null = np.concatenate([values(each) for each in blocks])
    count = int((null >= observed - TIE * scale).sum())
    return PermutationTest(
        statistic=statistic,
        observed=observed,
        p=count / labelings if exact else (1 + count) / (1 + permutations),
        quantiles=dict(zip(QUANTILES, np.quantile(null, QUANTILES).tolist(), strict=True)),
        permutations=len(null),
        exact=exact,
    )


def _random_labelings(codes: np.ndarray, count: int, block: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for first in range(0, count, block):
        rows = np.broadcast_to(codes, (min(block, count - first), len(codes)))
        yield generator.permuted(rows, axis=1)


def _all_labelings(sizes: np.ndarray, block: int) -> Iterator[np.ndarray]:
    """Every way to give groups of these sizes their members, once."""
    found = np.zeros((1, int(sizes.sum())), dtype=np.intp)
    free = np.arange(found.shape[1])[None]
    for group, size in enumerate(sizes):
        picks = np.array(list(combinations(range(free.shape[1]), int(size))))
        rest = np.ones((len(picks), free.shape[1]), dtype=bool)
        np.put_along_axis(rest, picks, False, 1)
        left = np.nonzero(rest)[1].reshape(len(picks), -1)
        found = found.repeat(len(picks), 0)
        np.put_along_axis(found, free[:, picks].reshape(len(found), -1), group, 1)
        free = free[:, left].reshape(len(found), left.shape[1])
    for first in range(0, len(found), block):
        yield found[first : first + block]


def _indicators(codes: np.ndarray) -> np.ndarray:
    """``[…, n, g]``: 1 where an item belongs to a group."""
    return np.eye(int(codes.max()) + 1)[codes]


def _silhouettes(distances: np.ndarray, indicators: np.ndarray) -> np.ndarray:
    """``[…, n]`` for matrices ``[…, n, n]`` and groups ``[…, n, g]``."""
    own = indicators.astype(bool)
    sizes = indicators.sum(-2, keepdims=True)
    sums = distances @ indicators
    nearest = np.where(own, np.inf, sums / sizes).min(-1)
    others = np.broadcast_to(sizes, own.shape)[own].reshape(own.shape[:-1]) - 1
    inside = np.where(own, sums, 0).sum(-1) / np.maximum(others, 1)
    largest = np.maximum(inside, nearest)
    return np.where((others > 0) & (largest > 0), (nearest - inside) / np.where(largest > 0, largest, 1), 0)


def _within(distances: np.ndarray, indicators: np.ndarray) -> np.ndarray:
    """Sums of the distances within groups, each pair twice."""
    return ((distances @ indicators) * indicators).sum((-2, -1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]


def _grouped(distances: np.ndarray, labels: Sequence[L]) -> tuple[np.ndarray, tuple[L, ...], np.ndarray]:
    """Raises :class:`AnalysisError` where labels make no groups that could be apart."""
    distances, names, codes = _coded(distances, labels)
    if not 1 < len(names) < len(codes):
        raise AnalysisError(
            f"{len(codes)} items with {len(names)} different labels form no groups to tell apart. "
            "Give at least two labels, one of them to two items or more."
        )
    return distances, names, codes


def _coded(distances: np.ndarray, labels: Sequence[L]) -> tuple[np.ndarray, tuple[L, ...], np.ndarray]:
    """The checked matrix, the labels in order of appearance, and the number of each item's label."""
    distances = _checked(distances)
    if len(labels) != len(distances):
        raise AnalysisError(f"there are {len(labels)} labels for {len(distances)} items. Give one each.")
    names = tuple(dict.fromkeys(labels))
    place = {name: number for number, name in enumerate(names)}
    return distances, names, np.array([place[label] for label in labels], dtype=np.intp)


def _checked(distances: np.ndarray) -> np.ndarray:
    values = np.asarray(distances, dtype=np.float64)
    wrong = ""
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not values.size:
        wrong = f"it has the shape {values.shape}"
    elif not np.isfinite(values).all() or (values < 0).any():
        wrong = "distances are finite and not negative"
    elif not np.array_equal(values, values.T) or values.diagonal().any():
        wrong = "distances are symmetric, and zero on the diagonal"
    if wrong:
        raise AnalysisError(f"this is no matrix of distances: {wrong}. Give [n, n], as DistanceMatrix has.")
    return values
