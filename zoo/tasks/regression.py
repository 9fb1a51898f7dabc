"""Functions of a point, to be learnt from examples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.specs.tasks.regression import ModularSinesSpec
from zoo.tasks.base import Batch, Task, derive_seed


class ModularSines(Task):
    """One map a channel. Latents: ``point``, the number of the point in the set, ``[example]``."""

    independent = True
    errors = frozenset({"rmse"})
    spec: ModularSinesSpec

    def draw(self, spec: ModularSinesSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        seeded = torch.Generator().manual_seed(derive_seed("points", spec.part))
        points = 2 * torch.rand(spec.points, spec.channels, generator=seeded) - 1
        points = points.sign() * spec.inner + points * (spec.outer - spec.inner)
        chosen = torch.randint(spec.points, (examples,), generator=generator, device=device)
        x = points.to(device)[chosen][:, None]
        return Batch(x, self._map(x), torch.ones_like(x[..., 0]), torch.zeros(examples), {"point": chosen})

    def oracle(self, batch: Batch) -> Tensor:
        return self._map(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``rmse``: root mean squared error over the channels."""
        return {"rmse": (y - batch.y).square().mean((1, 2)).sqrt()}

    def _map(self, x: Tensor) -> Tensor:
        if self.spec.shape == "linear":
            return x
        seeded = torch.Generator().manual_seed(derive_seed("maps", self.spec.maps))
        a, f, phase = torch.rand(3, self.spec.channels, generator=seeded).to(x)
        return (0.7 + 0.3 * a) * torch.sin((0.4 + 1.4 * f) * x + 2 * math.pi * phase)
