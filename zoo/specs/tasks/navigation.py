"""Where am I, and which way do I look? Velocity has to be integrated."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import NonNegative, Positive, Seed, Several, located
from zoo.specs.families import TaskSpec

Memory = Annotated[float, Field(ge=0, lt=1)]


class HeadDirectionSpec(TaskSpec):
    """Integrate angular velocity into a direction.

    The input is the turn at each step in radians; the output is the direction after it. Turns are normal.
    Where the initial direction is random, it is given by further inputs at the first step. The defaults are
    those of Krishna et al. (2024), but for the code, which is theirs with ``code: cells``.
    """

    kind: Literal["head-direction"] = "head-direction"
    steps: Several = 100
    dt: Positive = 0.02
    """Duration of a time step in seconds."""
    turning: Positive = 11.52
    """Deviation of the angular velocity in rad/s."""
    memory: Memory = 0.0
    """Correlation of the angular velocity from step to step: 0 is white noise, more a first-order
    autoregression."""
    one_way: bool = False
    """Whether all turns are counter-clockwise."""
    noise: NonNegative = 0.0
    """Of the input: integrated, it is off by ``noise`` √t rad after t seconds."""
    code: Literal["cos-sin", "cells"] = "cos-sin"
    """Whether the output is cosine and sine, or head-direction cells with von Mises tuning and a peak of
    1."""
    cells: Annotated[int, Field(ge=3, le=10_000)] = 512
    spread: Positive = math.pi / 6
    """Width of the tuning in radians: 1/√κ of the von Mises function."""
    start: Literal["zero", "random"] = "random"
    cue: Literal["coordinates", "code"] = "coordinates"
    """How a random start is given: by cosine and sine, or as the output would be."""
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 300}, "noisier": {"noise": 0.2}}

    @property
    def inputs(self) -> int:
        return 1 + _cue_width(self)

    @property
    def outputs(self) -> int:
        return 2 if self.code == "cos-sin" else self.cells


class PathIntegrationSpec(TaskSpec):
    """Integrate velocity into a position in a square box.

    The input is the displacement at each step in metres, or its length and direction; the output is the
    position after it. The heading turns at random, speeds are Rayleigh distributed, and near a wall the
    walker slows down and turns along it. Where the initial position is random, it is given by further inputs
    at the first step. The defaults are those of Krishna et al. (2024), but for the code, which is theirs
    with ``code: cells``.
    """

    kind: Literal["path-integration"] = "path-integration"
    steps: Several = 100
    dt: Positive = 0.02
    """Duration of a time step in seconds."""
    box: Positive = 2.2
    """Side of the box in metres; its centre is the origin."""
    speed: Positive = 0.26 * math.pi
    """Scale b of the Rayleigh distribution of speeds in m/s: the mean is b √(π/2)."""
    turning: NonNegative = 11.52
    """Deviation of the angular velocity in rad/s."""
    border: NonNegative = 0.03
    """How near a wall the walker heeds it, in metres."""
    slowing: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Factor on the speed there."""
    drift: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the way to the anchor that is gone at each step besides: 0.05 for the biased walks of the
    paper."""
    anchor: Annotated[tuple[float, float], Field(strict=False)] = (0.0, 0.0)
    noise: NonNegative = 0.0
    """Of the input: integrated, it is off by ``noise`` √t metres on each axis after t seconds."""
    velocity: Literal["cartesian", "polar"] = "cartesian"
    """Whether the input is the displacement along x and y, or its length, cosine and sine of its
    direction."""
    code: Literal["position", "cells"] = "position"
    """Whether the output is x and y, or place cells: a softmax over -d²/2σ², d being the distance from the
    centre of a cell."""
    cells: Annotated[int, Field(ge=3, le=10_000)] = 512
    width: Positive = 0.2
    """σ of the place cells in metres."""
    cells_seed: Seed = 0
    """Draws the centres of the cells, uniformly in the box."""
    start: Literal["centre", "random"] = "random"
    cue: Literal["coordinates", "code"] = "coordinates"
    """How a random start is given: by x and y, or as the output would be."""
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 300}, "noisier": {"noise": 0.05}}

    @property
    def inputs(self) -> int:
        return (2 if self.velocity == "cartesian" else 3) + _cue_width(self)

    @property
    def outputs(self) -> int:
        return 2 if self.code == "position" else self.cells

    @model_validator(mode="after")
    def _box_has_room(self) -> Self:
        if 2 * self.border >= self.box:
            raise located(f"leaves no room in a box of {self.box} m", "border")
        if max(map(abs, self.anchor)) > self.box / 2:
            raise located(f"is not in the box, which goes from {-self.box / 2} to {self.box / 2}", "anchor")
        return self


def _cue_width(spec: HeadDirectionSpec | PathIntegrationSpec) -> int:
    if spec.start != "random":
        return 0
    return 2 if spec.cue == "coordinates" else spec.outputs
