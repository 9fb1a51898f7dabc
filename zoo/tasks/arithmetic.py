"""Arithmetic on whole numbers, of which some sums are shown and others held out."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.specs.tasks.arithmetic import ModularAdditionSpec
from zoo.tasks.base import Batch, Task, derive_seed


class ModularAddition(Task):
    """Add two numbers. Latents, ``[example]``: ``first``, ``second``, and ``sum`` modulo p."""

    spec: ModularAdditionSpec

    def draw(self, spec: ModularAdditionSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, p = generator.device, spec.modulus
        pairs = _pairs(p, spec.count, spec.draw, spec.part).to(device)
        chosen = torch.randperm(len(pairs), generator=generator, device=device)[:examples]
        if spec.part != "shown":
            chosen = chosen.sort().values
        number = pairs[chosen]
        first, second = number // p, number % p
        total = (first + second) % p
        x = torch.cat([F.one_hot(first, p), F.one_hot(second, p)], 1)[:, None].float()
        y = F.one_hot(total, p)[:, None].float()
        latents = {"first": first, "second": second, "sum": total}
        return Batch(x, y, torch.ones_like(x[..., 0]), number, latents)

    def oracle(self, batch: Batch) -> Tensor:
        first, second = batch.x.unflatten(2, (2, -1)).argmax(3).unbind(2)
        return F.one_hot((first + second) % self.spec.modulus, self.spec.modulus).to(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the largest output is that of the sum."""
        return {"accuracy": (y[:, 0].argmax(-1) == batch.y[:, 0].argmax(-1)).to(y.dtype)}


@cache
def _pairs(modulus: int, count: int, seed: int, part: str) -> Tensor:
    """Numbers a p + b of the pairs of a part, ascending."""
    generator = torch.Generator().manual_seed(derive_seed("pairs", seed))
    order = torch.randperm(modulus**2, generator=generator)
    return (order[:count] if part == "shown" else order[count:]).sort().values
