"""Samplers: the reverse process of denoising diffusion is a step, and its path a trajectory.

The state is what is sampled, and how many steps were done. Noise that the process begins with, or adds
after each step, is an input, so that a run follows from its trials. Formulas and schedules are those of Ho
et al. 2020 and of Song et al. 2021.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.dynamics import Dynamics
from zoo.specs.models.diffusion import DiffusionSpec, MLPDiffusionSpec


class Reverse(NamedTuple):
    """The reverse process, each ``[steps + 1]``: what holds when so many steps were done."""

    level: Tensor
    """At which it is, from T to 0."""
    kept: Tensor
    """ᾱ there: the share of the variance that is not noise."""
    added: Tensor
    """Deviation of the noise that comes in then."""


class Diffusion(Dynamics):
    """The parts of the state are ``h``, what is sampled, and ``done``, steps. A new one gives ``predict``."""

    spec: DiffusionSpec

    @abstractmethod
    def predict(self, x: Tensor, level: Tensor, condition: Tensor, known: Tensor | None = None) -> Tensor:
        """What ``spec.predicts`` says of ``x`` ``[batch, outputs]`` at ``level`` ``[batch]``, 1 to T, under
        ``condition`` ``[batch, numbers]``; where ``known`` ``[batch]`` is 0, without it."""

    def estimate(self, x: Tensor, level: Tensor, condition: Tensor, known: Tensor | None = None) -> Tensor:
        """The noise in ``x``."""
        found = self.predict(x, level, condition, known)
        if self.spec.predicts == "noise":
            return found
        kept = self.kept(x)[level][:, None]
        return (1 - kept).sqrt() * x + kept.sqrt() * found

    def target(self, clean: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
        """What is to be predicted of √ᾱ clean + √(1-ᾱ) noise, ``[batch, outputs]``, ᾱ being ``kept``."""
        if self.spec.predicts == "noise":
            return noise
        return kept.sqrt() * noise - (1 - kept).sqrt() * clean

    @property
    def condition(self) -> int:
        """Width of the condition."""
        return self.inputs - self.outputs

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.outputs), "done": slice(self.outputs, self.outputs + 1)}

    def decode(self, exposed: Tensor) -> Tensor:
        return exposed

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        steps, now = self.spec.steps, self.reverse(h)
        at = h[:, -1].detach().round().clamp(0, steps).long()
        after = (at + 1).clamp_max(steps)
        condition, fresh = u.split((self.condition, self.outputs), 1)
        x = h[:, :-1] + now.added[at, None] * fresh
        kept, then = now.kept[at, None], now.kept[after, None]
        estimate = self.guided(x, now.level[at], condition)
        clean = (x - (1 - kept).sqrt() * estimate) / kept.sqrt()
        if self.spec.clip is not None:
            clean = clean.clamp(-self.spec.clip, self.spec.clip)
            estimate = (x - kept.sqrt() * clean) / (1 - kept).clamp_min(1e-12).sqrt()
        left = (1 - then - now.added[after, None].square()).clamp_min(0)
        moved = then.sqrt() * clean + left.sqrt() * estimate
        new = torch.where((at < steps)[:, None], moved, x)
        new = torch.cat([new, (h[:, -1:] + 1).clamp_max(steps)], 1)
        return new if noise is None else new + noise

    def guided(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """The estimate that guidance makes of those with and without condition; sites are of the first."""
        found, strength = self.estimate(x, level, condition), self.spec.guidance
        if strength == 1:
            return found
        under_way, self._pass = self._pass, None
        try:
            without = self.estimate(x, level, condition, x.new_zeros(len(x)))
        finally:
            self._pass = under_way
        return without + strength * (found - without)

    def kept(self, like: Tensor) -> Tensor:
        """ᾱ ``[levels + 1]``, from that of level 0, which is 1."""
        beta = torch.tensor([0.0, *self.spec.beta()], dtype=torch.float64)
        return torch.cumprod(1 - beta, 0).to(like.device, like.dtype)

    def reverse(self, like: Tensor) -> Reverse:
        spec = self.spec
        levels = [round(spec.levels * (1 - k / spec.steps)) for k in range(spec.steps + 1)]
        beta = torch.tensor([0.0, *spec.beta()], dtype=torch.float64)
        kept = torch.cumprod(1 - beta, 0)[levels]
        before, after = kept[:-1], kept[1:]
        # eq. 16 of Song et al.: the deviation after each step, which comes in with the next input
        added = spec.eta * ((1 - after) / (1 - before) * (1 - before / after)).sqrt()
        added = torch.cat([added.new_ones(1), added])
        level = torch.tensor(levels, device=like.device)
        return Reverse(level, kept.to(like.device, like.dtype), added.to(like.device, like.dtype))

    def encoded(self, level: Tensor, condition: Tensor, known: Tensor | None) -> Tensor:
        """Encodings of the level and of each number of the condition, ``[batch, features]``; without the
        condition, zeros in its place."""
        spec = self.spec
        time = waves(level[:, None].to(condition.dtype), spec.embedding, (4.0, 4.0 * spec.levels))
        asked = waves(condition, spec.embedding, spec.wavelengths)
        return torch.cat([time, asked if known is None else asked * known[:, None]], 1)

    @property
    def features(self) -> int:
        """Width of the encodings."""
        return self.spec.embedding * (1 + self.condition)


class MLPDiffusion(Diffusion):
    """A perceptron that sees what is sampled beside the encodings."""

    vectorises = True
    spec: MLPDiffusionSpec

    def __init__(self, spec: MLPDiffusionSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        widths = (outputs + self.features, *spec.hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, spec.hidden, strict=False))
        self.output = nn.Linear(widths[-1], outputs)

    @property
    def inner_sites(self) -> tuple[str, ...]:
        return ("latent",)

    def predict(self, x: Tensor, level: Tensor, condition: Tensor, known: Tensor | None = None) -> Tensor:
        value = torch.cat([x, self.encoded(level, condition, known)], 1)
        for layer in self.layers:
            value = F.silu(layer(value))
        return self.output(self.at("latent", value))


def waves(values: Tensor, width: int, lengths: tuple[float, float]) -> Tensor:
    """Sines and cosines ``[batch, number × width]`` of numbers ``[batch, number]``, of wavelengths between
    the shortest and the longest, evenly on a logarithmic scale."""
    exponent = torch.linspace(0, 1, width // 2, device=values.device, dtype=values.dtype)
    length = lengths[0] * (lengths[1] / lengths[0]) ** exponent
    angle = 2 * math.pi * values[..., None] / length
    return torch.cat([angle.sin(), angle.cos()], -1).flatten(1)
