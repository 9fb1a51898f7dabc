"""Nonlinear systems, simulated: Lorenz's two, three planar ones, ring attractors. Nothing in them is learned.

What is drawn from a seed is held in buffers, so that a checkpoint carries it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import SpecError
from zoo.models.dynamics import Dynamics
from zoo.specs.models.systems import Lorenz96Spec, LorenzSpec, PlanarSpec, RingAttractorSpec, SystemSpec

BISTABLE = ((-5.0, -4.0), (4.0, 5.0), (-4.0, -3.0))
"""Ranges of a, b and c: those of the authors' notebook for Fig. 3, as are the next two."""
LINE = (-3.0, -2.0)
POINT = ((-5.0, -4.0), (-9.0, -8.0))
BUMP = (0.55, 0.65)
"""Range of l as a share of the neurons: one bump forms (the authors' notebook for Fig. 4)."""
WRAPS = 2
"""Times that inhibition may go around the ring, in each direction: it reaches 2 l < 1.3 neurons far."""


class System(Dynamics):
    """Base of the simulated systems, whose widths are not for the task to choose.

    A system gives ``step``; the output is the state, or the first units of it.
    """

    def __init__(self, spec: SystemSpec, given: tuple[int, int], own: tuple[int, int], hidden: int) -> None:
        if given != own:
            raise SpecError(
                f"the model {spec.kind!r} has {own[0]} inputs and {own[1]} outputs here, and the task has "
                f"{given[0]} and {given[1]}.",
                "Give the task as many: a 'drive' has channels + disturbances inputs and 'width' outputs.",
            )
        super().__init__(spec, *given)
        self.hidden = hidden

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.hidden)}

    def decode(self, exposed: Tensor) -> Tensor:
        return exposed[..., : self.outputs]

    def hold(self, name: str, shape: tuple[int, ...], draw: Callable[[], Tensor]) -> None:
        """A buffer with the values that ``draw`` gives; without memory where that is not wanted yet."""
        values = torch.empty(shape)
        self.register_buffer(name, values if values.is_meta else values.copy_(draw()))


class Lorenz(System):
    """Lorenz's model of convection; the inputs displace the state."""

    spec: LorenzSpec
    start: Tensor

    def __init__(self, spec: LorenzSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, (inputs, outputs), (3, 3), hidden=3)
        self.hold("start", (3,), lambda: torch.tensor(spec.start) + spec.spread * torch.randn(3))

    def initial_state(self, batch: int) -> Tensor:
        return self.start.expand(batch, -1)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        h = runge_kutta(self._flow, h + u, self.spec.dt, self.spec.substeps)
        return h if noise is None else h + noise

    def _flow(self, h: Tensor) -> Tensor:
        """Time derivative ``[batch, 3]``. Sums and products one by one: the same bits on every machine."""
        x, y, z = h.unbind(1)
        spec = self.spec
        return torch.stack([(y - x) * spec.sigma, x * (spec.rho - z) - y, x * y - z * spec.beta], 1)


class Lorenz96(System):
    """Lorenz's ring of sites; the inputs displace the state."""

    spec: Lorenz96Spec
    start: Tensor

    def __init__(self, spec: Lorenz96Spec, inputs: int, outputs: int) -> None:
        super().__init__(spec, (inputs, outputs), (spec.sites, spec.sites), hidden=spec.sites)
        self.hold("start", (spec.sites,), lambda: spec.forcing + spec.spread * torch.randn(spec.sites))

    def initial_state(self, batch: int) -> Tensor:
        return self.start.expand(batch, -1)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        h = runge_kutta(self._flow, h + u, self.spec.dt, self.spec.substeps)
        return h if noise is None else h + noise

    def _flow(self, h: Tensor) -> Tensor:
        """Time derivative ``[batch, site]``."""
        return (h.roll(-1, 1) - h.roll(2, 1)) * h.roll(1, 1) - h + self.spec.forcing


def runge_kutta(flow: Callable[[Tensor], Tensor], h: Tensor, time: float, substeps: int) -> Tensor:
    """The state ``[batch, unit]`` after some time, by the classical method of fourth order."""
    dt = time / substeps
    for _ in range(substeps):
        first = flow(h)
        second = flow(h + first * (dt / 2))
        third = flow(h + second * (dt / 2))
        fourth = flow(h + third * dt)
        h = h + (first + (second + third) * 2 + fourth) * (dt / 6)
    return h


