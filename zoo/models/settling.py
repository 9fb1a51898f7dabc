"""Networks whose output is where they come to rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from zoo.models.dynamics import Dynamics
from zoo.specs.models.settling import SettlingSpec


class Settling(Dynamics):
    """s' = clip(s - dt ∂E/∂s, 0, 1): the whole state ``h``, and each of its layers ``h1``, …, ``out``."""

    vectorises = True
    spec: SettlingSpec

    def __init__(self, spec: SettlingSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.widths = (*spec.hidden, outputs)
        pairs = list(pairwise((inputs, *self.widths)))
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(above, below)) for below, above in pairs)
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(above)) for _, above in pairs)
        if not self.weights[0].is_meta:
            with torch.no_grad():
                for weight, bias in zip(self.weights, self.biases, strict=True):
                    bound = spec.gain * math.sqrt(6 / sum(weight.shape))
                    weight.uniform_(-bound, bound)
                    bias.zero_()

    @property
    def parts(self) -> Mapping[str, slice]:
        ends = list(accumulate(self.widths))
        names = [*(f"h{k + 1}" for k in range(len(self.widths) - 1)), "out"]
        layers = {
            name: slice(end - width, end) for name, end, width in zip(names, ends, self.widths, strict=True)
        }
        return {"h": slice(0, ends[-1]), **layers}

    def layers(self, h: Tensor) -> tuple[Tensor, ...]:
        """The layers of a state ``[…, units]``."""
        return h.split(self.widths, -1)

    def energy(self, h: Tensor, u: Tensor) -> Tensor:
        """E ``[batch]`` of states ``[batch, units]`` with inputs ``[batch, inputs]``."""
        layers = self.layers(h)
        total = 0.5 * h.square().sum(-1)
        for weight, bias, s, below in zip(self.weights, self.biases, layers, (u, *layers[:-1]), strict=True):
            total = total - (s * (below @ weight.mT + bias)).sum(-1)
        return total

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        h = pulled(self.spec, list(self.weights), list(self.biases), h, u)
        return h if noise is None else h + noise

    def decode(self, exposed: Tensor) -> Tensor:
        return exposed[..., -self.outputs :]


def pulled(
    spec: SettlingSpec,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    h: Tensor,
    u: Tensor,
    force: Tensor | None = None,
) -> Tensor:
    """A step, in which a force ``[batch, outputs]`` is added to what the energy does to the output."""
    layers = h.split([len(bias) for bias in biases], -1)
    drives = []
    for k, below in enumerate((u, *layers[:-1])):
        drive = below @ weights[k].mT + biases[k]
        if k + 1 < len(layers):
            drive = drive + layers[k + 1] @ weights[k + 1]
        elif force is not None:
            drive = drive + force
        drives.append(drive)
    return torch.clamp(h + spec.dt * (torch.cat(drives, -1) - h), 0.0, 1.0)
