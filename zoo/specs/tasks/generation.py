"""What samplers are asked for: images of a bump at a place, points of a class."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import NonNegative, Positive, located
from zoo.specs.families import TaskSpec

Steps = Annotated[int, Field(ge=1, le=10_000)]
Pixels = Annotated[float, Field(ge=0.01, le=1000)]
MOST_PLACES = 2**20


class GenerationSpec(TaskSpec):
    """What tasks of generation share: a condition, and noise, in; at the last step, a sample out.

    The input is the condition at every step, and noise of deviation 1 at the first, or at ``every`` one.
    """

    steps: Steps = 20
    """Of the sampler."""
    noise: Literal["start", "every"] = "start"
    """Samplers that add noise after each step take it from their input."""

    @property
    def condition(self) -> int:
        """Numbers that say what is asked for."""
        raise NotImplementedError(f"{type(self).__name__} must say how wide its condition is")

    @property
    def inputs(self) -> int:
        return self.condition + self.outputs


class BumpsSpec(GenerationSpec):
    """Images with one Gaussian bump at a place that is asked for (Liang et al. 2024).

    Pixels are exp(-(j - x)²/2σx² - (i - y)²/2σy²), scaled to [-1, 1]; the condition is (x, y), in pixels.
    Places lie on a lattice that begins at 0 and ends at the last pixel. Of these, those with both coordinates
    within ``hole`` can be held out: ``region`` says which of them a split draws.
    """

    kind: Literal["bumps"] = "bumps"
    size: Annotated[int, Field(ge=2, le=256)] = 32
    """Pixels along a side."""
    width: Annotated[tuple[Pixels, Pixels], Field(strict=False)] = (1.0, 1.0)
    """σx and σy, in pixels."""
    spacing: Annotated[tuple[Pixels, Pixels], Field(strict=False)] = (1.0, 1.0)
    """Of the lattice along x and y, in pixels."""
    between: bool = False
    """Whether places are anywhere within half a spacing of those of the lattice, and inside it."""
    periodic: bool = False
    """Whether opposite edges are one: distances go round, and the images are a torus."""
    hole: Annotated[tuple[NonNegative, NonNegative], Field(strict=False)] | None = None
    """First and last coordinate, of both axes, of the part that can be held out."""
    region: Literal["all", "seen", "hole", "x-arm", "y-arm"] = "all"
    """All places; those outside the hole; those in it; those whose x alone, or y alone, is within it."""
    splits: dict[str, dict[str, Any]] = {"between": {"between": True}}

    @property
    def condition(self) -> int:
        return 2

    @property
    def outputs(self) -> int:
        return self.size * self.size

    def places(self) -> tuple[list[float], list[float]]:
        """Coordinates of the lattice along x and along y, in pixels."""
        ends = self._counts()
        return tuple([k * d for k in range(n)] for n, d in zip(ends, self.spacing, strict=True))  # type: ignore[return-value]

    def _counts(self) -> list[int]:
        return [int((self.size - 1) / spacing + 1e-9) + 1 for spacing in self.spacing]

    @model_validator(mode="after")
    def _places_are_left(self) -> Self:
        if math.prod(self._counts()) > MOST_PLACES:
            raise located(f"makes {math.prod(self._counts()):,} places; at most {MOST_PLACES:,}", "spacing")
        if self.hole is None:
            if self.region not in ("all", "seen"):
                raise located(f"of {self.region!r} needs a 'hole', such as [6, 9]", "region")
            return self
        low, high = self.hole
        if low > high:
            raise located(f"should ascend, and {low:g} is above {high:g}", "hole")
        for axis in self.places():
            inside = sum(low <= place <= high for place in axis)
            if not 0 < inside < len(axis):
                what = "all" if inside else "none"
                raise located(f"holds {what} of the places of an axis, {axis[0]:g} to {axis[-1]:g}", "hole")
        return self


class MixtureSpec(GenerationSpec):
    """Points in the plane, of a class that is asked for: each class is several Gaussian modes.

    Modes lie evenly on a circle, and classes take turns along it, so that a class is no one blob. The
    condition is the class as ``classes`` numbers of which one is 1.
    """

    kind: Literal["mixture"] = "mixture"
    classes: Annotated[int, Field(ge=1, le=100)] = 4
    modes: Annotated[int, Field(ge=1, le=100)] = 3
    """Of each class."""
    radius: Positive = 1.5
    deviation: Positive = 0.1
    """Of a mode, along each axis."""

    @property
    def condition(self) -> int:
        return self.classes

    @property
    def outputs(self) -> int:
        return 2
