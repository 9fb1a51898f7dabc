"""Magnitude pruning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.families import OperationSpec


class PruneSpec(OperationSpec):
    """The smallest weights become zero, without training after it (Han et al. 2015, step two of three).

    Weights are the entries of learned matrices; biases, gains and rates stay.
    """

    kind: Literal["prune"] = "prune"
    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Of the weights that become zero, rounded down; of equal ones, the first."""
    among: Literal["network", "matrix"] = "network"
    """Whether the smallest of the whole network go, or the same fraction of every matrix."""
