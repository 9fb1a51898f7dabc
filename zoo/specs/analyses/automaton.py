"""The automaton that a network has become."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, located


class AutomatonSpec(MeasurementSpec):
    """A minimal automaton of a network that reads symbols, by clusters of its states (Omlin & Giles 1996).

    States along half of the trials are clustered by k-means (Zeng, Goodman & Smyth 1993); a symbol leads
    from one cluster to that in which most of its states land. Of automata so made the first is taken that
    answers as the network does in nearly all steps of the other trials. It is minimised, and compared with
    that of the task: ``modular-counter``, ``word-problem`` or ``regular-language``.
    """

    kind: Literal["automaton"] = "automaton"
    trials: Count = 128
    clusters: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(strict=False, min_length=1, max_length=50)
    ] = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)
    """Numbers of clusters that are tried, ascending."""
    fidelity: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Share of the steps at which automaton and network have to say the same."""
    restarts: Annotated[int, Field(ge=1, le=100)] = 3
    """Draws of first centres, of which the best clusters are taken."""

    @model_validator(mode="after")
    def _ascending(self) -> AutomatonSpec:
        if list(self.clusters) != sorted(set(self.clusters)):
            raise located("should ascend", "clusters")
        return self
