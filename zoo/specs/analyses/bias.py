"""How much a task leaves to be known beforehand: inductive bias, in bits, of tasks and of kernels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.specs.analyses.base import CalculationSpec, DrawnSpec
from zoo.specs.base import Name, NonNegative, Positive, Spec
from zoo.specs.families import TaskSpec

Examples = Annotated[float, Field(ge=1, le=1e30)]
Dimension = Annotated[float, Field(gt=1, le=10_000)]
Many = Annotated[int, Field(ge=2, le=10**6)]
Error = Annotated[float, Field(gt=0, lt=1)]


class ClassificationSpec(Spec):
    """Points on a sphere, to be told apart."""

    kind: Literal["classification"] = "classification"
    examples: Examples
    dimension: Dimension
    """Intrinsic dimension of the data."""
    radius: Positive
    """Largest norm of a point."""
    margin: Positive
    """Distance of the nearest points of different classes, in the unit of the radius."""
    classes: Many = 10


class FewShotSpec(Spec):
    """Sets of one image a class: what is looked for takes a set to a classifier."""

    kind: Literal["few-shot"] = "few-shot"
    examples: Examples = 1.0
    """Sets seen in training."""
    ways: Many = 20
    within: Dimension
    """Intrinsic dimension of the images of an alphabet."""
    across: Dimension
    """Of images of all alphabets."""
    radius: Positive
    margin: Positive


class ControlSpec(Spec):
    """A continuous action for each observation."""

    kind: Literal["control"] = "control"
    examples: Examples = 1e6
    """Time steps seen."""
    observations: Annotated[int, Field(ge=1, le=1000)]
    """How many numbers are observed."""
    actions: Annotated[int, Field(ge=1, le=1000)]
    resolution: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Difference of observations from which the action may differ."""


class HistorySpec(Spec):
    """Left or right, from the last observations of an angle and a position: a pole on a cart."""

    kind: Literal["history"] = "history"
    examples: Examples = 1e4
    steps: Annotated[int, Field(ge=1, le=100)] = 1
    """Observations that the action depends on."""
    resolution: Annotated[float, Field(gt=0, lt=1)] = 1e-3


class DifficultySpec(CalculationSpec):
    """Bits that pick a function which generalises, beyond what examples say (Boopathy et al. 2023).

    Functions are sums of eigenfunctions of the Laplacian on a sphere up to the frequency that the margin asks
    for; examples take parameters away, and what is left is told to the precision that the error asks for.
    """

    kind: Literal["difficulty"] = "difficulty"
    problem: Annotated[
        ClassificationSpec | FewShotSpec | ControlSpec | HistorySpec, Field(discriminator="kind")
    ]
    error: Error = 0.01


class TaskDifficultySpec(DrawnSpec):
    """The difficulty of classifying the examples of a task, whose dimension and margin are estimated."""

    kind: Literal["task-difficulty"] = "task-difficulty"
    task: TaskSpec
    split: Name = "train"
    examples: Annotated[int, Field(ge=10, le=20_000)] = 2000
    """So many are drawn; those that are the same count once."""
    error: Error = 0.01
    neighbours: Annotated[int, Field(ge=2, le=100)] = 5
    """Of each example, from whose distances the dimension is estimated (Levina & Bickel 2004)."""
    dimension: Dimension | None = None
    """Instead of the estimate."""
    margin: Literal["least", "extreme"] = "least"
    """The least distance of two classes; or that of all pairs as the tail of some of them lets expect
    (Dekkers, Einmahl & de Haan 1989)."""
    pairs: Annotated[int, Field(ge=100, le=10**7)] = 200_000
    """Pairs of examples of different classes that are drawn, for ``extreme``."""
    tail: Annotated[int, Field(ge=10, le=10**6)] = 2000
    """The nearest so many of them are its tail."""


class InductiveBiasSpec(DrawnSpec):
    """How improbable a small test error is of functions that fit the examples: exact inductive bias.

    Functions are drawn from a Gaussian process with a Gaussian kernel, given the examples (Boopathy et al.
    2024). Their test error is a weighted sum of non-central χ², whose tail is found by the saddlepoint
    approximation of Barndorff-Nielsen; or as that of a χ² with the same mean and variance.
    """

    kind: Literal["inductive-bias"] = "inductive-bias"
    task: TaskSpec
    examples: Annotated[int, Field(ge=1, le=5000)] = 200
    """Different ones, of the split train."""
    test_examples: Annotated[int, Field(ge=1, le=3000)] = 300
    split: Name = "test"
    """That they are of."""
    width: Positive = 1.0
    """Of the kernel exp(-|a - b|² / 2 width²), in the unit of the inputs."""
    nugget: NonNegative = 1e-10
    """Added to the kernel of each example with itself, so that examples close together can be told apart."""
    error: Positive = 0.05
    """Mean squared error that a function should have, over test examples and outputs."""
    tail: Literal["saddlepoint", "moments"] = "saddlepoint"
    samples: Annotated[int, Field(ge=0, le=10**7)] = 0
    """Functions to draw beside, whose share with such an error is counted."""
