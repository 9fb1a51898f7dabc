"""Memory tasks: the n-bit flip-flop."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.specs.tasks.memory import FlipFlopSpec
from zoo.tasks.base import Batch, Task


class FlipFlop(Task):
    """Hold the sign of the last pulse on each channel (Sussillo & Barak 2013)."""

    independent = True
    spec: FlipFlopSpec

    def draw(self, spec: FlipFlopSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        shape = (examples, spec.steps, spec.bits)
        device = generator.device
        fires = torch.rand(shape, generator=generator, device=device) < spec.pulse_probability
        fires[:, 0] = True  # so that the target is defined from the first step
        up = torch.rand(shape, generator=generator, device=device) < 0.5
        x = torch.where(up, 1.0, -1.0) * fires
        y = _latest_pulse(x)
        weights = 2 ** torch.arange(spec.bits, device=device)
        latents = {"state": ((y > 0) * weights).sum(-1)}
        return Batch(x, y, torch.ones(shape[:2], device=device), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return _latest_pulse(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``sign_accuracy``: share of (time, bit) entries whose sign is right."""
        right = (torch.sign(y) == torch.sign(batch.y)).to(y.dtype).mean(-1)
        return {"sign_accuracy": (right * batch.mask).sum(1) / batch.mask.sum(1)}


def _latest_pulse(x: Tensor) -> Tensor:
    """Sign of the latest non-zero entry along time, ``[example, time, bit]``."""
    time = torch.arange(x.shape[1], device=x.device)[None, :, None]
    latest = torch.where(x != 0, time, torch.zeros_like(time)).cummax(1).values
    return x.gather(1, latest)
