"""Initial weights, as an :class:`~zoo.specs.models.init.InitSpec` declares them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.models.constraints import Constraint
from zoo.specs.models.init import InitSpec


@torch.no_grad()
def initialise(
    spec: InitSpec,
    recurrent: Tensor,
    others: Sequence[Tensor],
    readout: nn.Linear,
    constraint: Constraint | None = None,
) -> None:
    """Fills weights in place.

    ``recurrent`` is ``[gates × hidden, hidden]``, one block a gate; ``others`` (input weights and
    biases) get torch's uniform ±1/√hidden. Under a constraint, √hidden is that of the connections that
    an average unit has, and the spectral radius that of the weights that act.

    Raises :class:`SpecError` for a spectral radius of connections that form no loop.
    """
    hidden = recurrent.shape[1]
    bound = 1 / math.sqrt(hidden)
    for tensor in others:
        tensor.uniform_(-bound, bound)
    for block in recurrent.split(hidden):
        fill(block, spec, bound)
        if constraint is not None:
            constraint.prepare(block)
        if spec.spectral_radius is not None:
            acting = block if constraint is None else constraint.recurrent(block)
            radius = torch.linalg.eigvals(acting.double()).abs().max()
            if radius <= 1e-6 * acting.abs().max():
                raise SpecError(
                    "model.init.spectral_radius: the connections that the constraints leave form no loop, so "
                    "that no scale has a spectral radius. Raise model.constraints.sparsity.density, or leave "
                    "spectral_radius out."
                )
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
        fill(layer.weight, spec, bound)
    if layer.bias is not None:
        layer.bias.uniform_(-bound, bound)


def fill(block: Tensor, spec: InitSpec, bound: float) -> None:
    """Draws a matrix whose entries are to be of the size ``bound``; :func:`initialise` sets the rest."""
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
        kept = s.norm() / s[: spec.rank].norm() if spec.keep_norm else 1.0
        block.copy_(kept * (u[:, : spec.rank] * s[: spec.rank]) @ v[: spec.rank])
