"""Nonlinear systems that are simulated, not trained: Lorenz's two, three planar ones, ring attractors."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, Fraction, NonNegative, Positive
from zoo.specs.families import ModelSpec


class SystemSpec(ModelSpec):
    """What all simulated systems share: nothing in them can be learned."""

    learnable: ClassVar[bool] = False


class LorenzSpec(SystemSpec):
    """Lorenz's model of convection (Lorenz 1963, eqs. 25-27), by the classical Runge-Kutta method.

    x' = σ (y - x), y' = x (ρ - z) - y, z' = x y - β z. The inputs displace the state before each step; the
    output is the state.
    """

    kind: Literal["lorenz"] = "lorenz"
    sigma: Positive = 10.0
    rho: Positive = 28.0
    beta: Positive = 8 / 3
    dt: Positive = 0.01
    """Time between two steps."""
    substeps: Count = 5
    """Runge-Kutta steps in one step."""
    start: Annotated[tuple[float, float, float], Field(strict=False)] = (-8.0, 8.0, 27.0)
    """Where it starts from."""
    spread: NonNegative = 1.0
    """Deviation of the start, drawn from the experiment's seed."""


class Lorenz96Spec(SystemSpec):
    """Lorenz's model of a ring of weather stations (Lorenz 1996), by the classical Runge-Kutta method.

    x_k' = (x_{k+1} - x_{k-2}) x_{k-1} - x_k + F, for k around the ring. The inputs displace the state before
    each step; the output is the state.
    """

    kind: Literal["lorenz-96"] = "lorenz-96"
    sites: Annotated[int, Field(ge=4, le=100_000)] = 40
    forcing: float = 8.0
    """F; from about 8, the motion is chaotic."""
    dt: Positive = 0.05
    """Time between two steps."""
    substeps: Count = 2
    """Runge-Kutta steps in one step."""
    spread: NonNegative = 1.0
    """Deviation of the start from F, drawn from the experiment's seed."""


class PlanarSpec(SystemSpec):
    """Three planar systems whose condition averages agree (Galgali et al. 2023; Ostrow et al. 2023, Fig. 3).

    The first input u is the condition's, the other two are noise. ``bistable``: x' = a x³ + b x + u,
    y' = c y + u. ``line`` and ``point`` are the linear systems of a line and of a point attractor under
    the open-loop input that leads their average along the bistable system's path without noise, which
    they carry along in their state (``reference``). Parameters are drawn from the experiment's seed, the
    same of the bistable system for all three. By Euler's method.
    """

    kind: Literal["planar"] = "planar"
    system: Literal["bistable", "line", "point"] = "bistable"
    dt: Positive = 0.01
    """Duration of an Euler step."""
    substeps: Count = 10
    """Euler steps in one step. Noise is held over them, at the variance that new noise in each would add."""


class RingAttractorSpec(SystemSpec):
    """Ring attractor of two shifted populations, which can be cut open (Ostrow et al. 2023, Fig. 4).

    τ g' = -g + 1 ± γ u + W relu(g), with minus in the left and plus in the right population. Each unit
    inhibits those up to 2 l away by strength (cos(π d / l) - 1) / 2, shifted by ``shift`` units; l is drawn
    from the experiment's seed, as is where on the ring the bump of activity begins. By Euler's method; the
    output is the activity of the right population. Where the task has 2 × ``neurons`` inputs beyond u, each
    is added to what one unit receives.
    """

    kind: Literal["ring-attractor"] = "ring-attractor"
    neurons: Annotated[int, Field(ge=10, le=10_000)] = 120
    """Units in each of the two populations."""
    alpha: Fraction = 1.0
    """1 is a ring; below, (1 - alpha) l further units close it, and are deleted; 0 is a line."""
    beta: Positive | None = None
    """If given, the output is sigmoid(beta g), and relu(g) otherwise: the same dynamics in another shape."""
    strength: Positive = 8.0
    """Of the strongest inhibition."""
    shift: Annotated[int, Field(ge=0)] = 2
    """Units by which the two populations' connections are displaced, to the left and to the right."""
    gamma: NonNegative = 0.1
    """Effect of the input on the resting drive."""
    dt: Positive = 0.5
    tau: Positive = 10.0
    settle: Count = 1000
    """Steps without input in which the bump forms, before the initial state."""
    pulses: Annotated[int, Field(ge=0)] = 100
    """First of these steps in which one unit of each population is excited."""

    @model_validator(mode="after")
    def _sound(self) -> RingAttractorSpec:
        if self.dt > self.tau:
            raise ValueError(f"dt {self.dt} is above tau {self.tau}: the Euler step would overshoot")
        if self.pulses > self.settle:
            raise ValueError(f"{self.pulses} pulses do not fit in the {self.settle} steps of 'settle'")
        return self
