"""Learning to tell noise from what it was added to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from zoo.learners.base import Update
from zoo.learners.rule import Rule
from zoo.models.diffusion import Diffusion
from zoo.specs.learners.denoising import DenoisingSpec
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]


class Denoising(Rule):
    """The gradient of |ε - ε_θ(√ᾱ_t x₀ + √(1-ᾱ_t) ε, t, c)|² (Ho et al. 2020, eq. 14), or of the same of
    velocities, where the model predicts these."""

    vectorises = True
    spec: DenoisingSpec

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        device = batch.x.device if generator is None else generator.device
        drawn = torch.rand(2, len(batch.x), generator=generator, device=device)
        levels = self._model.spec.levels
        found = {"level": 1 + (drawn[0] * levels).long().clamp_max(levels - 1)}
        if self.spec.dropout:
            found["known"] = (drawn[1] >= self.spec.dropout).to(batch.x.dtype)
        return found

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        learned = self._learned()
        fixed = {name: value for name, value in weights.items() if name not in learned}
        estimator = _Estimator(self._model)

        def loss(given: dict[str, Tensor]) -> Tensor:
            tensors = {f"model.{name}": value for name, value in {**fixed, **given}.items()}
            return self._loss(partial(functional_call, estimator, tensors), batch, drawn)

        slope, value = grad_and_value(loss)({name: weights[name] for name in learned})
        return Update(value, slope, {})

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The same update by autograd alone, under which convolutions take two thirds of the time."""
        learned, predict = self._learned(), self._model.predict
        with torch.enable_grad():
            loss = self._loss(lambda seen: predict(*seen), batch, self.draw(batch))
            slopes = torch.autograd.grad(loss, list(learned.values()))
        self._update = Update(loss.detach(), dict(zip(learned, slopes, strict=True)), {})
        return self._update.loss

    def _loss(self, predict: Callable[[Any], Tensor], batch: Batch, drawn: Tensors) -> Tensor:
        """Of what is predicted of the examples, each at its level, from all that it is seen with."""
        model, level = self._model, drawn["level"]
        condition, noise = batch.x[:, 0].split((model.condition, model.outputs), 1)
        kept, clean = model.kept(batch.x)[level][:, None], batch.y[:, -1]
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        found = predict((noisy, level, condition, drawn.get("known")))
        return (found - model.target(clean, noise, kept)).square().mean()

    def _learned(self) -> dict[str, Tensor]:
        return {name: each for name, each in self._model.named_parameters() if each.requires_grad}

    @property
    def _model(self) -> Diffusion:
        model = self.network.model
        assert isinstance(model, Diffusion)
        return model


class _Estimator(nn.Module):
    """What a sampler's network makes of noisy examples, as a pass of its own."""

    def __init__(self, model: Diffusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, *arguments: Any) -> Tensor:
        return self.model.predict(*arguments)
