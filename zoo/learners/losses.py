"""Losses of several networks at once, as ``Task.losses`` has them.

Outputs and targets are ``[member, example, time, output]``, the mask is ``[member, example, time]``. Of each
example there is the mean over its steps that count, and the loss ``[member]`` is the mean of those. First
derivatives, with respect to the outputs, whose layout in memory the gradient has.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class SquaredErrors(torch.autograd.Function):
    """Mean squared errors."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        error = y - target
        weighed = error * (_weights(mask) / y.shape[3])
        ctx.save_for_backward(weighed)
        return (weighed * error).sum((1, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weighed,) = ctx.saved_tensors
        return weighed * (2 * grad)[:, None, None, None], None, None


class CrossEntropies(torch.autograd.Function):
    """Cross-entropies; the outputs are logits, the targets probabilities."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        # classes come first, as a processor goes through many examples at once, and classes are few
        logarithms = y.movedim(3, 0).contiguous().log_softmax(0)
        weighed = (target * _weights(mask)).movedim(3, 0).contiguous()
        ctx.save_for_backward(logarithms, weighed)
        ctx.like = y.stride()
        return -(logarithms * weighed).sum((0, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        logarithms, weighed = ctx.saved_tensors
        slope = (logarithms.exp() * weighed.sum(0) - weighed).movedim(0, 3)
        found = torch.empty_strided(slope.shape, ctx.like, dtype=slope.dtype, device=slope.device)
        return torch.mul(slope, grad[:, None, None, None], out=found), None, None


LOSSES: dict[str, Any] = {"mse": SquaredErrors, "cross-entropy": CrossEntropies}


def _weights(mask: Tensor) -> Tensor:
    """What each step counts, ``[member, example, time, 1]``."""
    return (mask / (mask.sum(2, keepdim=True) * mask.shape[1]))[..., None]
