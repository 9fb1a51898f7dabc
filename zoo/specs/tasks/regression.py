"""Functions of a point, to be learnt from examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Name, NonNegative, Positive, Seed, located
from zoo.specs.families import TaskSpec


class ModularSinesSpec(TaskSpec):
    """A map of several inputs that falls apart into one a channel: y_i = a_i sin(f_i x_i + φ_i).

    Inputs are uniform, and a ~ U(0.7, 1), f ~ U(0.4, 1.8) and φ ~ U(0, 2π), as by Qian et al. (2025),
    "Modularity from Poisson-like noise" (PRX Life 4, 033022). A split is a set of points, from which batches
    are drawn.
    """

    kind: Literal["modular-sines"] = "modular-sines"
    channels: Annotated[int, Field(ge=1, le=10_000)] = 4
    shape: Literal["sine", "linear"] = "sine"
    """Whether the maps are sines, or y_i = x_i for comparison."""
    inner: NonNegative = 0.0
    outer: Positive = 2.0
    """Inputs lie between -outer and outer, and outside of -inner and inner."""
    points: Annotated[int, Field(ge=1, le=10**6)] = 1000
    """How many a split has."""
    maps: Seed = 0
    """Draws a, f and φ."""
    part: Name = "train"
    """Which set of points; a split has that of its own name."""
    splits: dict[str, dict[str, Any]] = {"outside": {"inner": 2.0, "outer": 3.0}}

    @property
    def steps(self) -> int:
        """A point is a single step."""
        return 1

    def for_split(self, split: str) -> Self:
        found = super().for_split(split)
        if split == "train" or "part" in self.splits.get(split, {}):
            return found
        return found.updated(part=split, splits={})

    @property
    def inputs(self) -> int:
        return self.channels

    @property
    def outputs(self) -> int:
        return self.channels

    @model_validator(mode="after")
    def _room_between(self) -> Self:
        if self.inner >= self.outer:
            raise located(f"is not below outer, which is {self.outer}", "inner")
        return self


class LinearMapSpec(TaskSpec):
    """A linear map y = W x of given singular values, between spaces of one width (Saxe et al. 2014).

    W = U diag(s) Vᵀ with random orthogonal U and V. Every ``width`` inputs of a batch in turn are orthogonal
    and of the length √width: batches of a multiple of it are white to rounding, and their loss is that of the
    whole distribution.
    """

    kind: Literal["linear-map"] = "linear-map"
    width: Annotated[int, Field(ge=1, le=1000)] = 8
    strengths: Annotated[tuple[NonNegative, ...], Field(strict=False, min_length=1)] = (4.0, 3.0, 2.0, 1.0)
    """s, singular values; the others are 0."""
    maps: Seed = 0
    """Draws U and V."""

    @property
    def steps(self) -> int:
        """A vector is a single step."""
        return 1

    @property
    def inputs(self) -> int:
        return self.width

    @property
    def outputs(self) -> int:
        return self.width

    @model_validator(mode="after")
    def _as_many_as_there_are(self) -> Self:
        if len(self.strengths) > self.width:
            raise located(
                f"{len(self.strengths)} singular values are more than the width {self.width}", "strengths"
            )
        return self
