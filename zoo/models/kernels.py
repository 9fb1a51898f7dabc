"""Whole-sequence passes with backpropagation through time written out, for the CPU.

Torch's own kernel for vanilla RNNs records every time step for autograd. Here the loop over
time holds only what depends on the step before; everything else, the gradients of the weights among
it, is one matrix product over all steps. Same results to rounding, and parity is tested. First
derivatives only: second derivatives and ``torch.func`` go through ``Dynamics.rollout``; ``vmap`` over
networks, each with weights of its own, is what populations train by.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHE = 2**16
"""Numbers in the states and weights of the networks that are worked on together, which stay in the cache."""


class ElmanPass(torch.autograd.Function):
    """h_t = φ(W h_{t-1} + d_t) for drives ``[time, batch, hidden]`` that already hold input and biases."""

    @staticmethod
    def forward(drive: Tensor, weight: Tensor, relu: bool) -> Tensor:
        """States ``[time, batch, hidden]`` from zero."""
        states, recurrent = torch.empty_like(drive), weight.t().contiguous()
        h = None
        for t in range(drive.shape[0]):
            total = drive[t] if h is None else torch.addmm(drive[t], h, recurrent, out=states[t])
            h = _phi(total, relu, states[t])
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        ctx.save_for_backward(output, inputs[1])
        ctx.relu = inputs[2]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        states, weight = ctx.saved_tensors
        slope = (states > 0).to(grad.dtype) if ctx.relu else 1 - states * states
        delta = torch.empty_like(states)
        torch.mul(grad[-1], slope[-1], out=delta[-1])
        for t in range(len(states) - 2, -1, -1):
            torch.addmm(grad[t], delta[t + 1], weight, out=delta[t]).mul_(slope[t])
        return delta, delta[1:].flatten(0, 1).t() @ states[:-1].flatten(0, 1), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], drive: Tensor, weight: Tensor, relu: bool
    ) -> tuple[Tensor, int]:
        one, other = (
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip((drive, weight), in_dims, strict=False)
        )
        return ElmanPasses.apply(one.transpose(0, 1), other, relu), 1


class ElmanPasses(torch.autograd.Function):
    """The same for several networks: drives ``[time, network, batch, hidden]``, weights ``[network, hidden,
    hidden]``."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, relu: bool) -> Tensor:
        """States ``[time, network, batch, hidden]`` from zero."""
        states = torch.empty_like(drive, memory_format=torch.contiguous_format)
        for part in _parts(drive):
            (_relu if relu else _tanh)(drive[:, part], weight[part], states[:, part])
        ctx.save_for_backward(states, weight)
        ctx.relu = relu
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        states, weight = ctx.saved_tensors
        delta, weights = torch.empty_like(states), torch.zeros_like(weight)
        for part in _parts(states):
            h, d, w, total = states[:, part], delta[:, part], weight[part], weights[part]
            slope = (h > 0).to(h.dtype) if ctx.relu else torch.addcmul(_one(h), h, h, value=-1)
            torch.mul(grad[:, part], slope, out=d)
            for t in range(len(h) - 2, -1, -1):
                d[t].addcmul_(torch.bmm(d[t + 1], w), slope[t])
                total.baddbmm_(d[t + 1].mT, h[t])
        return delta, weights, None


def _relu(drive: Tensor, weight: Tensor, states: Tensor) -> None:
    recurrent = weight.mT.contiguous()
    h = torch.clamp_min(drive[0], 0, out=states[0])
    for t in range(1, len(drive)):
        h = torch.baddbmm(drive[t], h, recurrent, out=states[t]).clamp_min_(0)


def _tanh(drive: Tensor, weight: Tensor, states: Tensor) -> None:
    """By s = (1 + tanh) / 2, a sigmoid, for which torch has a kernel five times as fast."""
    if drive.dtype != torch.float32:
        recurrent = weight.mT.contiguous()
        h = torch.tanh(drive[0], out=states[0])
        for t in range(1, len(drive)):
            h = torch.baddbmm(drive[t], h, recurrent, out=states[t]).tanh_()
        return
    torch.mul(drive, 2, out=states)
    states[1:] -= 2 * weight.sum(2)[:, None]
    recurrent, s = (4 * weight).mT.contiguous(), states[0].sigmoid_()
    for t in range(1, len(drive)):
        s = states[t].baddbmm_(s, recurrent).sigmoid_()
    states.mul_(2).sub_(1)


def _parts(states: Tensor) -> list[slice]:
    """Of the networks in ``[time, network, batch, hidden]``, those that are worked on together."""
    most = max(1, CACHE // (states[0, 0].numel() + states.shape[3] ** 2))
    return [slice(start, start + most) for start in range(0, states.shape[1], most)]


def _one(like: Tensor) -> Tensor:
    return torch.ones((), dtype=like.dtype, device=like.device)


def _phi(total: Tensor, relu: bool, out: Tensor) -> Tensor:
    return torch.clamp_min(total, 0, out=out) if relu else torch.tanh(total, out=out)
