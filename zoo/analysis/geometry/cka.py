"""Linear centred kernel alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.geometry.shape import cross_covariances, unit_shape
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import CKASpec


class CKA(Comparator[CKASpec]):
    """The angle between the centred Gram matrices of two networks, in [0, π/2].

    ``CKA = ‖XᵀY‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F)`` of centred samples × units (Kornblith et al. 2019);
    the distance is its arccos, a metric (Williams et al. 2021). This is the plain estimator:
    with fewer samples than units it is biased towards 0.
    """

    independent = True
    invariances = ("orthogonal", "isotropic scaling", "translation")

    @property
    def measure(self) -> str:
        return "CKA angle (rad)"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """``shape`` ``[sample, coordinate]``, scaled so that the Gram matrix has unit norm."""
        shape = unit_shape(states)
        return {"shape": shape / torch.linalg.norm(shape.T @ shape).sqrt()}

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """Angles in radians."""
        similarity = pairs.new_zeros(len(pairs), dtype=torch.float64)
        for some, covariance in cross_covariances(features, pairs):
            similarity[some] = covariance.square().sum((1, 2))
        return {"distance": similarity.clamp(0, 1).acos()}  # rounding may lead past 1; NaN stays NaN
