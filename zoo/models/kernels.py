"""Whole-sequence passes with backpropagation through time written out.

Torch's own kernel for vanilla RNNs records every time step for autograd. Here the loop over
time holds only what depends on the step before. Same results to rounding, and parity is tested. First
derivatives only: second derivatives and ``torch.func`` go through ``Dynamics.rollout``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class ElmanPass(torch.autograd.Function):
    """h_t = φ(W h_{t-1} + d_t) for drives ``[time, batch, hidden]`` that already hold input and biases."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, relu: bool) -> Tensor:
        """States ``[time, batch, hidden]`` from zero."""
        states, recurrent = torch.empty_like(drive), weight.t().contiguous()
        h = None
        for t in range(drive.shape[0]):
            total = drive[t] if h is None else torch.addmm(drive[t], h, recurrent, out=states[t])
            h = torch.clamp_min(total, 0, out=states[t]) if relu else torch.tanh(total, out=states[t])
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


@dataclass(frozen=True)
class RateWeights:
    """Weights of several rate networks: x_t = (1-α) x_{t-1} + α (W φ(x_{t-1}) + W_in u_t + b) + n_t and
    y_t = W_out φ(x_t) + b_out, from x_0 = 0."""

    inward: Tensor
    """W_in, ``[network, hidden, input]``."""
    recurrent: Tensor
    """W, ``[network, hidden, hidden]``."""
    bias: Tensor
    """``[network, hidden]``."""
    outward: Tensor
    """W_out, ``[network, output, hidden]``."""
    outward_bias: Tensor
    """``[network, output]``."""
    alpha: Tensor | None = None
    """``[network]``; all 1 if not given."""


