"""Examples of the task linear-episodes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.specs.tasks.linear_episodes import LinearEpisodesSpec
from zoo.tasks.base import Batch, Task


class LinearEpisodes(Task):
    """Latents: ``weights`` ``[example, dimension]``, of variance 1/d."""

    independent = True
    uncertain = True
    errors = frozenset({"excess"})
    spec: LinearEpisodesSpec

    def draw(self, spec: LinearEpisodesSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        d, device = spec.dimensions, generator.device
        weights = torch.randn(examples, d, generator=generator, device=device) / math.sqrt(d)
        x = torch.randn(examples, spec.steps, d, generator=generator, device=device)
        noise = spec.noise * torch.randn(examples, spec.steps, 1, generator=generator, device=device)
        y = x @ weights[..., None] + noise
        before = torch.cat([torch.zeros_like(y[:, :1]), y[:, :-1]], 1)
        mask = torch.ones(examples, spec.steps, device=device)
        seen = torch.cat([x, before], 2)
        return Batch(seen, y, mask, torch.zeros(examples, device=device), {"weights": weights})

    def oracle(self, batch: Batch) -> Tensor:
        """The mean of what y_t can be, given what came before."""
        d = self.spec.dimensions
        x, answers = batch.x[..., :d], batch.x[:, 1:, d:]
        gram = (x[:, :-1, :, None] * x[:, :-1, None]).cumsum(1)
        cross = (x[:, :-1] * answers).cumsum(1)
        # the prior's precision is d, and that of an answer 1 / noise²
        ridge = d * self.spec.noise**2 * torch.eye(d, dtype=x.dtype, device=x.device)
        weights = torch.linalg.solve(gram + ridge, cross)
        later = (x[:, 1:] * weights).sum(-1, keepdim=True)
        return torch.cat([torch.zeros_like(later[:, :1]), later], 1)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``excess``: the squared distance from Bayes' prediction, which is the squared error above Bayes' in
        expectation."""
        return {"excess": (y - self.oracle(batch)).square().mean((1, 2))}
