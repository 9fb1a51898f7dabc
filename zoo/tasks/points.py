"""Functions of many numbers, each example at a new point."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.specs.tasks.points import SineSumSpec
from zoo.tasks.base import Batch, Task


class SineSum(Task):
    """A sum of sines of all coordinates, of variance that does not grow with their number. No latents."""

    independent = True
    errors = frozenset({"rmse"})
    spec: SineSumSpec

    def draw(self, spec: SineSumSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        shape, device = (examples, 1, spec.dimensions), generator.device
        x = spec.reach * (2 * torch.rand(shape, generator=generator, device=device) - 1)
        return Batch(
            x, _sum(x), torch.ones(shape[:2], device=device), torch.zeros(examples, device=device), {}
        )

    def oracle(self, batch: Batch) -> Tensor:
        return _sum(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``rmse``: root mean squared error."""
        return {"rmse": (y - batch.y).square().mean((1, 2)).sqrt()}


def _sum(x: Tensor) -> Tensor:
    return x.sin().sum(-1, keepdim=True) / math.sqrt(x.shape[-1])
