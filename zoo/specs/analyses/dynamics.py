"""Comparators of dynamics: spectral Dynamical Similarity Analysis."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from zoo.specs.analyses.geometry import ComparatorSpec
from zoo.specs.base import Count, NonNegative


class DSASpec(ComparatorSpec):
    """Dynamical similarity analysis: Hankel DMD operators, compared (Ostrow et al. 2023).

    The score is the closed form of the authors' later code: optimal transport between the
    eigenvalues of the two operators.
    """

    kind: Literal["dsa"] = "dsa"
    delays: Count = 10
    """Samples stacked in a delay vector."""
    interval: Count = 1
    """Time steps between stacked samples."""
    rank: Count | None = 15
    """Delay coordinates kept; all of them without a number."""
    ridge: NonNegative = 1e-8
    score: Literal["wasserstein"] = "wasserstein"
    order: Literal[1, 2] = 2
    """Of the Wasserstein distance."""
    squared: bool = False
    """Report W2² (as the authors' code does) rather than W2."""

    @model_validator(mode="after")
    def _square_of_w2_only(self) -> DSASpec:
        if self.squared and self.order != 2:
            raise ValueError("'squared' goes with order 2")
        return self
