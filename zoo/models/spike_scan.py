"""Whole-sequence pass of leaky integrate-and-fire units, with surrogate gradients written out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Neuron:
    """What each unit does by itself, as :class:`~zoo.specs.models.spiking.LIFSpec` says."""

    alpha: float
    beta: float
    kappa: float
    threshold: float
    to_zero: bool
    refractory: int
    surrogate: str
    slope: float
    dampening: float

    def derivative(self, v: Tensor) -> Tensor:
        """The surrogate of ds/dv."""
        x = (v / self.threshold - 1) * self.slope
        match self.surrogate:
            case "fast-sigmoid":
                return self.dampening / (1 + x.abs()) ** 2
            case "atan":
                return self.dampening / (1 + (math.pi / 2 * x) ** 2)
            case _:
                return self.dampening * (1 - x.abs()).clamp_min(0)


class Spikes(torch.autograd.Function):
    """1 where v is above the threshold, and ``able`` (if given) is 1; with the surrogate's derivative."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, able: Tensor | None, neuron: Neuron) -> Tensor:
        spikes = (v > neuron.threshold).to(v.dtype)
        return spikes if able is None else spikes * able

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor | None, Neuron], output: Tensor) -> None:
        v, able, ctx.neuron = inputs
        ctx.save_for_backward(v, able)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        v, able = ctx.saved_tensors
        into = grad * ctx.neuron.derivative(v)
        return into if able is None else into * able, None, None


class SpikeScan(torch.autograd.Function):
    """Traces ``[time, batch, hidden]`` for drives of that shape and weights ``[hidden, hidden]``, from zero;
    and potentials, spikes, and where there may be spikes (nothing without a refractory time).

    As in :mod:`zoo.models.scan`: first derivatives only, and ``vmap`` over networks goes through.
    """

    @staticmethod
    def forward(drive: Tensor, weight: Tensor, neuron: Neuron) -> tuple[Tensor, ...]:
        return _run(drive, weight, neuron)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Neuron], output: tuple[Tensor, ...]) -> None:
        _remember(ctx, inputs, output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, None]:
        return _back(ctx, grad)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], drive: Tensor, weight: Tensor, neuron: Neuron
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        one, other = (
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip((drive, weight), in_dims, strict=False)
        )
        made = SpikeScans.apply(one.transpose(0, 1), other, neuron)
        return made, tuple(1 if value.numel() else None for value in made)


class SpikeScans(torch.autograd.Function):
    """The same for several networks: drives ``[time, network, batch, hidden]``, weights ``[network, hidden,
    hidden]``."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, neuron: Neuron) -> tuple[Tensor, ...]:
        made = _run(drive, weight, neuron)
        _remember(ctx, (drive, weight, neuron), made)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, None]:
        return _back(ctx, grad)


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, Neuron], made: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(inputs[1], *made[1:])
    ctx.mark_non_differentiable(*made[1:])
    ctx.neuron = inputs[2]


def _run(drive: Tensor, weight: Tensor, neuron: Neuron) -> tuple[Tensor, ...]:
    traces, potentials, spikes = (
        torch.empty_like(drive, memory_format=torch.contiguous_format) for _ in "rvs"
    )
    able = torch.empty_like(spikes) if neuron.refractory else drive.new_empty(0)
    recurrent = weight.mT.contiguous()
    multiply = torch.addmm if weight.dim() == 2 else torch.baddbmm
    current, left = torch.zeros_like(traces[0]), torch.zeros_like(traces[0])
    total, s, v, r = torch.empty_like(current), None, None, None
    for t, (d, v_t, s_t, r_t) in enumerate(
        zip(*(x.unbind(0) for x in (drive, potentials, spikes, traces)), strict=True)
    ):
        received = d if s is None else multiply(d, s, recurrent, out=total)
        current.mul_(neuron.alpha).add_(received, alpha=1 - neuron.alpha)
        v_t.copy_(current)
        if v is not None and s is not None:
            if neuron.to_zero:
                v_t.add_(v * (1 - s), alpha=neuron.beta)
            else:
                v_t.add_(v, alpha=neuron.beta).sub_(s, alpha=neuron.threshold)
        torch.gt(v_t, neuron.threshold, out=s_t)
        if neuron.refractory:
            torch.le(left, 0, out=able[t])
            s_t.mul_(able[t])
            left.sub_(1).clamp_min_(0).masked_fill_(s_t > 0, neuron.refractory)
        torch.mul(s_t, 1 - neuron.kappa, out=r_t)
        if r is not None:
            r_t.add_(r, alpha=neuron.kappa)
        s, v, r = s_t, v_t, r_t
    return traces, potentials, spikes, able


def _back(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    weight, potentials, spikes, able = ctx.saved_tensors
    neuron: Neuron = ctx.neuron
    shares = neuron.derivative(potentials)
    if neuron.refractory:
        shares.mul_(able)
    delta = torch.empty_like(potentials)
    of_trace, of_spike, of_v = (torch.zeros_like(potentials[0]) for _ in "rsv")
    below = None
    for t in range(len(delta) - 1, -1, -1):
        of_trace.mul_(neuron.kappa).add_(grad[t])
        torch.mul(of_trace, 1 - neuron.kappa, out=of_spike)
        if below is not None:
            of_spike.add_(torch.matmul(below, weight))
        of_v.mul_(neuron.beta)
        if neuron.to_zero:
            of_v.mul_(1 - spikes[t])
        of_v.addcmul_(of_spike, shares[t])
        torch.mul(of_v, 1 - neuron.alpha, out=delta[t])
        if below is not None:
            delta[t].add_(below, alpha=neuron.alpha)
        below = delta[t]
    rows, columns = (_rows(value) for value in (delta[1:], spikes[:-1]))
    return delta, rows.mT @ columns, None


def _rows(value: Tensor) -> Tensor:
    """``[time, network, batch, width]`` as ``[network, time × batch, width]``, with or without networks."""
    return value.flatten(0, 1) if value.dim() == 3 else value.transpose(0, 1).flatten(1, 2)
