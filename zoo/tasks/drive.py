"""What is fed to a simulated system, and a reach with delayed feedback."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.drive import DriveSpec, ReachSpec
from zoo.tasks.base import Batch, Task, derive_seed
from zoo.tasks.drawing import autoregression


class Drive(Task):
    """Levels that may flip, noise, displacements and disturbances; nothing is asked for.

    Latents: ``condition``, the number of the level, ``[example]``; and ``signal``, the input without the
    disturbances, which is all of it that an experimenter would know, ``[example, time, channel]``.
    """

    spec: DriveSpec

    def draw(self, spec: DriveSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        generator = torch.Generator(device).manual_seed(derive_seed(generator.initial_seed(), spec.draw))
        condition = torch.arange(examples, device=device) % len(spec.levels)
        level = torch.tensor(spec.levels, device=device)[condition, None, None]
        if spec.dwell is not None:
            jumps = _jumps(spec.dwell, examples, spec.steps, generator)
            level = level * (1 - 2 * (jumps % 2))[..., None]
        noise = torch.randn(examples, spec.steps, spec.inputs, generator=generator, device=device)
        noise[..., : spec.channels] = spec.noise * autoregression(noise[..., : spec.channels], spec.memory)
        noise[..., spec.channels :] *= spec.disturbance
        pulse = torch.randn(examples, spec.channels, generator=generator, device=device)
        noise[:, 0, : spec.channels] += spec.pulse * pulse
        if spec.balanced:
            noise = noise - _group_means(noise, condition, len(spec.levels))
        x = noise + F.pad(level.expand(-1, spec.steps, spec.channels), (0, spec.disturbances))
        y = x.new_zeros(examples, spec.steps, spec.width)
        latents = {"condition": condition, "signal": x[..., : spec.channels]}
        return Batch(x, y, torch.ones_like(x[..., 0]), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return torch.zeros_like(batch.y)


class Reach(Task):
    """Follow a jumping target like a critically damped point mass.

    Latents, each ``[example, time, 2]``: ``position``, ``velocity`` and ``force`` (per mass) of the mass.
    """

    independent = True
    spec: ReachSpec

    def draw(self, spec: ReachSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        jumps = _jumps(spec.dwell, examples, spec.steps, generator)
        places = 2 * torch.rand(examples, spec.steps, 2, generator=generator, device=device) - 1
        target = places.gather(1, jumps[..., None].expand(-1, -1, 2))
        position, velocity, force = self._follow(spec, target)
        relative = target - F.pad(position, (0, 0, 1, 0))[:, :-1]  # to where it is before this step
        seen = F.pad(relative, (0, 0, spec.delay, 0))[:, : spec.steps]
        latents = {"position": position, "velocity": velocity, "force": force}
        mask = torch.ones(examples, spec.steps, device=device)
        return Batch(torch.cat([target, seen], -1), position, mask, torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return self._follow(self.spec, batch.x[..., :2])[0]

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``r2``: share of the variance of the position over time that the output explains."""
        error = ((y - batch.y) ** 2).mean((1, 2))
        return {"r2": 1 - error / batch.y.var(1, unbiased=False).mean(-1)}

    @staticmethod
    def _follow(spec: ReachSpec, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Position, velocity and force after each step, from rest at zero; exact for a constant target."""
        rate, decay = spec.omega, math.exp(-spec.omega * spec.dt)
        position, velocity = torch.zeros_like(target[:, 0]), torch.zeros_like(target[:, 0])
        found = []
        for goal in target.unbind(1):
            away = position - goal
            position = goal + (away + spec.dt * (velocity + rate * away)) * decay
            velocity = (velocity - spec.dt * rate * (velocity + rate * away)) * decay
            found.append((position, velocity, rate * rate * (goal - position) - 2 * rate * velocity))
        position, velocity, force = (torch.stack(values, 1) for values in zip(*found, strict=True))
        return position, velocity, force


def _jumps(dwell: tuple[int, int], examples: int, steps: int, generator: torch.Generator) -> Tensor:
    """How many jumps there were up to each step, ``[example, time]``: one after each random dwell time."""
    most = steps // dwell[0] + 1
    device = generator.device
    waits = torch.randint(dwell[0], dwell[1] + 1, (examples, most), generator=generator, device=device)
    time = torch.arange(steps, device=device).expand(examples, -1).contiguous()
    return torch.searchsorted(waits.cumsum(1), time, right=True)


def _group_means(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """The mean over the examples of the same group, for each example."""
    count = torch.bincount(group, minlength=groups).clamp_min(1)
    total = values.new_zeros(groups, *values.shape[1:]).index_add(0, group, values)
    return (total / count[:, None, None])[group]
