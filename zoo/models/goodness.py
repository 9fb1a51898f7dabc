"""Networks whose layers say how well an input and a label go together."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.models.layered import At, Layered
from zoo.specs.models.goodness import GoodnessSpec


class Goodness(Layered):
    """h_k = relu(W_k n(h_{k-1}) + b_k); y of a label is Σ_k mean(h_k²)."""

    vectorises = True
    spec: GoodnessSpec

    def __init__(self, spec: GoodnessSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((inputs + outputs, *spec.hidden)))

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(f"h{k + 1}" for k in range(len(self.spec.hidden)))

    def compute(self, x: Tensor, at: At) -> Tensor:
        weights = dict(self.named_parameters())
        shown = self.shown(x[:, :, None].expand(-1, -1, self.outputs, -1), torch.eye(self.outputs).to(x))
        total = x.new_zeros(*x.shape[:2], self.outputs)
        for k, site in enumerate(self.hidden):
            shown = self.layer(weights, k, shown)
            shown = at(site, shown.flatten(2)).unflatten(2, (self.outputs, -1))
            if k or self.spec.counted == "all" or len(self.hidden) == 1:
                total = total + goodness(shown)
        return total

    def shown(self, x: Tensor, labels: Tensor) -> Tensor:
        """Inputs ``[…, inputs]`` beside labels, ``[…, labels]`` of ones and zeros, which are broadcast."""
        labels = self.spec.label_scale * labels.expand(*x.shape[:-1], -1)
        return torch.cat([x, labels], -1)

    def layer(self, weights: Mapping[str, Tensor], k: int, below: Tensor) -> Tensor:
        """A layer ``[…, units]`` from what is below it, whose length it does not see."""
        drive = normalised(below) @ weights[f"layers.{k}.weight"].mT + weights[f"layers.{k}.bias"]
        return torch.relu(drive)


def normalised(value: Tensor) -> Tensor:
    """To length 1 along the last axis; zeros stay."""
    return value / (value.norm(dim=-1, keepdim=True) + 1e-4)


def goodness(value: Tensor) -> Tensor:
    """The mean square along the last axis."""
    return value.square().mean(-1)