class Planar(System):
    """The bistable system, or a linear one whose average follows it."""

    spec: PlanarSpec
    bistable: Tensor
    linear: Tensor

    def __init__(self, spec: PlanarSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, (inputs, outputs), (3, 2), hidden=2)
        self.forced = spec.system != "bistable"
        self.hold("bistable", (3,), lambda: _uniform(*BISTABLE))
        if self.forced:
            self.hold("linear", (2, 2), _line if spec.system == "line" else _point)

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, 2), **({"reference": slice(2, 4)} if self.forced else {})}

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        dt, substeps = self.spec.dt, self.spec.substeps
        push, kick = u[:, :1], u[:, 1:] / math.sqrt(substeps)
        state, reference = h[:, :2], h[:, 2:]
        for _ in range(substeps):
            if self.forced:
                away = state - reference
                reference = reference + self._flow(reference, push) * dt
                state = reference + away + (away @ self.linear.T + kick) * dt
            else:
                state = state + (self._flow(state, push) + kick) * dt
        new = torch.cat([state, reference], 1)
        return new if noise is None else new + noise

    def _flow(self, state: Tensor, push: Tensor) -> Tensor:
        """Time derivative of the bistable system, ``[batch, 2]``."""
        x, y = state[:, :1], state[:, 1:]
        a, b, c = self.bistable
        return torch.cat([(a * x * x + b) * x, c * y], 1) + push


class RingAttractor(System):
    """Two shifted rings, left and right; with ``alpha`` below 1, what is left of them when cut open."""

    spec: RingAttractorSpec
    length: Tensor
    start: Tensor
    weights: Tensor

    def __init__(self, spec: RingAttractorSpec, inputs: int, outputs: int) -> None:
        n = spec.neurons
        super().__init__(spec, (inputs, outputs), (1 if inputs == 1 else 1 + 2 * n, n), hidden=2 * n)
        low, high = (int(share * n) for share in BUMP)
        self.hold("length", (1,), lambda: torch.randint(low, high, (1,)))
        # Weights follow from the length; 2 n² numbers a member are not worth storing.
        self.register_buffer("weights", torch.empty(n, 2 * n), persistent=False)
        self.register_load_state_dict_post_hook(_connect)
        if not self.length.is_meta:
            _connect(self)
        self.hold("start", (2 * n,), self._settled)

    def initial_state(self, batch: int) -> Tensor:
        return self.start.expand(batch, -1)

    def decode(self, exposed: Tensor) -> Tensor:
        right = exposed[..., self.spec.neurons :]
        return torch.relu(right) if self.spec.beta is None else torch.sigmoid(self.spec.beta * right)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        received, tuned = 1 + F.linear(torch.relu(h), self.weights), self.spec.gamma * u[:, :1]
        drive = torch.cat([received - tuned, received + tuned], 1)
        if u.shape[1] > 1:
            drive = drive + u[:, 1:]
        new = h + (drive - h) * (self.spec.dt / self.spec.tau)
        return new if noise is None else new + noise

    def _settled(self) -> Tensor:
        """A bump: from weak random activity, with one unit excited for some time in each population."""
        n = self.spec.neurons
        excited = torch.zeros(1, 2 * n)
        at = torch.randint(n, (1,))
        excited[:, at] = excited[:, n + at] = 1.0
        h, still = 0.1 * torch.rand(1, 2 * n) + excited, torch.zeros(1, 1)
        for t in range(self.spec.settle):
            h = self.step(h, still)
            if t < self.spec.pulses:
                h = h + excited
        return h[0]


def _uniform(*ranges: tuple[float, float]) -> Tensor:
    """A draw from each range."""
    low, high = torch.tensor(ranges, dtype=torch.float64).T
    return low + (high - low) * torch.rand(len(ranges), dtype=torch.float64)


def _line() -> Tensor:
    """A line attractor whose other direction decays; eigenvectors as in the authors' notebook."""
    half, root = 0.5, math.sqrt(0.5)
    return _uniform(LINE) * torch.tensor([[half, -root], [-half, root]], dtype=torch.float64)


def _point() -> Tensor:
    return torch.diag(_uniform(*POINT))


def _connect(ring: Any, _: object = None) -> None:
    """The weights ``[neurons, 2 neurons]`` onto either population, from the left and from the right one."""
    spec: RingAttractorSpec = ring.spec
    length = ring.length.double()
    around = spec.neurons + torch.floor((1 - spec.alpha) * length + 1e-9)  # units of the closed ring
    index = torch.arange(spec.neurons, device=length.device, dtype=length.dtype)
    apart = index - index[:, None]
    apart = torch.remainder(torch.cat([apart - spec.shift, apart + spec.shift], 1), around)
    wraps = torch.arange(-WRAPS, WRAPS + 1, device=length.device)[:, None, None]
    distance = (apart + wraps * around).abs()
    inhibition = spec.strength * (torch.cos(math.pi * distance / length) - 1) / 2
    ring.weights = torch.where(distance < 2 * length, inhibition, 0.0).sum(0).to(ring.length.dtype)
