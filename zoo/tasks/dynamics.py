"""Pattern generation: a sine wave on command."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.dynamics import SineSpec
from zoo.tasks.base import Batch, Task


class Sine(Task):
    """Emit the sine wave whose frequency a constant input selects (Sussillo & Barak 2013).

    Latents, ``[example]``: ``condition``, the number of the cue, ``context``, where there are several, and
    ``frequency`` in Hz; ``[example, time]``: ``phase`` in radians.
    """

    independent = True
    spec: SineSpec

    def draw(self, spec: SineSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        which = torch.randint(len(spec.frequencies), (examples,), generator=generator, device=device)
        cue = (which + 1) / len(spec.frequencies) + 0.25
        seen, latents = [cue[:, None]], {"condition": which}
        if spec.contexts > 1:
            context = torch.randint(spec.contexts, (examples,), generator=generator, device=device)
            seen.append(F.one_hot(context, spec.contexts).to(cue))
            latents["context"] = context
            which = (which + context) % len(spec.frequencies)
        x = torch.cat(seen, 1)[:, None].expand(-1, spec.steps, -1).contiguous()
        frequency = torch.tensor(spec.frequencies, device=device)[which]
        phase = self._phase(spec, frequency, spec.steps)
        mask = torch.ones(examples, spec.steps, device=device)
        latents |= {"frequency": frequency, "phase": phase}
        return Batch(x, torch.sin(phase)[..., None], mask, torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        frequencies = torch.tensor(self.spec.frequencies, device=batch.x.device)
        which = ((batch.x[:, 0, 0] - 0.25) * len(frequencies)).round().long() - 1
        if self.spec.contexts > 1:
            which = (which + batch.x[:, 0, 1:].argmax(-1)) % len(frequencies)
        return torch.sin(self._phase(self.spec, frequencies[which], batch.x.shape[1]))[..., None]

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``r2``: share of the target's variance over time that the output explains."""
        error = ((y - batch.y) ** 2).mean((1, 2))
        return {"r2": 1 - error / batch.y.var(1, unbiased=False).mean(-1)}

    @staticmethod
    def _phase(spec: SineSpec, frequency: Tensor, steps: int) -> Tensor:
        """``[example, time]`` in radians; time starts at dt."""
        time = torch.arange(1, steps + 1, device=frequency.device) * spec.dt
        return 2 * math.pi * frequency[:, None] * time
