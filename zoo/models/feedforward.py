"""Feedforward networks: the multilayer perceptron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.init import initialise_layer
from zoo.models.layered import At, Layered
from zoo.specs.models.feedforward import MLPSpec

PHI = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "linear": lambda value: value,
}


class MLP(Layered):
    """h_k = φ(N(W_k h_{k-1} + b_k)) and a linear readout, for each time step by itself."""

    vectorises = True
    spec: MLPSpec

    def __init__(self, spec: MLPSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        widths = (inputs, *spec.hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=spec.bias) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in spec.hidden if spec.norm == "layer")
        self.output = nn.Linear(widths[-1], outputs, bias=spec.bias)
        if not self.output.weight.is_meta:
            for layer in self.layers:
                initialise_layer(spec.init, layer)  # type: ignore[arg-type]
            initialise_layer(spec.init, self.output, readout=True)

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(f"h{k + 1}" for k in range(len(self.spec.hidden)))

    def compute(self, x: Tensor, at: At) -> Tensor:
        phi = PHI[self.spec.nonlinearity]
        for k, (site, layer) in enumerate(zip(self.hidden, self.layers, strict=True)):
            x = layer(x)
            x = at(site, phi(self.norms[k](x) if self.spec.norm == "layer" else x))
        return self.output(x)

    @classmethod
    def many(
        cls,
        specs: Sequence[MLPSpec],
        weights: Mapping[str, Tensor],
        x: Tensor,
        noise: Tensor | None = None,
        states: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        spec, members = specs[0], len(specs)
        shape = x.shape[-3:-1]
        h = x.reshape(-1, shape.numel(), x.shape[-1]).expand(members, -1, -1)

        def layer(name: str, h: Tensor) -> Tensor:
            weight = weights[f"{name}.weight"].mT
            return torch.baddbmm(weights[f"{name}.bias"][:, None], h, weight) if spec.bias else h @ weight

        for k, width in enumerate(spec.hidden):
            h = layer(f"layers.{k}", h)
            if spec.norm == "layer":
                gain, bias = (weights[f"norms.{k}.{name}"][:, None] for name in ("weight", "bias"))
                h = F.layer_norm(h, (width,)) * gain + bias
            h = PHI[spec.nonlinearity](h)
        y = layer("output", h)
        return y.unflatten(1, shape), h.unflatten(1, shape) if states else None
