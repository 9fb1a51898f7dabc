"""Learning by forward passes alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.learners.base import Update
from zoo.learners.rule import Rule
from zoo.models.goodness import Goodness, goodness, normalised
from zoo.specs.learners.forward import ForwardForwardSpec
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]


class ForwardForward(Rule):
    """∂W_k = Σ ± σ(±(g - θ)) 2 h_k / n_k · n(h_{k-1})ᵀ, with - and the true label, and + and a wrong one
    (Hinton 2022). Reported as loss is the sum over layers of what each lowers."""

    vectorises = True
    spec: ForwardForwardSpec

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """How far the wrong label of each input is from the true one, ``[example, time]``."""
        device = batch.x.device if generator is None else generator.device
        labels = batch.y.shape[2]
        return {"shift": torch.randint(1, labels, batch.y.shape[:2], generator=generator, device=device)}

    def update(self, weights: Tensors, own: Tensors, batch: Batch, drawn: Tensors) -> Update:
        model, spec = self.network.model, self.spec
        assert isinstance(model, Goodness)
        labels = batch.y.shape[2]
        ones = torch.eye(labels, dtype=batch.y.dtype, device=batch.y.device)
        true = batch.y.argmax(-1)
        counted = (batch.mask / batch.mask.sum())[..., None]
        streams = [
            (model.shown(batch.x, ones[true]), -1.0),
            (model.shown(batch.x, ones[(true + drawn["shift"]) % labels]), 1.0),
        ]
        found: dict[str, Tensor] = {}
        loss = batch.x.new_zeros(())
        for k in range(len(model.hidden)):
            above, slopes, inputs = [], [], []
            for below, sign in streams:
                h = model.layer(weights, k, below)
                over = sign * (goodness(h) - spec.threshold)
                loss = loss + (F.softplus(over) * counted[..., 0]).sum()
                slope = sign * torch.sigmoid(over)[..., None] * counted * 2 * h / h.shape[-1]  # 0 where h is
                slopes.append(slope.flatten(0, 1))
                inputs.append(normalised(below).flatten(0, 1))
                above.append((h, sign))
            slope = torch.cat(slopes)
            found[f"layers.{k}.weight"] = slope.mT @ torch.cat(inputs)
            found[f"layers.{k}.bias"] = slope.sum(0)
            streams = above
        return Update(loss, found, {})
