"""Whole-sequence pass of networks whose input multiplies their state, with the way back written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SHORTEST = 1e-12
"""What is shorter has no direction, and becomes zero."""


def normalised(value: Tensor) -> Tensor:
    """Divided by its length along the last axis."""
    return value / _length(value)


class MultiplicativeScan(torch.autograd.Function):
    """h_t = Σ_k u_tk W_k h_{t-1} + d_t, divided by its length where ``unit``.

    For factors u ``[time, batch, blocks]``, drives ``[time, batch, hidden]`` if any, weights ``[hidden,
    blocks × hidden]`` and the first state ``[hidden]`` gives the states ``[time, batch, hidden]`` and their
    lengths. As in :mod:`zoo.models.scan`: first derivatives only, and ``vmap`` over networks goes through.
    """

    @staticmethod
    def forward(
        factors: Tensor, drive: Tensor | None, weight: Tensor, start: Tensor, unit: bool
    ) -> tuple[Tensor, Tensor]:
        return _run(factors, drive, weight, start, unit)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _remember(ctx, inputs, output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        return _back(ctx, grad)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int | None]]:
        every: Any = (
            value
            if value is None
            else value.expand(info.batch_size, *value.shape)
            if dim is None
            else value.movedim(dim, 0)
            for value, dim in zip(inputs[:4], in_dims, strict=False)
        )
        factors, drive, weight, start = every
        other = None if drive is None else drive.transpose(0, 1)
        unit = inputs[4]
        made = MultiplicativeScans.apply(factors.transpose(0, 1), other, weight, start[:, None], unit)
        return made, (1, 1 if unit else None)


class MultiplicativeScans(torch.autograd.Function):
    """The same for several networks, whose axis comes after time's and before all others; ``start`` is
    ``[network, 1, hidden]``."""

    @staticmethod
    def forward(
        ctx: Any, factors: Tensor, drive: Tensor | None, weight: Tensor, start: Tensor, unit: bool
    ) -> tuple[Tensor, Tensor]:
        made = _run(factors, drive, weight, start, unit)
        _remember(ctx, (factors, drive, weight, start, unit), made)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        return _back(ctx, grad)


def _run(
    factors: Tensor, drive: Tensor | None, weight: Tensor, start: Tensor, unit: bool
) -> tuple[Tensor, Tensor]:
    hidden = weight.shape[-2]
    states = factors.new_empty(*factors.shape[:-1], hidden)
    lengths = states.new_empty(*states.shape[:-1], 1) if unit else states.new_empty(0)
    outer = states.new_empty(*factors.shape[1:], hidden)
    flat, turned = outer.flatten(-2), weight.mT.contiguous()
    multiply = torch.addmm if weight.dim() == 2 else torch.baddbmm
    h = start.expand_as(states[0])
    for t, (u, state) in enumerate(zip(factors.unsqueeze(-1).unbind(0), states.unbind(0), strict=True)):
        torch.mul(u, h.unsqueeze(-2), out=outer)
        if drive is None:
            torch.matmul(flat, turned, out=state)
        else:
            multiply(drive[t], flat, turned, out=state)
        if unit:
            lengths[t] = _length(state)
            state.div_(lengths[t])
        h = state
    return states, lengths


def _remember(ctx: Any, inputs: tuple[Any, ...], made: tuple[Tensor, Tensor]) -> None:
    factors, drive, weight, start, unit = inputs
    ctx.save_for_backward(factors, weight, start, *made)
    ctx.mark_non_differentiable(made[1])
    ctx.unit, ctx.driven = unit, drive is not None


def _back(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of factors, drive, weight and start."""
    factors, weight, start, states, lengths = ctx.saved_tensors
    delta = torch.empty_like(states)  # of Σ_k u_k W_k h + d
    through = states.new_empty(*states.shape[1:-1], weight.shape[-1])
    blocks = through.unflatten(-1, (-1, states.shape[-1]))
    below, u = torch.empty_like(states[0]), factors.unsqueeze(-1).unbind(0)
    errors, before = delta.unbind(0), torch.cat([start.expand_as(states[0])[None], states[:-1]])
    errors[-1].copy_(grad[-1])
    for t in range(len(states) - 1, -1, -1):
        e = errors[t]
        if ctx.unit:
            e.addcmul_(states[t], (states[t] * e).sum(-1, keepdim=True), value=-1).div_(lengths[t])
        torch.matmul(e, weight, out=through)
        torch.sum(blocks.mul_(u[t]), -2, out=below)
        if t:
            torch.add(grad[t - 1], below, out=errors[t - 1])
    outer = (factors.unsqueeze(-1) * before.unsqueeze(-2)).flatten(-2)
    of_factors = None
    if ctx.needs_input_grad[0]:
        pulled = (delta @ weight).unflatten(-1, (-1, states.shape[-1]))
        of_factors = (pulled @ before.unsqueeze(-1)).squeeze(-1)
    of_start = below.sum(-2, keepdim=start.dim() > 1)
    return of_factors, delta if ctx.driven else None, _rows(delta).mT @ _rows(outer), of_start, None


def _rows(value: Tensor) -> Tensor:
    """``[time, network, batch, width]`` as ``[network, time × batch, width]``, with or without networks."""
    return value.flatten(0, 1) if value.dim() == 3 else value.transpose(0, 1).flatten(1, 2)


def _length(value: Tensor) -> Tensor:
    """Infinite for what is too short, so that it becomes zero, and so do gradients."""
    length = value.norm(dim=-1, keepdim=True)
    return torch.where(length > SHORTEST, length, torch.inf)
