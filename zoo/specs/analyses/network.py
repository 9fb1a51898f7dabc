"""Analyses of a network itself: what it achieves, where it rests, and how it spreads what is near."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.base import Count, NonNegative, Positive


class PerformanceSpec(MeasurementSpec):
    """How well a network does its task on trials of a split: the loss and the task's metrics."""

    kind: Literal["performance"] = "performance"
    trials: Count = 512


class FixedPointsSpec(MeasurementSpec):
    """Where the state stays, or nearly so, under a constant input (Sussillo & Barak 2013).

    Points where ``|F(h, u) - h|`` has a minimum are found from states along the trials by damped
    Gauss–Newton steps (Levenberg 1944, Marquardt 1963), all at once. Minima below ``tolerance`` are fixed
    points; others are slow points, where the speed is below ``slow``.
    """

    kind: Literal["fixed-points"] = "fixed-points"
    input: Literal["zero", "mean"] | Annotated[tuple[float, ...], Field(strict=False)] = "zero"
    """The constant input: numbers, zero, or the mean over the trials."""
    starts: Count = 1024
    """States that are begun from, drawn from the trials."""
    spread: NonNegative = 0.1
    """Deviation of what is added to them, as a share of the deviation of each unit over the trials."""
    rounds: Annotated[int, Field(ge=0, le=20)] = 2
    """Further rounds, each from points midway between pairs of those found: that is where saddles are."""
    tolerance: Positive = 1e-10
    """Speed ``|F(h, u) - h|``, in units of the state per step, of a fixed point."""
    slow: NonNegative = 0.0
    """Speed up to which a minimum that is no fixed point is kept as a slow point."""
    steps: Count = 300
    """Gauss–Newton steps at most."""
    apart: Positive = 1e-3
    """Points nearer than this share of the extent of the trials are one."""
    within: Positive = 2.0
    """Points further from the middle of the trials than so many times the furthest state are left out."""


class RingSpec(FixedPointsSpec):
    """Whether fixed and slow points lie on a closed curve: a ring attractor (Zhang 1996).

    The points are seen in the plane of their two principal components.
    """

    kind: Literal["ring"] = "ring"  # type: ignore[assignment]
    rounds: Annotated[int, Field(ge=0, le=20)] = 0
    slow: NonNegative = 0.02
    apart: Positive = 0.02
    attracting: bool = True
    """Whether points unstable in two directions or more are left out: a ring has one in its middle."""


class SelectionSpec(FixedPointsSpec):
    """A line attractor, and which input moves the state along it (Mante et al. 2013).

    Fixed and slow points under a constant input, their leading eigenvectors, and for each input channel the
    overlap of what it does with the left eigenvector of the slowest direction: the selection vector.
    """

    kind: Literal["selection"] = "selection"  # type: ignore[assignment]
    rounds: Annotated[int, Field(ge=0, le=20)] = 0
    slow: NonNegative = 0.05
    apart: Positive = 0.02


class LyapunovSpec(MeasurementSpec):
    """Lyapunov exponents along the trials, from QR decompositions (Benettin et al. 1980).

    Noise-free, from the initial state of the network, under the inputs of the trials, or autonomously.
    """

    kind: Literal["lyapunov"] = "lyapunov"
    trials: Count = 8
    exponents: Count | None = None
    """The largest so many; without it, all."""
    steps: Count = 2000
    """Steps that are averaged over; the inputs of the trials are repeated as often as that takes."""
    transient: Annotated[int, Field(ge=0)] = 200
    """Steps before those."""
    autonomous: bool = False
    """With zero input instead of that of the trials."""
    dt: Positive = 1.0
    """Time of a step: exponents are per unit of it, natural logarithms."""
    every: Count = 1
    """Steps between decompositions."""
