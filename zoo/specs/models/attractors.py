"""Continuous attractors that are specified exactly and not trained: of head direction, and of grid cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zoo.specs.base import Count, Positive, located
from zoo.specs.models.systems import SystemSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class BumpSpec(SystemSpec):
    """What attractors of a bump of activity share: τ h' = -h + W f(h) + bias, with f the logistic function.

    W depends on how far apart two units are, and a velocity adds its share of the derivative of W, so that
    the bump moves at that velocity with its shape unchanged (Zhang 1996), by the classical Runge-Kutta
    method.
    """

    strength: Positive
    """Of the connections, which are cosines of the distance, before the mean over the units."""
    inhibition: Annotated[float, Field(ge=0)] = 0.0
    """That each unit adds for all others, before the mean over the units."""
    bias: float = 0.0
    tau: Positive = 0.1
    """Time constant, in the unit of ``dt``."""
    dt: Positive = 0.02
    """Duration of a step."""
    substeps: Count = 4
    """Runge-Kutta steps in one step."""


class HeadDirectionAttractorSpec(BumpSpec):
    """A ring attractor that integrates turns (Zhang 1996), for the task ``head-direction``.

    Inputs: the turn in radians at each step and, where there are three, cosine and sine of a direction, which
    raise a bump there in a network without one, as it then begins; with one input it begins with a bump at
    direction 0. Outputs: cosine and sine of the direction, where there are two, or the rate of each unit.
    """

    kind: Literal["head-direction-attractor"] = "head-direction-attractor"
    neurons: Annotated[int, Field(ge=8, le=10_000)] = 60
    """Units, with preferred directions at equal distances."""
    strength: Positive = 24.0


class GridAttractorSpec(BumpSpec):
    """A torus attractor of grid cells, which integrates displacements, for the task ``path-integration``.

    Units lie on a twisted torus of phases (Guanella, Kiper & Verschure 2007), connected by the cosines of the
    three phases of a hexagonal lattice: where the walker is, each unit fires at the corners of triangles of
    side ``spacing``. Inputs: the displacement along x and y in metres at each step. Outputs: the position,
    of those that the phases may mean the one nearest to the origin, where there are two; or the rate of each
    unit. It begins with a bump at the origin.
    """

    kind: Literal["grid-attractor"] = "grid-attractor"
    side: Annotated[int, Field(ge=6, le=200)] = 16
    """Units along each of the two axes of the torus."""
    strength: Positive = 16.0
    bias: float = -2.0
    spacing: Positive = 4.0
    """Of the grid in metres."""
    orientation: float = 0.0
    """Of its first wave vector, in radians."""

    def check(self, experiment: ExperimentSpec) -> None:
        """The box of a task whose output is a position has to lie where the phases tell positions apart."""
        box, code = (getattr(experiment.task, name, None) for name in ("box", "code"))
        if code != "position" or box is None:
            return
        if getattr(experiment.task, "start", None) == "random":
            raise located("should be 'centre': the grid begins with a bump at the origin", "task", "start")
        if box * math.sqrt(2) > self.spacing:
            raise located(
                f"is {self.spacing:g} m, less than the diagonal of the box, {box * math.sqrt(2):.3g} m: "
                "two places in it would look the same. Raise it, or make the box smaller",
                "model",
                "spacing",
            )
