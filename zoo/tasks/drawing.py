"""Random quantities of trials, from uniform numbers drawn in one go."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


class Chances:
    """Columns of uniform numbers in [0, 1), ``[example]`` each, handed out one after the other."""

    def __init__(self, examples: int, columns: int, generator: torch.Generator) -> None:
        drawn = torch.rand(examples, columns, generator=generator, device=generator.device)
        self._columns = iter(drawn.T.contiguous().unbind(0))

    def __call__(self) -> Tensor:
        return next(self._columns)


def whole(u: Tensor, low: int, high: int) -> Tensor:
    """Whole numbers from ``low`` to ``high``, both included, with equal chance."""
    return low + (u * (high - low + 1)).long().clamp_max(high - low)


def among(u: Tensor, values: Sequence[float]) -> Tensor:
    """One of the values, with equal chance."""
    return torch.tensor(values, device=u.device)[whole(u, 0, len(values) - 1)]


def drawn(u: Tensor, values: Sequence[float]) -> Tensor:
    """Of one value, that; of two, uniform between them; of more, any of them with equal chance."""
    if len(values) == 2:
        return values[0] + (values[1] - values[0]) * u
    return among(u, values)


def drawn_steps(u: Tensor, values: Sequence[int]) -> Tensor:
    """The same for whole numbers."""
    return whole(u, *sorted(values)) if len(values) == 2 else among(u, values)


def sign(u: Tensor) -> Tensor:
    """-1 or 1 with equal chance."""
    return torch.where(u < 0.5, -1.0, 1.0)


def pick(values: Sequence[int] | Sequence[float], index: Tensor) -> Tensor:
    """An attribute of what an index stands for, for each example."""
    return torch.tensor(values, device=index.device)[index]


def autoregression(white: Tensor, memory: float) -> Tensor:
    """Stationary noise of the same variance with a correlation from step to step, along time (axis 1).

    Σ_k mᵏ Lᵏ = (1 + m L)(1 + m² L²)(1 + m⁴ L⁴)…: as many passes as the number of steps has binary digits.
    """
    result, shift = white.clone(), 1
    result[:, 1:] *= math.sqrt(1 - memory * memory)
    while shift < white.shape[1] and memory**shift > 0:
        result = result + memory**shift * F.pad(result, (0, 0, shift, 0))[:, : white.shape[1]]
        shift *= 2
    return result
