"""Procrustes shape distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.geometry.shape import cross_covariances, unit_shape
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import ProcrustesSpec


class Procrustes(Comparator[ProcrustesSpec]):
    """The angle between two shapes after the best rotation or reflection, in [0, π/2].

    ``arccos ‖XᵀY‖_*`` of centred samples × units with unit Frobenius norm, minimised over O(n)
    (Williams et al. 2021): a metric on shapes.
    """

    independent = True
    invariances = ("orthogonal", "isotropic scaling", "translation")

    @property
    def measure(self) -> str:
        return "Procrustes angle (rad)"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """``shape`` ``[sample, coordinate]``, centred and of unit norm."""
        return {"shape": unit_shape(states)}

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """Angles in radians."""
        similarity = pairs.new_zeros(len(pairs), dtype=torch.float64)
        for some, covariance in cross_covariances(features, pairs):
            similarity[some] = torch.linalg.svdvals(covariance).sum(-1)
        return {"distance": similarity.clamp(0, 1).acos()}  # rounding may lead past 1; NaN stays NaN
