"""Representational similarity analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import RSASpec

TIE = 1e-10
"""Dissimilarities closer than this, as a share of the largest, are equal: rounding must not rank them."""


class RSA(Comparator[RSASpec]):
    """One minus the correlation of two dissimilarity matrices, in [0, 2] (Kriegeskorte et al. 2008).

    The conditions are at most ``spec.conditions`` samples (trial, time), evenly spaced. The Euclidean
    dissimilarities are invariant to rotation and translation. The correlation of patterns is not; it
    ignores a pattern's mean and size over units instead.
    """

    independent = True
    invariances: tuple[str, ...] = ("permutation of units", "isotropic scaling")

    def __init__(self, spec: RSASpec) -> None:
        super().__init__(spec)
        if spec.dissimilarity == "correlation":
            self.invariances = (*type(self).invariances, "offset common to all units")
        else:
            self.invariances = (*type(self).invariances, "orthogonal", "translation")

    @property
    def measure(self) -> str:
        names = {"spearman": "Spearman's ρ", "pearson": "Pearson's r", "cosine": "cosine"}
        return f"RSA dissimilarity (1 − {names[self.spec.comparison]})"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """``dissimilarities`` ``[pair of conditions]``: the dissimilarities, ready for an inner product."""
        name = calling(source.name)
        patterns = states.flatten(0, 1)
        count = min(self.spec.conditions, len(patterns))
        if count < 3:
            raise AnalysisError(
                f"rsa compares the dissimilarities of at least 3 conditions, and {name} has {count}. "
                "Give more trials or time steps, or raise 'conditions'."
            )
        chosen = torch.linspace(0, len(patterns) - 1, count, dtype=torch.float64, device=states.device)
        found = self._dissimilarities(patterns[chosen.round().long()], name)
        if self.spec.comparison == "spearman":
            found = _ranks(found)
        if self.spec.comparison != "cosine":
            found = found - found.mean()
        size = torch.linalg.norm(found)
        if not size > TIE * len(found) ** 0.5:
            raise AnalysisError(
                f"all {count} conditions of {name} are equally dissimilar, so there is nothing to correlate. "
                "Give other conditions or another site."
            )
        return {"dissimilarities": found / size}

    def _dissimilarities(self, patterns: Tensor, name: str) -> Tensor:
        """Between all pairs of conditions, the largest being 1."""
        if self.spec.dissimilarity == "correlation":
            patterns = patterns - patterns.mean(1, keepdim=True)
            size = torch.linalg.norm(patterns, dim=1, keepdim=True)
            flat = int((size <= 1e-12 * size.max()).sum())
            if flat:
                raise AnalysisError(
                    f"{flat} of {len(patterns)} conditions of {name} have the same value in all units, so "
                    "their correlation with others is undefined. Choose dissimilarity='euclidean'."
                )
            patterns = patterns / size  # the squared distance of unit vectors is 2 (1 − r)
        else:
            patterns = patterns / patterns.abs().max()
        found = torch.pdist(patterns)
        if self.spec.dissimilarity != "euclidean":
            found = found.square()
        largest = found.max()
        return found / largest if largest > 0 else found

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """One minus the correlations."""
        vectors = torch.stack([each.values["dissimilarities"].to(pairs.device) for each in features])
        i, j = pairs.T
        return {"distance": (1 - vectors @ vectors.T)[i, j].clamp(0, 2)}


def _ranks(values: Tensor) -> Tensor:
    """Ranks in (0, 1]; equal values share the mean of their ranks."""
    _, place, counts = torch.unique(
        (values / TIE).round(), sorted=True, return_inverse=True, return_counts=True
    )
    last = counts.cumsum(0).to(values.dtype)
    return (last - (counts - 1) / 2)[place] / len(values)
