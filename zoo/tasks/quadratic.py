"""Losses whose landscape is known: a quadratic of the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.specs.tasks.quadratic import QuadraticSpec
from zoo.tasks.base import Batch, Task


class Quadratic(Task):
    """One mode an output; every example asks for the same."""

    independent = True
    spec: QuadraticSpec

    def draw(self, spec: QuadraticSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        x = torch.randn(examples, 1, 1, generator=generator, device=device)
        y = spread(spec, "optimum").to(x).expand(examples, 1, -1)
        return Batch(x, y, torch.ones_like(x[..., 0]), torch.zeros(examples), {})

    def oracle(self, batch: Batch) -> Tensor:
        return spread(self.spec, "optimum").to(batch.x).expand(len(batch.x), 1, -1)

    def losses(self, y: Tensor, batch: Batch, kind: str | None = None) -> Tensor:
        """½ Σ λ (y - c)², ``[example]``. Raises :class:`SpecError` for another kind than ``mse``."""
        if kind not in (None, "mse"):
            raise SpecError(f"learner.loss: the task 'quadratic' is one, and has no {kind}. Leave it out.")
        apart = (y - batch.y).square() * spread(self.spec, "curvature").to(y)
        return 0.5 * (apart.sum(-1) * batch.mask).sum(1) / batch.mask.sum(1)


def spread(spec: QuadraticSpec, field: str) -> Tensor:
    """A number of each output's mode, ``[output]``, in double precision."""
    return torch.cat(
        [torch.full((mode.count,), getattr(mode, field), dtype=torch.float64) for mode in spec.modes]
    )
