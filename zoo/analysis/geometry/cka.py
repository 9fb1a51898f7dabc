"""Centred kernel alignment, linear or Gaussian, biased or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.geometry.shape import cross_covariances, evenly, flat, padded, unit_shape
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import CKASpec

SAMPLES = 500
"""Of the Gaussian kernel, where none are asked for."""
ROUNDING = 1e-12


class CKA(Comparator[CKASpec]):
    """The angle between the centred Gram matrices of two networks, in [0, π/2], or [0, π] without bias.

    ``CKA = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L))`` (Kornblith et al. 2019), for the linear kernel
    ``‖XᵀY‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F)`` of centred samples × units; the distance is its arccos, a metric
    (Williams et al. 2021). The plain estimator of HSIC is biased: with fewer samples than units all networks
    look alike. The unbiased one (Song et al. 2012, equation 5) is an inner product of Gram matrices, too: of
    those without diagonal, U-centred (Székely & Rizzo 2014), so that its angle is a metric as well.
    """

    independent = True
    invariances = ("orthogonal", "isotropic scaling", "translation")

    @property
    def measure(self) -> str:
        plain = self.spec.kernel == "linear" and self.spec.estimator == "biased"
        kernel = {"linear": "", "rbf": "Gaussian "}[self.spec.kernel]
        return "CKA angle (rad)" if plain else f"{self.spec.estimator} {kernel}CKA angle (rad)"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """Scaled so that the Gram matrix has unit norm: ``shape`` ``[sample, coordinate]``, without bias also
        ``sizes`` ``[sample]``, the squared norms; of the Gaussian kernel ``gram`` ``[entry]``.

        Raises :class:`AnalysisError` for fewer than four samples without bias, and for samples that do not
        differ enough.
        """
        name, rbf = calling(source.name), self.spec.kernel == "rbf"
        states = evenly(states, self.spec.samples or (SAMPLES if rbf else states[..., 0].numel()))
        count = states.shape[1]
        if self.spec.estimator == "unbiased" and count < 4:
            raise AnalysisError(
                f"the unbiased cka needs at least 4 samples, and {name} has {count}. Give more trials or "
                "time steps, or choose estimator='biased'."
            )
        if bool((states == states[:, :1]).all()):
            raise AnalysisError(
                f"the {count} samples of {name} that cka looks at are all the same. Raise 'samples', or give "
                "other trials."
            )
        if rbf:
            return {"gram": self._gram(states, name)}
        shape = unit_shape(states)
        if self.spec.estimator == "biased":
            return {"shape": shape / torch.linalg.norm(shape.T @ shape).sqrt()}
        sizes = shape.square().sum(1)
        product = (shape.T @ shape).square().sum()
        own = product + _correction(sizes[None], sizes[None], count)[0]
        if not own > ROUNDING * product:
            raise AnalysisError(_undefined(name, count))
        return {"shape": shape / own**0.25, "sizes": sizes / own.sqrt()}

    def _gram(self, states: Tensor, name: str) -> Tensor:
        """The centred Gram matrix of the Gaussian kernel: entries whose inner products are HSIC."""
        samples = flat(states)
        count = len(samples)
        squares = torch.pdist(samples).square()
        middle = squares.median() if squares.median() > 0 else squares[squares > 0].median()
        if not middle > 0:
            raise AnalysisError(_undefined(name, count))
        above = torch.triu_indices(count, count, 1, device=samples.device)
        gram = torch.eye(count, dtype=samples.dtype, device=samples.device)
        gram[above[0], above[1]] = torch.exp(squares / (-2 * self.spec.bandwidth**2 * middle))
        gram = torch.maximum(gram, gram.T)
        if self.spec.estimator == "unbiased":
            gram.fill_diagonal_(0)
            sums = gram.sum(0) / (count - 2)
            gram = gram - sums - sums[:, None] + gram.sum() / ((count - 1) * (count - 2))
            gram.fill_diagonal_(0)
        else:
            means = gram.mean(0)
            gram = gram - means - means[:, None] + means.mean()
        entries = torch.cat([gram.diagonal(), 2**0.5 * gram[above[0], above[1]]])
        size = torch.linalg.norm(entries)
        if not size > ROUNDING * count:
            raise AnalysisError(_undefined(name, count))
        return entries / size

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """Angles in radians."""
        if self.spec.kernel == "rbf":
            grams = padded(features, "gram", pairs)
            similarity = (grams @ grams.T)[pairs[:, 0], pairs[:, 1]]
        else:
            similarity = pairs.new_zeros(len(pairs), dtype=torch.float64)
            for some, covariance in cross_covariances(features, pairs):
                similarity[some] = covariance.square().sum((1, 2))
            if self.spec.estimator == "unbiased":
                sizes = padded(features, "sizes", pairs)
                i, j = pairs.T
                similarity += _correction(sizes, sizes, sizes.shape[1])[i, j]
        least = 0 if self.spec.estimator == "biased" else -1
        return {"distance": similarity.clamp(least, 1).acos()}  # rounding may lead past 1; NaN stays NaN


def _correction(d: Tensor, e: Tensor, count: int) -> Tensor:
    """What the unbiased HSIC, times n (n - 3), adds to ``‖XᵀY‖²`` of centred X and Y ``[x, y]``.

    From the diagonals ``d``, ``e`` of ``XXᵀ`` and ``YYᵀ`` alone ``[network, sample]``: the rows of a centred
    Gram matrix add up to nothing, so that without its diagonal they add up to minus that.
    """
    sums = d.sum(1)[:, None] * e.sum(1) / ((count - 1) * (count - 2))
    return sums - count / (count - 2) * (d @ e.T)


def _undefined(name: str, count: int) -> str:
    return (
        f"the {count} samples of {name} are all as far from each other, or too few to tell, so that cka is "
        "not defined. Give more trials or time steps, or another site."
    )
