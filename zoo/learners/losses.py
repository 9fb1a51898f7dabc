"""Losses of several networks at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class SquaredErrors(torch.autograd.Function):
    """Mean squared errors ``[member]`` over what counts, for outputs and targets ``[member, example, time,
    output]`` and a mask ``[member, example, time]``: of each example the mean over its steps that count, as
    ``Task.losses`` has it, and the mean of those. First derivatives with respect to the outputs."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        weights = mask / (mask.sum(2, keepdim=True) * (mask.shape[1] * y.shape[3]))
        error = y - target  # in the layout of y in memory, as the gradient should be
        weighed = error * weights[..., None]
        ctx.save_for_backward(weighed)
        return (weighed * error).sum((1, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weighed,) = ctx.saved_tensors
        return weighed * (2 * grad)[:, None, None, None], None, None
