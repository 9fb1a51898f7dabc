"""What a network still does with a part of its activity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, NonNegative, located


class SpectralAblationSpec(MeasurementSpec):
    """How well a network does its task with the leading principal components of its activity alone, and how
    well without them.

    The components are those of the covariance over the trials. States pass through the projection at every
    time step, so that a network that iterates goes on from what is left; the mean is kept.
    """

    kind: Literal["spectral-ablation"] = "spectral-ablation"
    trials: Count = 256
    counts: Annotated[
        tuple[Annotated[int, Field(ge=0, le=100_000)], ...], Field(strict=False, min_length=1, max_length=100)
    ] = (1, 2, 3, 5, 10, 20, 50)
    """Numbers of components, ascending; those above the width of the activity are left out."""
    metric: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """``loss``, or a metric of the task; without one its first, or the loss where it has none."""
    tolerance: NonNegative = 0.05
    """How far from that of the whole network the metric may be for the components to suffice."""

    @model_validator(mode="after")
    def _ascending(self) -> SpectralAblationSpec:
        if list(self.counts) != sorted(set(self.counts)):
            raise located("should ascend", "counts")
        return self
