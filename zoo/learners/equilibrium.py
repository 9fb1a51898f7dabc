"""Two-phase learning in networks that settle."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.learners.base import Update
from zoo.learners.rule import Rule
from zoo.models.settling import Settling, pulled
from zoo.specs.learners.equilibrium import EquilibriumPropagationSpec
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]


class EquilibriumPropagation(Rule):
    """ΔW_k = rate_k/β (s_k s_{k-1}ᵀ at rest with the nudge, minus that without) (Scellier & Bengio 2017)."""

    vectorises = True
    spec: EquilibriumPropagationSpec

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        if self.spec.nudging != "random":
            return {}
        device = batch.x.device if generator is None else generator.device
        sign = 2 * torch.randint(2, (), generator=generator, device=device) - 1
        return {"sign": sign.to(batch.x.dtype)}

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        model, u = self._model, batch.x[:, -1]
        free = model.initial_state(len(u)).to(batch.x)
        for held in batch.x.unbind(1):
            free = self._step(weights, free, held)
        last = Batch(u[:, None], batch.y[:, -1:], batch.mask[:, -1:], batch.example_id, {})
        loss = self.network.losses(model.decode(free)[:, None], last).mean()
        beta = self.spec.nudge * drawn.get("sign", free.new_ones(()))
        nudged, rest, apart = self._settled(weights, free, last, beta), free, beta
        if self.spec.nudging == "symmetric":
            rest, apart = self._settled(weights, free, last, -beta), 2 * beta
        rates = self.spec.rates if len(self.spec.rates) > 1 else self.spec.rates * len(model.widths)
        found: dict[str, Tensor] = {}
        ends = [(u, *model.layers(h)) for h in (nudged, rest)]
        for k, rate in enumerate(rates):
            with_nudge, without = (s[k + 1].mT @ s[k] for s in ends)
            found[f"weights.{k}"] = rate / (apart * len(u)) * (with_nudge - without)
            found[f"biases.{k}"] = rate / (apart * len(u)) * (ends[0][k + 1] - ends[1][k + 1]).sum(0)
        return Update(loss, found, {})

    @property
    def _model(self) -> Settling:
        model = self.network.model
        assert isinstance(model, Settling)
        return model

    def _step(self, weights: Tensors, h: Tensor, u: Tensor, force: Tensor | None = None) -> Tensor:
        count = len(self._model.widths)
        matrices, biases = ([weights[f"{name}.{k}"] for k in range(count)] for name in ("weights", "biases"))
        return pulled(self._model.spec, matrices, biases, h, u, force)

    def _settled(self, weights: Tensors, h: Tensor, batch: Batch, beta: Tensor) -> Tensor:
        """At rest from ``h``, with the output pulled by -β ∂C/∂out."""
        for _ in range(self.spec.nudged_steps):
            h = self._step(weights, h, batch.x[:, 0], beta * (batch.y[:, 0] - self._model.decode(h)))
        return h
