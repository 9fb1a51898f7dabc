"""Memory tasks: the n-bit flip-flop."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.specs.tasks.memory import FlipFlopSpec
from zoo.tasks.base import Batch, Later, Task


class FlipFlop(Task):
    """Hold the sign of the last pulse on each channel (Sussillo & Barak 2013)."""

    independent = True
    spec: FlipFlopSpec

    def draw(self, spec: FlipFlopSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        shape, device = (examples, spec.steps, spec.bits), generator.device
        fires = torch.rand(shape, generator=generator, device=device).lt_(spec.pulse_probability)
        fires[:, 0] = 1  # so that the target is defined from the first step
        sign = torch.rand(shape, generator=generator, device=device).lt_(0.5).mul_(2).sub_(1)
        x = sign.mul_(fires)
        y = _latest_pulse(x)
        latents = Later(state=lambda: ((y > 0) * 2 ** torch.arange(spec.bits, device=device)).sum(-1))
        return Batch(x, y, torch.ones(shape[:2], device=device), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return _latest_pulse(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``sign_accuracy``: share of (time, bit) entries whose sign is right."""
        right = (torch.sign(y) == torch.sign(batch.y)).to(y.dtype).mean(-1)
        return {"sign_accuracy": (right * batch.mask).sum(1) / batch.mask.sum(1)}


def _latest_pulse(x: Tensor) -> Tensor:
    """Sign of the latest non-zero entry along time, ``[example, time, bit]``; 0 where there is none yet."""
    # Twice the number of the step, and one more for a pulse upwards: the largest so far is the latest.
    number = torch.arange(2, 2 * x.shape[1] + 1, 2, device=x.device, dtype=x.dtype)
    number = number[:, None].expand(x.shape[1:]).contiguous()
    sign = x.sign()
    code = sign.abs().mul_(number).add_(sign.clamp_min_(0)).cummax(1).values
    return (code * 0.5).frac_().mul_(4).sub_(1).mul_(code.clamp_max_(1))
