"""A model with many sets of weights at once, by ``vmap`` where that goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.func import vmap

from zoo.models.base import Model

Tensors = Mapping[str, Tensor]


def side_by_side(
    model: Model, one: Callable[[Tensors], tuple[Tensor, Tensor]], over: Tensors
) -> tuple[Tensor, Tensor]:
    """What ``one``, which runs the model, gives for each entry of the leading axis of ``over``: all at once,
    or one after another where ``vmap`` does not go through the model."""
    if not type(model).vectorises:
        count = len(next(iter(over.values())))
        found = [one({name: each[k] for name, each in over.items()}) for k in range(count)]
        return torch.stack([first for first, _ in found]), torch.stack([second for _, second in found])
    fused = getattr(model, "fused", None)
    if fused is not None:
        model.fused = False  # type: ignore[assignment]  # kernels that vmap does not go through
    try:
        first, second = vmap(one)(over)
    finally:
        if fused is not None:
            model.fused = fused
    return first, second