def rate_networks(
    weights: RateWeights,
    x: Tensor,
    relu: bool,
    noise: Tensor | None = None,
    states: str | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Outputs ``[network, batch, time, output]`` of rate networks, and their states if wanted.

    Args:
        weights: Of the networks.
        x: Inputs ``[network, batch, time, input]``, or ``[batch, time, input]`` for all.
        relu: Whether φ is ReLU; it is tanh otherwise.
        noise: n, ``[network, batch, time, hidden]``, if any.
        states: ``rates`` for φ(x), ``potentials`` for x: ``[network, batch, time, hidden]``.
    """
    # tanh z/2 is 2σ(z) - 1, and torch has a kernel for σ that is several times as fast as that for tanh; the
    # weights make up for the half. A last column takes the biases.
    slope = 1 if relu else 2
    hidden, outputs = weights.recurrent.shape[1], weights.outward.shape[1]
    into = slope * torch.cat([weights.recurrent, weights.inward, weights.bias[..., None]], 2)
    out = torch.cat([weights.outward, weights.outward_bias[..., None]], 2)
    keep = None
    if weights.alpha is not None:
        into, keep = weights.alpha[:, None, None] * into, 1 - weights.alpha[:, None, None]
    gap = out.new_zeros(len(out), outputs, weights.inward.shape[2])
    whole = torch.cat([into, torch.cat([out[..., :hidden], gap, out[..., hidden:]], 2)], 1)
    inputs = x.permute(2, 0, 3, 1) if x.dim() == 4 else x.permute(1, 2, 0)[:, None]
    pushed = None if noise is None else slope * noise.permute(2, 0, 3, 1)
    learns = torch.is_grad_enabled() and whole.requires_grad
    y, found = RatePasses.apply(whole, inputs, keep, pushed, relu, states, learns)
    if found is not None:
        found = (found / slope if states == "potentials" else found).permute(1, 3, 0, 2)
    return y.permute(1, 3, 0, 2), found


class RatePasses(torch.autograd.Function):
    """Several rate networks in a form of their own, all of a time step in one product a network:

    (z_t, y_{t-1}) = M (r_{t-1}, u_t, 1) + ((1-α) z_{t-1} + n_t, 0) and r_t = ψ(z_t), where ψ is ReLU, or tanh
    of z_t / 2. Differentiable with respect to M alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        x: Tensor,
        keep: Tensor | None,
        noise: Tensor | None,
        relu: bool,
        states: str | None,
        learns: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """``y`` ``[time, network, output, batch]``, and ``r`` or ``z`` ``[time, network, hidden, batch]``.

        ``weights`` M ``[network, hidden + output, hidden + input + 1]``; ``x`` ``[time, network, input,
        batch]``; ``keep`` 1-α ``[network, 1, 1]``; ``noise`` as ``z``; ``states`` says which are wanted.
        """
        (networks, rows, columns), (steps, _, inputs, batch) = weights.shape, x.shape
        hidden = columns - inputs - 1
        whole = learns or states == "rates"
        held = weights.new_empty(steps + 1 if whole else 2, networks, columns, batch)
        held[:, :, -1] = 1
        held[0, :, :hidden] = 0
        y = weights.new_empty(steps, networks, rows - hidden, batch)
        z = weights.new_empty(steps, networks, hidden, batch) if states == "potentials" else None
        products = weights.new_zeros(2, networks, rows, batch)
        totals, outputs = products[:, :, :hidden].unbind(0), products[:, :, hidden:].unbind(0)
        rates, drives = held[:, :, :hidden].unbind(0), held[:, :, hidden:-1].unbind(0)
        slices, both, into, u = held.unbind(0), products.unbind(0), y.unbind(0), x.unbind(0)
        many, minus = len(slices), weights.new_tensor(-1)
        for t in range(steps):
            total = totals[t % 2]
            drives[t % many].copy_(u[t])
            torch.bmm(weights, slices[t % many], out=both[t % 2])
            if t:
                into[t - 1].copy_(outputs[t % 2])
            if keep is not None:
                total.addcmul_(totals[1 - t % 2], keep)
            if noise is not None:
                total += noise[t]
            if z is not None:
                z[t] = total
            r = rates[(t + 1) % many]
            if relu:
                torch.clamp_min(total, 0, out=r)
            else:
                torch.add(minus, torch.sigmoid(total, out=r), alpha=2, out=r)
        drives[steps % many].zero_()  # nothing follows the last step
        torch.bmm(weights[:, hidden:], slices[steps % many], out=into[-1])
        if learns:
            ctx.save_for_backward(weights, held, keep)
            ctx.relu, ctx.states = relu, states
        return y, held[1:, :, :hidden] if states == "rates" else z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_states: Tensor | None) -> tuple[Tensor | None, ...]:
        weights, held, keep = ctx.saved_tensors
        hidden = weights.shape[1] - grad.shape[2]
        share = 1 if ctx.relu else 0.5  # the slope of ψ, apart from that of ReLU or tanh
        back = share * weights[:, :, :hidden].mT.contiguous()
        total = torch.zeros_like(weights)
        delta = held.new_zeros(len(weights), weights.shape[1], held.shape[3])  # of (z_{t+1}, y_t)
        delta_z, delta_y = delta[:, :hidden], delta[:, hidden:]
        delta_r = torch.empty_like(delta_z, memory_format=torch.contiguous_format)
        into = delta_z if keep is None else delta_r
        slices, rates, outputs = held.unbind(0), held[:, :, :hidden].unbind(0), grad.unbind(0)
        for t in range(len(grad), 0, -1):
            delta_y.copy_(outputs[t - 1])
            torch.bmm(back, delta, out=delta_r)
            total.baddbmm_(delta, slices[t].mT)
            if grad_states is not None and ctx.states == "rates":
                delta_r.add_(grad_states[t - 1], alpha=share)
            if ctx.relu:
                _threshold_backward(delta_r, rates[t], 0, grad_input=into)
            else:
                _tanh_backward(delta_r, rates[t], grad_input=into)
            if keep is not None:
                delta_z.mul_(keep).add_(delta_r)
            if grad_states is not None and ctx.states == "potentials":
                delta_z += grad_states[t - 1]
        delta_y.zero_()
        return total.baddbmm_(delta, slices[0].mT), *[None] * 6
