"""Canonical correlation analysis, its singular vector form and its projection-weighted form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.geometry.shape import cross_covariances, flat, padded
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import CCASpec

ROUNDING = 10
"""Singular values smaller than so many roundings of the largest are no directions."""


class CCA(Comparator[CCASpec]):
    """One minus a mean of canonical correlations, in [0, 1].

    The correlations are the singular values of ``QₓᵀQᵧ``, of orthonormal bases of the two networks' centred
    activity over samples (Björck & Golub 1973). Blind to any invertible map, so also to which directions
    carry the activity and which hardly any; and where one network spans what another does and more, they are
    at 0. Projection weights (Morcos et al. 2018) are the exception: those of a turned copy differ.
    """

    independent = True

    def __init__(self, spec: CCASpec) -> None:
        super().__init__(spec)
        blind = ("isotropic scaling", "translation")
        if spec.summary == "projection-weighted":
            self.invariances = ("permutation of units", *blind)
        elif spec.variance is not None:
            self.invariances = ("orthogonal", *blind)
        else:
            self.invariances = ("invertible linear", "orthogonal", "scale of each unit", *blind)

    @property
    def measure(self) -> str:
        names = {"mean": "mean ρ", "mean-square": "R²", "projection-weighted": "projection-weighted ρ"}
        return f"{self.spec.kind.upper()} distance (1 − {names[self.spec.summary]})"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """``shape`` ``[sample, direction]``, orthonormal; with projection weights also ``loadings``
        ``[direction, unit]``, what each of these has of the units.

        Raises :class:`AnalysisError` where there are so few samples that networks would correlate whatever
        they do.
        """
        samples = flat(states)
        left, values, right = torch.linalg.svd(samples, full_matrices=False)
        given = source.states.dtype if source.states.dtype.is_floating_point else torch.float64
        count = int((values > ROUNDING * torch.finfo(given).eps * values[0]).sum())
        if self.spec.variance is not None:
            gathered = values.square().cumsum(0) / values.square().sum()
            # Rounding must not ask for one more.
            count = min(count, 1 + int((gathered < self.spec.variance * (1 - 1e-12)).sum()))
        if 2 * count > len(samples) - 1:
            raise AnalysisError(
                f"{self.spec.kind} of {calling(source.name)} would find {count} directions in {len(samples)} "
                f"samples, and any two such networks correlate perfectly somewhere. Give at least "
                f"{2 * count + 1} samples (trials × time steps), or look at fewer directions: svcca with a "
                "lower 'variance', or observe.components."
            )
        found = {"shape": left[:, :count], "count": values.new_tensor([count])}
        if self.spec.summary == "projection-weighted":
            found["loadings"] = values[:count, None] * right[:count]
        return found

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """One minus the mean of the correlations; a network's silent directions correlate with nothing."""
        distance = pairs.new_zeros(len(pairs), dtype=torch.float64)
        counts = padded(features, "count", pairs)[:, 0]
        loadings = padded(features, "loadings", pairs) if "loadings" in features[0].values else None
        for rows, product in cross_covariances(features, pairs, share=1 if loadings is None else 4):
            i, j = pairs[rows].T
            fewer = torch.minimum(counts[i], counts[j])
            if loadings is not None:
                left, found, right = torch.linalg.svd(product, full_matrices=False)
                there = torch.arange(found.shape[1], device=pairs.device) < fewer[:, None]
                found = found.clamp(max=1)
                sides = [(left.mT @ loadings[i]).abs().sum(-1), (right @ loadings[j]).abs().sum(-1)]
                means = [(side * there * found).sum(1) / (side * there).sum(1) for side in sides]
                distance[rows] = 1 - sum(means) / 2
            elif self.spec.summary == "mean-square":
                distance[rows] = 1 - product.square().sum((1, 2)) / fewer
            else:
                distance[rows] = 1 - torch.linalg.svdvals(product).clamp(max=1).sum(1) / fewer
        return {"distance": distance.clamp(0, 1)}


class SVCCA(CCA):
    """:class:`CCA` of the principal components that hold most of the variance (Raghu et al. 2017)."""
