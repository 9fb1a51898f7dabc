"""Spiking networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from zoo.models.cells import Cell
from zoo.models.spike_scan import Neuron, Spikes, SpikeScan
from zoo.specs.models.spiking import LIFSpec


class LIF(Cell):
    """Leaky integrate-and-fire units; noise is added to what they receive."""

    surrogate: ClassVar[bool] = True
    spec: LIFSpec

    @property
    def parts(self) -> Mapping[str, slice]:
        n, names = self.spec.hidden, ("trace", "v", "current", "spikes", "refractory")
        every = {name: slice(k * n, k * n + n) for k, name in enumerate(names)}
        if not self.spec.refractory:
            del every["refractory"]
        areas = {} if self.constraint is None else self.constraint.areas
        return {"trace": every.pop("trace"), **areas, **every}

    @property
    def neuron(self) -> Neuron:
        """What each unit does."""
        spec = self.spec
        return Neuron(
            *spec.decays,
            spec.threshold,
            spec.reset == "zero",
            spec.refractory,
            spec.surrogate,
            spec.slope,
            spec.dampening,
        )

    def noise(self, batch: int, steps: int, generator: torch.Generator | None = None) -> Tensor | None:
        if not self.spec.noise:
            return None
        shape, like = (batch, steps, self.spec.hidden), self.weight
        return self.spec.noise * torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        drive = self.drive(u)
        return self.advance(h, drive if noise is None else drive + self._pushed(noise), self.recurrent)

    def advance(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        neuron, n = self.neuron, self.spec.hidden
        trace, v, current, spikes, *left = h.split(n, 1)
        current = neuron.alpha * current + (1 - neuron.alpha) * (drive + spikes @ weight.T)
        reset = spikes.detach()
        v = neuron.beta * (v * (1 - reset) if neuron.to_zero else v) + current
        if not neuron.to_zero:
            v = v - neuron.threshold * reset
        able = (left[0] <= 0).to(v.dtype) if left else None
        spikes = Spikes.apply(v, able, neuron)
        trace = neuron.kappa * trace + (1 - neuron.kappa) * spikes
        if left:
            counted = (left[0] - 1).clamp_min(0)
            left = [torch.where(spikes.detach() > 0, float(neuron.refractory), counted)]
        return torch.cat([trace, v, current, spikes, *left], 1)

    def unroll(self, x: Tensor) -> Tensor:
        return self._scanned(self.drive(x.transpose(0, 1)))

    def unroll_noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        return self._scanned(self.drive(x.transpose(0, 1)) + self._pushed(noise).transpose(0, 1))

    def _scanned(self, drive: Tensor) -> Tensor:
        made = SpikeScan.apply(drive, self.recurrent, self.neuron)
        trace: Tensor = made[0]
        return trace.transpose(0, 1)

    def _pushed(self, noise: Tensor) -> Tensor:
        """Of noise ``[…, units]``, what is for the units and not for the rest of their state."""
        return noise[..., : self.spec.hidden]
