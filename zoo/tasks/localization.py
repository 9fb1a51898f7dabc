"""Where am I? A place that is seen a direction at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.specs.tasks.localization import LocalizationSpec
from zoo.tasks.base import Batch, Task


class Localization(Task):
    """Say where the hidden place is. Latents: ``place`` ``[example, time, dimension]``."""

    independent = True
    errors = frozenset({"distance"})
    spec: LocalizationSpec

    def draw(self, spec: LocalizationSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        size = (examples, spec.steps + 1, spec.dimensions)
        drawn = torch.randn(size, generator=generator, device=generator.device)
        place, x = drawn[:, :1], drawn[:, 1:]
        y = place.expand(-1, spec.steps, -1)
        seen = torch.cat([x, (x * place).sum(-1, keepdim=True)], -1)
        return Batch(seen, y, torch.ones_like(x[..., 0]), torch.zeros(examples), {"place": y})

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``distance`` of the last answer from the place."""
        return {"distance": (y[:, -1] - batch.y[:, -1]).norm(dim=-1)}
