"""Initial weights, as an :class:`~zoo.specs.models.init.InitSpec` declares them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.specs.models.init import InitSpec


@torch.no_grad()
def initialise(spec: InitSpec, recurrent: Tensor, others: list[Tensor], readout: nn.Linear) -> None:
    """Fills weights in place.

    ``recurrent`` is ``[gates × hidden, hidden]``, one block a gate; ``others`` (input weights and
    biases) get torch's uniform ±1/√hidden.
    """
    hidden = recurrent.shape[1]
    bound = 1 / math.sqrt(hidden)
    for tensor in others:
        tensor.uniform_(-bound, bound)
    for block in recurrent.split(hidden):
        _fill(block, spec, bound)
        if spec.spectral_radius is not None:
            radius = torch.linalg.eigvals(block.double()).abs().max()
            block.mul_(spec.spectral_radius / radius)
    readout.weight.uniform_(-bound, bound).mul_(spec.output_scale)
    readout.bias.uniform_(-bound, bound)


@torch.no_grad()
def initialise_layer(spec: InitSpec, layer: nn.Linear, readout: bool = False) -> None:
    """Fills a layer between others, or a readout, whose weights are torch's times ``output_scale``."""
    bound = 1 / math.sqrt(layer.in_features)
    if readout:
        layer.weight.uniform_(-bound, bound).mul_(spec.output_scale)
    else:
        _fill(layer.weight, spec, bound)
    if layer.bias is not None:
        layer.bias.uniform_(-bound, bound)


def _fill(block: Tensor, spec: InitSpec, bound: float) -> None:
    match spec.distribution:
        case "uniform":
            block.uniform_(-bound, bound).mul_(spec.gain)
        case "normal":
            block.normal_(0.0, bound * spec.gain)
        case "orthogonal":
            nn.init.orthogonal_(block, spec.gain)
        case "identity":
            nn.init.eye_(block).mul_(spec.gain)
    if spec.rank is not None:
        u, s, v = torch.linalg.svd(block.double(), full_matrices=False)
        block.copy_((u[:, : spec.rank] * s[: spec.rank]) @ v[: spec.rank])
