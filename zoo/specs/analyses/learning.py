"""Analyses of how a network has learned: its tangent kernel, the curvature of its loss, its curves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, Line, Positive

Patterns = Annotated[str, Field(min_length=1, max_length=200)]


class NTKSpec(MeasurementSpec):
    """How far training took a network from where it was: its neural tangent kernel (Jacot et al. 2018), its
    states and its weights, beside those of another of its kind; rich learning changes them, lazy does not."""

    kind: Literal["ntk"] = "ntk"
    trials: Count = 16
    against: Line = "initial"
    """What it is held against: ``initial``, its own snapshot 0 (built anew where there is none), or the name
    of another network of the same shape, such as ``dsa-gru-flipflop/0#32``."""
    along: bool = False
    """Whether every snapshot that was published of it is held against that, too."""
    weights: Patterns = "*"
    """Pattern of the parameters that the kernel is of: ``*weight_hh*`` of elman, ``weight`` of rate."""
    kernel: bool = True
    """Whether there is a kernel at all; without it, many trials cost little."""
    steps: Literal["all", "last"] = "all"
    """Time steps whose outputs have rows in the kernel."""


class SharpnessSpec(MeasurementSpec):
    """Curvature of the loss: the ends of its Hessian's spectrum, by the method of Lanczos (1950) on products
    of the Hessian with vectors (Pearlmutter 1994)."""

    kind: Literal["sharpness"] = "sharpness"
    trials: Count = 256
    split: Annotated[str, Field(min_length=1, max_length=100)] = "train"
    weights: Patterns = "*"
    """Pattern of the parameters that the Hessian is of."""
    iterations: Count = 60
    """Products with the Hessian at most."""
    tolerance: Positive = 1e-4
    """Residual |H v - λ v| of both ends, as a share of the largest |λ|, at which it stops."""


class LocalRankSpec(MeasurementSpec):
    """In how many directions a site moves with the input (Patel & Shwartz-Ziv 2024): the rank of the Jacobian
    at each trial, of what the site holds at the last step by the input of all steps."""

    kind: Literal["local-rank"] = "local-rank"
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Singular values above this share of the largest count."""


class OnsetSpec(MeasurementSpec):
    """When a curve of training reaches a level, and how long after another: read from the record."""

    kind: Literal["onset"] = "onset"
    metric: Line = "validation/accuracy"
    """One of the curves in the record."""
    after: Line | None = None
    """Another, from whose onset the delay is counted."""
    level: float = 0.99
    falling: bool = False
    """Whether the curve comes to it from above, as losses do."""


class LinearDynamicsSpec(MeasurementSpec):
    """The product of a deep linear network's matrices at every snapshot, beside the exact course of learning
    from the first one (Saxe et al. 2014; of any balanced matrices, Arora et al. 2018).

    For networks of kind ``mlp`` without nonlinearity, norm and biases, on the task ``linear-map``, by plain
    gradient descent at a constant rate.
    """

    kind: Literal["linear-dynamics"] = "linear-dynamics"
    points: Annotated[int, Field(ge=10, le=10**6)] = 2000
    """Steps of the Runge–Kutta method that the course is computed with."""


class ModularitySpec(MeasurementSpec):
    """Whether a perceptron falls apart into one module for each channel (Qian et al. 2025): from the paths of
    absolute weights, and the spectra of the Laplacians of its layers."""

    kind: Literal["modularity"] = "modularity"
    modules: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """How many are looked for; without it, as many as outputs."""
