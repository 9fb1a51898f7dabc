"""Feedforward networks: the multilayer perceptron."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.init import initialise_layer
from zoo.models.layered import At, Layer, Layered
from zoo.specs.models.feedforward import MLPSpec

PHI = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "linear": lambda value: value,
}


class BatchStatistics(nn.Module):
    """Each unit to mean 0 and variance 1 over the examples of the batch at hand, in use as in training."""

    def forward(self, value: Tensor) -> Tensor:
        return over_examples(value, 0)


def over_examples(value: Tensor, axis: int) -> Tensor:
    """Standardised over an axis; without gain, bias and running means."""
    variance, mean = torch.var_mean(value, axis, correction=0, keepdim=True)
    return (value - mean) / (variance + 1e-6).sqrt()


class MLP(Layered):
    """h_k = φ(N(W_k h_{k-1} + b_k)) and a linear readout, for each time step by itself."""

    vectorises = True
    spec: MLPSpec

    def __init__(self, spec: MLPSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        widths = (inputs, *spec.hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=spec.bias) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(
            nn.LayerNorm(width) if spec.norm == "layer" else BatchStatistics()
            for width in spec.hidden
            if spec.norm != "none"
        )
        self.output = nn.Linear(widths[-1], outputs, bias=spec.bias)
        if not self.output.weight.is_meta:
            for layer in self.layers:
                initialise_layer(spec.init, layer)  # type: ignore[arg-type]
            initialise_layer(spec.init, self.output, readout=spec.parametrisation == "standard")
            if spec.parametrisation == "ntk":
                self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        for layer in (*self.layers, self.output):
            layer.weight.mul_(math.sqrt(layer.in_features))
            if layer.bias is not None:
                layer.bias.zero_()
        self.output.weight.mul_(self.spec.init.output_scale)

    @property
    def scales(self) -> list[float]:
        """What products with the matrices are multiplied by, from the first layer to the readout."""
        widths = (self.inputs, *self.spec.hidden)
        ntk = self.spec.parametrisation == "ntk"
        return [1 / math.sqrt(width) if ntk else 1.0 for width in widths]

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(f"h{k + 1}" for k in range(len(self.spec.hidden)))

    def compute(self, x: Tensor, at: At) -> Tensor:
        phi = PHI[self.spec.nonlinearity]
        for k, (site, layer) in enumerate(zip(self.hidden, self.layers, strict=True)):
            x = self._drive(layer, x)  # type: ignore[arg-type]
            x = at(site, phi(x if self.spec.norm == "none" else self.norms[k](x)))
        return self._drive(self.output, x)

    def _drive(self, layer: nn.Linear, x: Tensor) -> Tensor:
        if self.spec.parametrisation == "standard":
            return layer(x)
        product = F.linear(x, layer.weight) / math.sqrt(layer.in_features)
        return product if layer.bias is None else product + layer.bias

    def layers_in_chain(self) -> tuple[Layer, ...]:
        names = [*(f"layers.{k}" for k in range(len(self.layers))), "output"]
        found = []
        for k, (name, scale) in enumerate(zip(names, self.scales, strict=True)):
            bias = f"{name}.bias" if self.spec.bias else None
            if name == "output":
                found.append(Layer(f"{name}.weight", bias, scale))
                continue
            own = (f"norms.{k}.weight", f"norms.{k}.bias") if self.spec.norm == "layer" else ()
            after: Callable[[Mapping[str, Tensor], Tensor], Tensor] = partial(_after, self.spec, own)
            found.append(Layer(f"{name}.weight", bias, scale, after, own))
        return tuple(found)

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
            if spec.parametrisation == "ntk":
                weight = weight / math.sqrt(weight.shape[1])
            return torch.baddbmm(weights[f"{name}.bias"][:, None], h, weight) if spec.bias else h @ weight

        for k, width in enumerate(spec.hidden):
            h = layer(f"layers.{k}", h)
            if spec.norm == "layer":
                gain, bias = (weights[f"norms.{k}.{name}"][:, None] for name in ("weight", "bias"))
                h = F.layer_norm(h, (width,)) * gain + bias
            elif spec.norm == "batch":
                h = over_examples(h.unflatten(1, shape), 1).flatten(1, 2)
            h = PHI[spec.nonlinearity](h)
        y = layer("output", h)
        return y.unflatten(1, shape), h.unflatten(1, shape) if states else None


def _after(spec: MLPSpec, names: Sequence[str], others: Mapping[str, Tensor], drive: Tensor) -> Tensor:
    """What a hidden layer makes of its drive ``[batch, time, units]``, with gain and bias by these names."""
    if spec.norm == "layer":
        drive = F.layer_norm(drive, drive.shape[-1:]) * others[names[0]] + others[names[1]]
    elif spec.norm == "batch":
        drive = over_examples(drive, 0)
    return PHI[spec.nonlinearity](drive)
