"""Continuous attractors that are specified exactly: a ring of head direction, and a torus of grid cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import SpecError
from zoo.models.systems import System, runge_kutta
from zoo.specs.models.attractors import BumpSpec, GridAttractorSpec, HeadDirectionAttractorSpec

ROUNDS, FLAT = 2000, 1e-3
"""Rounds in which the shape of the bump is found, and the amplitude below which there is none."""


class Bump(System):
    """Base of both: a bump of activity over units that have phases ``[unit, wave]``.

    W is the sum over waves of strength × cos of the difference of phases, less the inhibition, divided by the
    number of units. So the state at rest is ``level`` + ``amplitude`` × Σ cos(phase - that of the bump).
    """

    spec: BumpSpec
    waves: Tensor
    shape: Tensor

    def __init__(self, spec: BumpSpec, given: tuple[int, int], own: tuple[int, int], phases: Tensor) -> None:
        units = len(phases)
        super().__init__(spec, given, own if given[1] != units else (own[0], units), hidden=units)
        self._exact = {"waves": torch.cat([phases.cos(), phases.sin()], 1), "shape": _resting(spec, phases)}
        for name, value in self._exact.items():
            self.hold(name, tuple(value.shape), partial(torch.clone, value))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """In another type, or elsewhere: with values that are exact there, not rounded before."""
        super()._apply(fn, recurse)
        for name, value in self._exact.items():
            held = self.get_buffer(name)
            if not held.is_meta:
                held.copy_(value)
        return self

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        spec = self.spec
        speed = self.moved(u) / spec.dt * spec.tau  # of each phase, per time constant
        h = self.cued(h, u)

        def flow(h: Tensor) -> Tensor:
            rates = torch.sigmoid(h)
            cosine, sine = (rates @ self.waves / self.hidden).chunk(2, 1)
            around = torch.cat([cosine - speed * sine, sine + speed * cosine], 1)
            level = spec.bias - spec.inhibition * rates.mean(1, keepdim=True)
            return (level + spec.strength * F.linear(around, self.waves) - h) / spec.tau

        new = runge_kutta(flow, h, spec.dt, spec.substeps)
        return new if noise is None else new + noise

    def moved(self, u: Tensor) -> Tensor:
        """How far the input ``[batch, inputs]`` moves each phase ``[batch, wave]``, in radians."""
        raise NotImplementedError(f"{type(self).__name__} must say what its inputs move")

    def cued(self, h: Tensor, u: Tensor) -> Tensor:
        """The state once the input has shown where to begin."""
        return h

    def bump(self, phases: Tensor) -> Tensor:
        """States ``[batch, unit]`` at rest with a bump at phases ``[batch, wave]`` in radians."""
        level, amplitude = self.shape
        return level + amplitude * torch.cat([phases.cos(), phases.sin()], 1) @ self.waves.T

    def initial_state(self, batch: int) -> Tensor:
        return self.bump(self.shape.new_zeros(batch, self.waves.shape[1] // 2))

    def decode(self, exposed: Tensor) -> Tensor:
        rates = torch.sigmoid(exposed)
        return rates if self.outputs == self.hidden else self.read(rates @ self.waves / self.hidden)

    def read(self, components: Tensor) -> Tensor:
        """The output from the cosine and sine components of the rates ``[…, 2 × wave]``."""
        raise NotImplementedError(f"{type(self).__name__} must say what its bump means")


class HeadDirectionAttractor(Bump):
    """A ring: one phase, the direction."""

    spec: HeadDirectionAttractorSpec

    def __init__(self, spec: HeadDirectionAttractorSpec, inputs: int, outputs: int) -> None:
        around = torch.arange(spec.neurons, device="cpu", dtype=torch.float64) / spec.neurons
        super().__init__(spec, (inputs, outputs), (1 if inputs == 1 else 3, 2), 2 * math.pi * around[:, None])

    def moved(self, u: Tensor) -> Tensor:
        return u[:, :1]

    def cued(self, h: Tensor, u: Tensor) -> Tensor:
        return h if u.shape[1] == 1 else h + self.shape[1] * F.linear(u[:, 1:], self.waves)

    def initial_state(self, batch: int) -> Tensor:
        if self.inputs == 1:
            return super().initial_state(batch)
        return self.shape[:1].expand(batch, self.hidden)

    def read(self, components: Tensor) -> Tensor:
        return components / components.norm(dim=-1, keepdim=True).clamp_min(1e-12)


class GridAttractor(Bump):
    """A torus: three phases whose sum is zero, two of which are free."""

    spec: GridAttractorSpec

    def __init__(self, spec: GridAttractorSpec, inputs: int, outputs: int) -> None:
        axis = 2 * math.pi * torch.arange(spec.side, device="cpu", dtype=torch.float64) / spec.side
        first, second = (each.flatten() for each in torch.meshgrid(axis, axis, indexing="ij"))
        phases = torch.stack([first, second, -first - second], 1)
        super().__init__(spec, (inputs, outputs), (2, 2), phases)

    @property
    def wave_vectors(self) -> Tensor:
        """``[wave, 2]`` in radians per metre, 120° apart."""
        third = 2 * math.pi / 3 * torch.arange(3, dtype=self.shape.dtype, device=self.shape.device)
        angles = self.spec.orientation + third
        return 4 * math.pi / (math.sqrt(3) * self.spec.spacing) * torch.stack([angles.cos(), angles.sin()], 1)

    def moved(self, u: Tensor) -> Tensor:
        return F.linear(u, self.wave_vectors)

    def read(self, components: Tensor) -> Tensor:
        cosine, sine = components.chunk(2, -1)
        phases = torch.atan2(sine, cosine)[..., :2]
        turns = torch.cartesian_prod(*2 * [torch.arange(-1, 2, dtype=phases.dtype, device=phases.device)])
        same = (phases[..., None, :] + 2 * math.pi * turns) @ torch.linalg.inv(self.wave_vectors[:2]).T
        nearest = same.detach().square().sum(-1).argmin(-1)[..., None, None]
        return same.gather(-2, nearest.expand(*nearest.shape[:-1], 2))[..., 0, :]


def _resting(spec: BumpSpec, phases: Tensor) -> Tensor:
    """Level and amplitude of the state at rest with a bump at phase zero, by iteration.

    Raises :class:`SpecError` where activity spreads evenly instead.
    """
    waves = phases.cos()
    level, amplitude = phases.new_tensor(spec.bias), phases.new_tensor(5.0)
    for _ in range(ROUNDS):
        before = amplitude
        rates = torch.sigmoid(level + amplitude * waves.sum(1))
        level = (level + spec.bias - spec.inhibition * rates.mean()) / 2
        amplitude = (amplitude + spec.strength * (rates[:, None] * waves).mean()) / 2
        if torch.equal(amplitude, before):
            break
    if float(amplitude) < FLAT:
        raise SpecError(
            f"no bump forms in the model {spec.kind!r}: its activity spreads evenly.",
            f"Raise 'strength' above {spec.strength:g}, or bring 'bias' nearer to 0.",
        )
    return torch.stack([level, amplitude])
