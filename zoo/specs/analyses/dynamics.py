"""Comparators of dynamics: Dynamical Similarity Analysis."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from zoo.specs.analyses.base import ComparatorSpec
from zoo.specs.base import Count, NonNegative


class DSASpec(ComparatorSpec):
    """Dynamical similarity analysis: Hankel DMD operators, compared (Ostrow et al. 2023).

    ``angular`` and ``euclidean`` are the paper's scores: the operators up to an orthogonal change of
    basis. ``wasserstein``, the default of the authors' later code, is optimal transport between the
    eigenvalues of the two operators: it costs little, and sees nothing of eigenvectors.
    """

    kind: Literal["dsa"] = "dsa"
    delays: Count = 10
    """Samples stacked in a delay vector."""
    interval: Count = 1
    """Time steps between stacked samples."""
    rank: Count | None = 15
    """Delay coordinates kept; all of them without a number."""
    ridge: NonNegative = 1e-8
    score: Literal["wasserstein", "angular", "euclidean"] = "wasserstein"
    order: Literal[1, 2] = 2
    """Of the Wasserstein distance."""
    squared: bool = False
    """Report W2² (as the authors' code does) rather than W2."""
    starts: Count = 8
    """Searches for the change of basis that are begun for each pair; more may find a better one."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> DSASpec:
        if self.squared and self.order != 2:
            raise ValueError("'squared' goes with order 2")
        if self.score != "wasserstein" and (self.squared or self.order != 2):
            raise ValueError("'order' and 'squared' go with the score wasserstein")
        return self
