"""Whole-sequence passes with backpropagation through time written out, for the CPU.

Torch's own kernel for vanilla RNNs records every time step for autograd. Here the loop over
time holds only what depends on the step before; everything else, the gradients of the weights among
it, is one matrix product over all steps. Same results to rounding, and parity is tested. First
derivatives only: second derivatives and ``torch.func`` go through ``Dynamics.rollout``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class ElmanPass(torch.autograd.Function):
    """h_t = φ(W h_{t-1} + d_t) for drives ``[time, batch, hidden]`` that already hold input and biases."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, relu: bool) -> Tensor:
        """States ``[time, batch, hidden]`` from zero."""
        states, recurrent = torch.empty_like(drive), weight.t().contiguous()
        h = None
        for t in range(drive.shape[0]):
            total = drive[t] if h is None else torch.addmm(drive[t], h, recurrent, out=states[t])
            h = _phi(total, relu, states[t])
        ctx.save_for_backward(states, weight)
        ctx.relu = relu
        return states

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


def _phi(total: Tensor, relu: bool, out: Tensor) -> Tensor:
    return torch.clamp_min(total, 0, out=out) if relu else torch.tanh(total, out=out)
