"""Symmetries of a network's weights: units that may change places without changing what it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Units:
    """Units whose order is arbitrary: axes of tensors along which they lie.

    Permuting all of the axes alike leaves the network's function as it is.
    """

    count: int
    axes: tuple[tuple[str, int], ...]
    """(name of a tensor, axis); a recurrent matrix is there with both of its axes."""


def permuted(
    weights: Mapping[str, Tensor], units: Sequence[Units], orders: Sequence[Tensor]
) -> dict[str, Tensor]:
    """The weights with unit k of each group in the place of what was ``order[k]``."""
    found = dict(weights)
    for group, order in zip(units, orders, strict=True):
        for name, axis in group.axes:
            found[name] = torch.index_select(found[name], axis, order)
    return found
