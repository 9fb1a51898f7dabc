"""Delay lines: networks without a memory but that of past inputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.dynamics import Dynamics
from zoo.models.feedforward import MLP
from zoo.specs.models.delay import DelayMLPSpec


class DelayMLP(Dynamics):
    """A perceptron of the inputs in a delay line; noise is added to what the line holds."""

    vectorises = True
    spec: DelayMLPSpec

    def __init__(self, spec: DelayMLPSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.norm = nn.LayerNorm(spec.delays * inputs) if spec.normalise else None
        self.mlp = MLP(spec.perceptron, spec.delays * inputs, outputs)

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"window": slice(0, self.spec.window * self.inputs)}

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        new = torch.cat([u, h[:, : h.shape[1] - self.inputs]], 1)
        return new if noise is None else new + noise

    def decode(self, exposed: Tensor) -> Tensor:
        seen = exposed.unflatten(-1, (-1, self.inputs))[..., :: self.spec.interval, :].flatten(-2)
        if self.norm is not None:
            seen = self.norm(seen)
        return self.mlp.compute(seen, lambda _, value: value)

    def unroll(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, 0, self.spec.window - 1, 0))
        windows = padded.unfold(1, self.spec.window, 1)  # [batch, time, input, step of the window]
        return windows.flip(-1).transpose(-1, -2).flatten(2)
