"""What training changed of the weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import MeasurementSpec


class DeltaRankSpec(MeasurementSpec):
    """The rank of what training changed of a matrix: of W - W_0, with W_0 from the initial network."""

    kind: Literal["delta-rank"] = "delta-rank"
    parameter: Annotated[str, Field(min_length=1, max_length=200)] = "weight"
    """Which matrix of the model, by its name."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-9
    """Singular values below this share of the largest do not count."""
