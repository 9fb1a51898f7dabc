"""Which trials of a recording are looked at."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.specs.tasks.recorded import RecordedSpec
from zoo.tasks.base import Batch, Task


class Recorded(Task):
    """Trials by number, in the order of the recording: the input is the number, at every step.

    A seed chooses some of them; where more are asked for than there are, all are given, once.
    """

    spec: RecordedSpec

    def draw(self, spec: RecordedSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        chosen = torch.randperm(len(spec.numbers), generator=generator, device=device)[:examples]
        number = spec.numbers.start + chosen.sort().values
        x = number[:, None, None].expand(-1, spec.steps, 1).to(torch.get_default_dtype())
        y = x.new_zeros(len(x), spec.steps, spec.width)
        return Batch(x, y, torch.ones_like(x[..., 0]), torch.zeros(len(x)), {"number": number})

    def oracle(self, batch: Batch) -> Tensor:
        return torch.zeros_like(batch.y)
