"""Merging of networks whose units are in different orders."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.specs.base import Count, Seed
from zoo.specs.families import OperationSpec
from zoo.specs.operations.arithmetic import Factors, check_weights


class MergeSpec(OperationSpec):
    """The mean of networks whose units are first put in the order of the first parent's, by weight matching
    (Ainsworth, Hayase & Srinivasa 2023, algorithm 1)."""

    kind: Literal["merge"] = "merge"
    least: ClassVar[int] = 2
    most: ClassVar[int | None] = None

    weights: Factors | None = None
    """One a parent, with the sum 1; without any, equal ones. ``[0, 1]`` only puts units in order."""
    rounds: Count = 100
    """Passes over the layers, at most; it ends with the first that changes nothing."""
    seed: Seed = 0
    """Of the order of the layers in each pass."""

    def check(self, parents: int) -> None:
        super().check(parents)
        check_weights(self.weights, parents)

    def shares(self, parents: int) -> tuple[float, ...]:
        """The weight of each parent."""
        return self.weights or (1 / parents,) * parents
