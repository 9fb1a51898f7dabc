"""Functions of a point, to be learnt from examples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.specs.tasks.regression import LinearMapSpec, ModularSinesSpec
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


class LinearMap(Task):
    """Vectors and their images. Nothing is latent."""

    errors = frozenset({"rmse"})
    spec: LinearMapSpec

    def draw(self, spec: LinearMapSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, width = generator.device, spec.width
        shape = (-(-examples // width), width, width)
        frames = torch.linalg.qr(torch.randn(shape, generator=generator, device=device))[0]
        x = math.sqrt(width) * frames.flatten(0, 1)[:examples, None]
        return Batch(x, self.oracle_of(x), torch.ones_like(x[..., 0]), torch.zeros(examples), {})

    def oracle(self, batch: Batch) -> Tensor:
        return self.oracle_of(batch.x)

    def oracle_of(self, x: Tensor) -> Tensor:
        """The images ``[…, width]`` of vectors."""
        left, strengths, right = (part.to(x) for part in self.factors())
        return x @ right * strengths @ left.mT

    def factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """U ``[width, width]``, s ``[width]`` with zeros at the end, and V, in double precision."""
        spec = self.spec
        seeded = torch.Generator().manual_seed(derive_seed("linear-map", spec.maps))
        drawn = torch.randn(2, spec.width, spec.width, generator=seeded, dtype=torch.float64)
        left, right = torch.linalg.qr(drawn)[0]
        strengths = torch.tensor(spec.strengths, dtype=torch.float64)
        return left, torch.nn.functional.pad(strengths, (0, spec.width - len(strengths))), right

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``rmse``: root mean squared error over the outputs."""
        return {"rmse": (y - batch.y).square().mean((1, 2)).sqrt()}
