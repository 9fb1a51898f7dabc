"""What a network does when nothing comes in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, Name, Positive


class ReactivationSpec(MeasurementSpec):
    """Whether a network of head direction or of positions wanders, without input, over what it held before
    (Krishna et al. 2024).

    Awake, it runs trials of its task under its private noise; then, from where these end, with zero input and
    noise of twice the variance. What it holds is read as the task reads it, and counted in bins.
    """

    kind: Literal["reactivation"] = "reactivation"
    trials: Count = 200
    steps: Count = 1000
    """Of quiescence."""
    against: Name | None = None
    """A split of the task: what is held in quiescence is compared with where its trials truly are, and not
    with what the network holds awake. So networks that learned nothing, or other walks, can be compared."""
    noise: Positive | None = None
    """Deviation of the noise while awake; without it, the model's own. Networks that learned without noise
    need one."""
    factor: Positive = 2.0
    """Variance of the noise in quiescence over that while awake."""
    bins: Annotated[int, Field(ge=2, le=200)] = 24
    """Of directions; or of positions along each side of the box."""
    variance: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the variance of the awake states that their leading components hold, which are asked for their
    share in quiescence."""
