"""Linear functions of the inputs of the past."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.specs.tasks.filters import DelayedSumSpec, LinearTeacherSpec
from zoo.tasks.base import Batch, Task, derive_seed


class LinearTeacher(Task):
    """What a linear recurrent network makes of white noise."""

    independent = True
    errors = frozenset({"unexplained"})
    spec: LinearTeacherSpec

    def draw(self, spec: LinearTeacherSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device = generator.device
        x = torch.randn((examples, spec.steps, spec.inputs), generator=generator, device=device)
        mask = torch.ones((examples, spec.steps), device=device)
        if spec.when == "last":
            mask[:, :-1] = 0
        return Batch(x, self._taught(x), mask, torch.zeros(examples), {})

    def oracle(self, batch: Batch) -> Tensor:
        return self._taught(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``unexplained``: squared error at the steps that count, in units of the expected square of the
        target."""
        impulse = self._strengths(y.shape[1])
        expected = impulse.square().sum(1).cumsum(0).to(y)
        counted = (batch.mask * expected).sum(1)
        return {"unexplained": ((y - batch.y).square().sum(-1) * batch.mask).sum(1) / counted}

    def _strengths(self, steps: int) -> Tensor:
        """gain · mode^k, ``[steps, modes]``."""
        modes = torch.tensor(self.spec.modes, dtype=torch.float64)
        gains = torch.tensor(self.spec.gains or [1.0] * len(modes), dtype=torch.float64)
        return gains * modes ** torch.arange(steps, dtype=torch.float64)[:, None]

    def rotations(self) -> tuple[Tensor, Tensor]:
        """P and Q, ``[channels, modes]``."""
        n = len(self.spec.modes)
        if self.spec.rotation is None:
            return torch.eye(n, dtype=torch.float64), torch.eye(n, dtype=torch.float64)
        seeded = torch.Generator().manual_seed(derive_seed("rotation", self.spec.rotation))
        out, into = torch.linalg.qr(torch.randn(2, n, n, dtype=torch.float64, generator=seeded)).Q
        return out, into

    def _taught(self, x: Tensor) -> Tensor:
        steps, (out, into) = x.shape[1], self.rotations()
        strengths = self._strengths(steps)
        ago = torch.arange(steps)[:, None] - torch.arange(steps)
        past = torch.where((ago >= 0)[..., None], strengths[ago.clamp_min(0)], 0.0)  # [now, then, mode]
        driven = torch.einsum("bsi,im,tsm->btm", x, into.to(x), past.to(x))
        return driven @ out.T.to(x)


class DelayedSum(Task):
    """Add up random bits of the past. Latents: ``sequence``, the number of the trial in its set, if any."""

    independent = True
    spec: DelayedSumSpec

    def draw(self, spec: DelayedSumSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        device, latents = generator.device, {}
        if spec.sequences is None:
            x = torch.rand((examples, spec.steps, 1), generator=generator, device=device)
        else:
            seeded = torch.Generator().manual_seed(derive_seed("sequences", spec.part))
            every = torch.rand((spec.sequences, spec.steps, 1), generator=seeded).to(device)
            latents["sequence"] = torch.randint(
                spec.sequences, (examples,), generator=generator, device=device
            )
            x = every[latents["sequence"]]
        x = (x < 0.5).to(x.dtype)
        return Batch(x, self._sum(x), torch.ones_like(x[..., 0]), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        return self._sum(batch.x)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``within``: share of steps whose output is nearer to the target than to any other that there could
        be, were all bits of the past known."""
        sums = torch.zeros(1, dtype=torch.float64)
        for weight in self.spec.weights:
            sums = torch.cat([sums, sums + weight])
        possible = (self.spec.offset + sums).unique().to(y)
        nearest = (y - possible).abs().argmin(-1)
        right = (batch.y - possible).abs().argmin(-1)
        return {"within": (nearest == right).to(y.dtype).mean(1)}

    def _sum(self, x: Tensor) -> Tensor:
        y = torch.full_like(x, self.spec.offset)
        for delay, weight in zip(self.spec.delays, self.spec.weights, strict=True):
            earlier = x.roll(delay, 1)
            if self.spec.before == "nothing":
                earlier = torch.cat([torch.zeros_like(x[:, :delay]), earlier[:, delay:]], 1)
            y = y + weight * earlier
        return y
