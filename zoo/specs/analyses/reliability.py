"""Stress tests of comparators, on a network's own activity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.activity import ActivitySpec, Latent
from zoo.specs.base import Count, Positive


class CKAReliabilitySpec(ActivitySpec):
    """How far CKA moves under changes that leave what can be read from a network (Davari et al. 2023).

    Linear and biased, as it is mostly used. Lengths are in units of the root mean square distance of the
    samples from their mean.
    """

    kind: Literal["cka-reliability"] = "cka-reliability"
    latent: Latent
    """The class of each sample, a whole number, which a linear probe reads before and after."""
    trials: Count = 512
    cases: Annotated[int, Field(ge=1, le=1000)] = 20
    """Random subsets of samples, and random halves of the classes, that are moved in random directions."""
    far: Positive = 1e6
    """How far subsets and outliers are moved, where a limit is asked for."""
    shift: Positive = 100.0
    """How far half of the classes is moved, where the probe reads the rest."""
    condition: Annotated[float, Field(ge=1, le=1e6)] = 100.0
    """Condition number of the random invertible maps."""
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Of the samples, for the probe."""
