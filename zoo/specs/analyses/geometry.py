"""Comparators of the geometry of representations: CKA, Procrustes, RSA."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.base import Count
from zoo.specs.families import AnalysisSpec


class ComparatorSpec(AnalysisSpec):
    """What every comparator of trajectories can be told."""

    site: Annotated[str, Field(min_length=1, max_length=100)] = "h"
    """Which recorded site of the network is compared."""
    trials: Count = 64
    """Trials of the task to run, where networks are given by name."""
    split: Annotated[str, Field(min_length=1, max_length=100)] = "test"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of those trials: all networks see the same ones."""


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
