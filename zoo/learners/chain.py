"""A pass through a chain of layers that keeps what local rules need: what went in, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vjp

from zoo.models.layered import Layer

Back = Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]


@dataclass(frozen=True)
class Passed:
    """What one layer did: h = after(scale · W below + b)."""

    layer: Layer
    below: Tensor
    """``[batch, time, inputs of the layer]``."""
    h: Tensor
    """``[batch, time, units]``."""
    back: Back
    """From the slope at ``h`` to those of the parameters of ``after``, and to that before ``after``."""


def run(layers: Sequence[Layer], weights: Mapping[str, Tensor], x: Tensor) -> list[Passed]:
    """All layers, one after another, from inputs ``[batch, time, input]``."""
    found: list[Passed] = []
    for layer in layers:
        found.append(one(layer, weights, found[-1].h if found else x))
    return found


def one(layer: Layer, weights: Mapping[str, Tensor], below: Tensor) -> Passed:
    """A single layer."""
    inner = {name: weights[name] for name in layer.others}
    h, back = vjp(layer.after, inner, layer.drive(weights, below))  # type: ignore[misc]
    return Passed(layer, below, h, back)


def gradients(layer: Layer, below: Tensor, delta: Tensor) -> dict[str, Tensor]:
    """Of a layer's matrix and biases, from what is below and the slope ``delta`` at its drive."""
    spread, flat = delta.flatten(0, 1), below.flatten(0, 1)
    found = {layer.weight: layer.scale * (spread.mT @ flat)}
    if layer.bias is not None:
        found[layer.bias] = spread.sum(0)
    return found


def normal(shape: tuple[int, int], deviation: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """A matrix of normal numbers, of the type and on the device of another tensor."""
    return (deviation * torch.randn(shape, generator=generator, dtype=torch.float64)).to(like)
