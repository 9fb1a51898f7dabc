"""Units of one network matched with those of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.geometry.shape import cross_covariances, flat
from zoo.analysis.transport import transport_cost
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import UnitMatchingSpec

ROUNDING = 1e-12
"""Deviation of a unit, as a share of the largest, below which it never changes."""


class UnitMatching(Comparator[UnitMatchingSpec]):
    """The root mean square distance of matched units, each of mean 0 and norm 1: √(2 (1 - r̄)), in [0, 2].

    Sees what rotations do. Units that never change match nothing and are left out. One to one is a metric
    among networks of equally many units, soft matching among all.
    """

    independent = True
    invariances = ("permutation of units", "scale of each unit", "isotropic scaling", "translation")

    @property
    def measure(self) -> str:
        how = {"one-to-one": "Unit matching", "soft": "Soft unit matching"}[self.spec.matching]
        return f"{how} distance (√(2 − 2{'r' if self.spec.signed else '|r|'}))"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """``shape`` ``[sample, unit]``, each unit of mean 0 and norm 1."""
        samples = flat(states)
        sizes = torch.linalg.norm(samples, dim=0)
        kept = sizes > ROUNDING * sizes.max()
        return {"shape": samples[:, kept] / sizes[kept]}

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """Distances. Raises :class:`MissingDependencyError` without scipy."""
        counts = [feature.values["shape"].shape[1] for feature in features]
        cost = np.empty(len(pairs))
        for rows, product in cross_covariances(features, pairs):
            ground = (1 - (product if self.spec.signed else product.abs())).cpu().numpy()
            sides = pairs[rows].tolist()
            # The one loop over pairs: each is a call into C.
            for row, (i, j), each in zip(rows.tolist(), sides, ground, strict=True):
                cost[row] = self._cost(each[: counts[i], : counts[j]])
        distance = torch.from_numpy(cost).clamp(min=0).mul(2).sqrt()
        return {"distance": distance.to(pairs.device)}

    def _cost(self, ground: np.ndarray) -> float:
        """The least mean of ``1 - r`` over units that are matched."""
        if not np.isfinite(ground).all():
            return float("nan")
        if self.spec.matching == "soft":
            return transport_cost(ground)
        optimize = need("scipy.optimize", "analysis", "Matching units")
        return float(ground[optimize.linear_sum_assignment(ground)].mean())
