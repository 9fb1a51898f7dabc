"""Stress tests of comparators, on a network's own activity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.activity import ActivitySpec, Latent
from zoo.specs.analyses.base import MeasurementSpec
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


class CKAMapAttackSpec(MeasurementSpec):
    """Whether the CKA between the layers of a network can be made what one likes, while it does the same
    (Davari et al. 2023).

    A copy of the network is trained on inputs of its task to answer as before, and for the CKA of each two of
    its layers (linear, biased) to be near a target: the loss is the divergence from the network's own outputs
    plus the mean of log cosh(CKA - target), times a weight that falls while the copy answers otherwise, and
    rises while it does not.
    """

    kind: Literal["cka-map-attack"] = "cka-map-attack"
    trials: Count = 512
    """Samples that the map and the accuracy are measured on, none of which is trained on."""
    target: Literal["alike", "unlike", "checkerboard"] = "checkerboard"
    """Of each two layers: CKA ``high``, or ``low``; or one and the other in turn."""
    high: Annotated[float, Field(ge=0, le=1)] = 0.9
    low: Annotated[float, Field(ge=0, le=1)] = 0.3
    steps: Count = 1000
    batch_size: Annotated[int, Field(ge=8, le=8192)] = 256
    lr: Positive = 1e-3
    weight: Positive = 10.0
    """Of the map, at first."""
    band: Annotated[float, Field(gt=0, lt=1)] = 0.005
    """Share of a batch that the copy may answer otherwise before the weight falls."""
