"""Particle filters: clouds of guesses at what is hidden, moved by each observation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from zoo.models.systems import System
from zoo.specs.models.filters import BootstrapFilterSpec, FilterSpec, FlowFilterSpec

AGAIN = 1000
"""Steps after which the random numbers of a filter begin again."""


class Filter(System):
    """A cloud of ``n`` guesses in ``m`` dimensions, side by side in the state. A new one gives ``moved``."""

    spec: FilterSpec
    start: Tensor

    def __init__(self, spec: FilterSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, (inputs, outputs), (outputs + 1, outputs), hidden=spec.particles * outputs)
        self.hold(
            "start", (spec.particles, outputs), lambda: spec.spread * torch.randn(spec.particles, outputs)
        )

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"particles": slice(0, self.hidden)}

    def cloud(self, particles: Tensor) -> Tensor:
        """Guesses ``[…, particle, dimension]`` from that part of the state."""
        return particles.unflatten(-1, (self.spec.particles, self.outputs))

    def decode(self, exposed: Tensor) -> Tensor:
        return self.cloud(exposed).mean(-2)

    def initial_state(self, batch: int) -> Tensor:
        return self.start.flatten().expand(batch, -1)


class FlowFilter(Filter):
    """Guesses that flow down their loss, and past each other."""

    spec: FlowFilterSpec

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        spec, s = self.spec, self.cloud(h)
        direction = u[:, None, :-1]
        residual = (s * direction).sum(-1) - u[:, -1:]
        new = s - spec.rate * residual[..., None] * direction
        if spec.transport != "none":
            new = new - self._past(s, 0.5 * residual.square())
        new = new.flatten(1)
        return new if noise is None else new + noise

    def _past(self, s: Tensor, loss: Tensor) -> Tensor:
        """How guesses ``[batch, particle, dimension]`` move past each other, by their losses."""
        n, m = s.shape[-2:]
        green = math.exp(math.lgamma(m / 2 + 1) - math.log(m * (m - 2)) - m / 2 * math.log(math.pi))
        near = (self.spec.rate * n / green) ** (1 / (2 - m))
        apart = s[:, :, None] - s[:, None]
        itself = torch.eye(
            n, dtype=s.dtype, device=s.device
        )  # at no distance from itself, where a root bends
        weight = ((apart.square().sum(-1) + itself).sqrt() + near) ** -m * (1 - itself)
        excess = loss - loss.mean(1, keepdim=True)
        if self.spec.transport == "own":
            moved = (apart * weight[..., None]).sum(2) * excess[..., None]
        else:
            moved = -(apart * (weight * excess[:, None])[..., None]).sum(2)
        return green * (m - 2) / n * moved


class BootstrapFilter(Filter):
    """Guesses that are jittered, weighed and drawn anew. The last number of the state counts the steps."""

    surrogate = True
    spec: BootstrapFilterSpec
    seed: Tensor

    def __init__(self, spec: BootstrapFilterSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        seed = torch.empty((), dtype=torch.int64)
        self.register_buffer("seed", seed if seed.is_meta else torch.randint(2**62, ()))
        self._drawn: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    @property
    def parts(self) -> Mapping[str, slice]:
        return {**super().parts, "time": slice(self.hidden, self.hidden + 1)}

    def initial_state(self, batch: int) -> Tensor:
        return torch.cat([self.start.flatten(), self.start.new_zeros(1)]).expand(batch, -1)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        time = h[:, -1:]
        at = time[:, 0].detach().round().remainder(AGAIN).long()
        jitter, uniform = (each[at] for each in self._numbers(h))
        s = self.cloud(h[:, :-1]) + self.spec.jitter * jitter
        residual = (s * u[:, None, :-1]).sum(-1) - u[:, -1:]
        share = torch.softmax(-0.5 * residual.square(), -1).cumsum(-1)
        # the first whose cumulative share is not below each of the random numbers
        chosen = (share[:, None] < uniform[..., None]).sum(-1).clamp_max(self.spec.particles - 1)
        new = s.gather(1, chosen[..., None].expand_as(s)).flatten(1)
        new = torch.cat([new, time + 1], 1)
        return new if noise is None else new + noise

    def _numbers(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Of all steps: normal ``[step, particle, dimension]``, and uniform ``[step, particle]``."""
        key = (like.dtype, like.device)
        if key not in self._drawn:
            # by numpy, as vmap lets torch draw nothing
            generator = np.random.Generator(np.random.PCG64(int(self.seed)))
            n = self.spec.particles
            normal = torch.from_numpy(generator.standard_normal((AGAIN, n, self.outputs), dtype=np.float32))
            uniform = torch.from_numpy(generator.random((AGAIN, n), dtype=np.float32))
            self._drawn[key] = normal.to(like), uniform.to(like)
        return self._drawn[key]
