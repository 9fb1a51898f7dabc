"""Arithmetic on whole numbers, of which some sums are shown and others held out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Seed, located
from zoo.specs.families import TaskSpec


class ModularAdditionSpec(TaskSpec):
    """The sum a + b modulo p, of which a share of all p² pairs is shown (Power et al. 2022).

    Inputs are a and b, each as p units of which one is 1; ``y`` is the sum in the same code. The split train
    draws from the pairs that are shown, each at most once in a batch, so that a batch of as many as there
    are is all of them; any other split gives each pair of its part once, as many as are asked for or as there
    are.
    """

    kind: Literal["modular-addition"] = "modular-addition"
    loss: ClassVar[str] = "cross-entropy"

    modulus: Annotated[int, Field(ge=2, le=1000)] = 23
    """p."""
    shown: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Share of the pairs that are shown."""
    draw: Seed = 0
    """Draws which they are."""
    part: Literal["shown", "held-out"] = "shown"
    """Which pairs a split looks at."""
    splits: dict[str, dict[str, Any]] = {
        "validation": {"part": "held-out"},
        "test": {"part": "held-out"},
    }

    @property
    def steps(self) -> int:
        """A pair is a single step."""
        return 1

    @property
    def inputs(self) -> int:
        return 2 * self.modulus

    @property
    def outputs(self) -> int:
        return self.modulus

    @property
    def count(self) -> int:
        """How many pairs are shown."""
        return round(self.shown * self.modulus**2)

    @model_validator(mode="after")
    def _both_parts(self) -> Self:
        if not 0 < self.count < self.modulus**2:
            raise located(f"leaves none of {self.modulus**2} pairs to one of the parts", "shown")
        return self
