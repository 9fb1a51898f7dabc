"""Comparators of the geometry of representations: by kernels, shapes, dissimilarities, subspaces, units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.analyses.activity import Latent
from zoo.specs.analyses.base import ComparatorSpec
from zoo.specs.base import Count, Fraction, Positive


class CKASpec(ComparatorSpec):
    """Centred kernel alignment (Kornblith et al. 2019); distance arccos(CKA)."""

    kind: Literal["cka"] = "cka"
    kernel: Literal["linear", "rbf"] = "linear"
    bandwidth: Positive = 1.0
    """Standard deviation of the Gaussian kernel, as a share of the median distance of two samples (rbf)."""
    estimator: Literal["biased", "unbiased"] = "biased"
    """Of HSIC: the plain one, which calls networks alike where samples are few beside units, or that without
    bias (Song et al. 2012), with which unrelated networks are at π/2 on average."""
    samples: Count | None = None
    """At most so many (trial, time) samples, evenly spaced. Without a number all, or 500 with the kernel rbf,
    whose Gram matrices are kept whole."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> CKASpec:
        if self.kernel != "rbf" and self.bandwidth != 1:
            raise ValueError("'bandwidth' goes with the kernel rbf")
        return self


class ProcrustesSpec(ComparatorSpec):
    """Angular Procrustes distance over O(n) (Williams et al. 2021)."""

    kind: Literal["procrustes"] = "procrustes"


class RSASpec(ComparatorSpec):
    """Representational similarity analysis (Kriegeskorte et al. 2008)."""

    kind: Literal["rsa"] = "rsa"
    dissimilarity: Literal["euclidean", "sqeuclidean", "correlation"] = "correlation"
    """Between the activity patterns of two conditions."""
    comparison: Literal["spearman", "pearson", "cosine"] = "spearman"
    """Between the dissimilarity matrices of two networks; the distance is 1 minus it."""
    conditions: Count = 200
    """At most this many (trial, time) samples, evenly spaced, are the conditions."""


class CCASpec(ComparatorSpec):
    """Canonical correlations ρ of two networks (Hotelling 1936), as many as the smaller has dimensions."""

    kind: Literal["cca"] = "cca"
    summary: Literal["mean", "mean-square", "projection-weighted"] = "mean"
    """The distance is 1 minus the mean of ρ, of ρ² (R²_CCA; Kornblith et al. 2019), or of ρ weighted by how
    much of its network a canonical direction accounts for (PWCCA; Morcos et al. 2018), averaged over which of
    the two networks gives the weights."""
    variance: Fraction | None = None
    """Only as many principal components of each network are looked at as hold this share of its variance;
    without it, all above rounding."""


class SVCCASpec(CCASpec):
    """Canonical correlations of the leading principal components (Raghu et al. 2017)."""

    kind: Literal["svcca"] = "svcca"  # type: ignore[assignment]
    variance: Fraction | None = 0.99


class UnitMatchingSpec(ComparatorSpec):
    """Units matched with units by the correlation r of their activity (Li et al. 2015).

    The distance is √(2 (1 - r̄)), of standardised units that are matched. ``one-to-one`` is the best
    assignment of the units of the smaller network to different ones of the larger. ``soft`` spreads each
    unit's weight over several, by optimal transport, so that all units of both count (Khosla & Williams
    2024); networks of equally many units have the same distance by both.
    """

    kind: Literal["unit-matching"] = "unit-matching"
    matching: Literal["one-to-one", "soft"] = "one-to-one"
    signed: bool = True
    """Whether a unit may only match one of the same sign; without it, |r| counts, as it should where the sign
    of a unit is arbitrary (tanh)."""


class LinearPredictivitySpec(ComparatorSpec):
    """How well ridge regression predicts each network from the other, on samples it was not fitted to.

    The distance is 1 minus the score, averaged over the two directions. The strength of the ridge is chosen
    by generalised cross-validation (Golub et al. 1979) within the samples that are fitted to.
    """

    kind: Literal["linear-predictivity"] = "linear-predictivity"
    score: Literal["r2", "correlation"] = "r2"
    """The share of the variance of all units that is predicted, or the mean over units of Pearson's r."""
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Whole trials are held out together; where there are fewer trials than folds, stretches of time."""
    penalties: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1, max_length=100)] = (
        1e-10,
        1e-8,
        1e-6,
        1e-4,
        1e-2,
        1.0,
    )
    """Strengths of the ridge to choose from, as shares of the variance of all predictors together."""
    repeats: Latent | None = None
    """A latent with one value a trial: trials that share it are repeats. They are averaged, and the score is
    that over the ceiling which their noise leaves, from split halves (Spearman 1910, Brown 1910)."""
