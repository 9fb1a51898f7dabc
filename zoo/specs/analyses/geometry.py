"""Comparators of the geometry of representations: CKA, Procrustes, RSA."""

from __future__ import annotations

from typing import Literal

from zoo.specs.analyses.base import ComparatorSpec
from zoo.specs.base import Count


class CKASpec(ComparatorSpec):
    """Linear centred kernel alignment (Kornblith et al. 2019); distance arccos(CKA)."""

    kind: Literal["cka"] = "cka"


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
