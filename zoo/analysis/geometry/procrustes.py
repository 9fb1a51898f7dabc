"""Procrustes shape distance."""

from __future__ import annotations

from collections.abc import Sequence

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

    invariances = ("orthogonal", "isotropic scaling", "translation")

    @property
    def measure(self) -> str:
        return "Procrustes angle (rad)"

    def extract(self, states: Tensor, source: Trajectories) -> Tensor:
        """``[sample, coordinate]``, centred and of unit norm."""
        return unit_shape(states)

    def pairwise(self, features: Sequence[Features]) -> Tensor:
        """``[n, n]`` angles in radians."""
        similarity = features[0].values.new_zeros(len(features), len(features))
        for i, others, covariance in cross_covariances(features):
            similarity[i, others] = torch.linalg.svdvals(covariance).sum(-1)
        return similarity.clamp(0, 1).acos()  # rounding may lead past 1; NaN stays NaN
