"""Whole-sequence pass of liquid time-constant networks, fused, with the way back written out.

A step of the solver is v' = (c v + p + Σ_i a_ji o_ji) / (q + Σ_i w_ji o_ji) with o_ji = σ(s_ji v_i - k_ji),
where p and q, the parts of the inputs, are there for all time steps beforehand. The usual loop goes over the
``batch × hidden²`` gates o seven times forth and fourteen times back, each time in new memory; this one four
and ten times in the same: both sums are one batched product, and so are the gradients of a and w. Nothing of
that size is kept for the way back, where the gates are computed again. Where gates are those of neurons
(o_ji = o_i), there are only ``batch × hidden`` of them, and the sums are matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHE = 2**17
"""Gates of the networks that are worked on together, which stay in the cache."""
TINY = 1e-20
"""In the place of slopes that are zero, by which sums are divided."""

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


class LiquidScan(torch.autograd.Function):
    """States ``[time, batch, hidden]`` from zero, and more for the way back.

    Takes p and q ``[time, batch, hidden]``, c ``[hidden]``, s and k ``[hidden, hidden]`` (to, from) or, of
    neurons, ``[hidden]``, a and w ``[hidden, hidden]``, and how many solver steps there are in one. As in
    :mod:`zoo.models.scan`: first derivatives only, and ``vmap`` over networks goes through.
    """

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        driven, of_network = [value[:, None] for value in inputs[:2]], [value[None] for value in inputs[2:-1]]
        states, potentials, sums = _run(inputs[-1], *driven, *of_network)
        return states[:, 0], potentials, sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*inputs[2:-1], *output[1:])
        ctx.mark_non_differentiable(*output[1:])
        ctx.unfolds = inputs[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        *of_network, potentials, sums = ctx.saved_tensors
        c, s, k, a, w = (value[None] for value in of_network)
        found = _back(ctx.unfolds, grad[:, None], c, s, k, a, w, potentials, sums)
        return *(value.squeeze(1) for value in found[:2]), *(value.squeeze(0) for value in found[2:]), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        every = [
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip(inputs[:-1], in_dims, strict=False)
        ]
        states = LiquidScans.apply(*(value.transpose(0, 1) for value in every[:2]), *every[2:], inputs[-1])
        return (states, states.new_empty(0), states.new_empty(0)), (1, None, None)


class LiquidScans(torch.autograd.Function):
    """The same for several networks, whose axis comes after time's and before all others."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        ctx.unfolds, ctx.parts = inputs[-1], _parts(*inputs[:3])
        made = [_run(ctx.unfolds, *_of(part, inputs[:-1])) for part in ctx.parts]
        ctx.save_for_backward(*inputs[2:-1], *(value for each in made for value in each[1:]))
        return torch.cat([each[0] for each in made], 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        of_networks, rest = ctx.saved_tensors[:5], ctx.saved_tensors[5:]
        found = [
            _back(
                ctx.unfolds, grad[:, part], *(value[part] for value in of_networks), *rest[2 * k : 2 * k + 2]
            )
            for k, part in enumerate(ctx.parts)
        ]
        return *(torch.cat(each, 1 if k < 2 else 0) for k, each in enumerate(zip(*found, strict=True))), None


def _parts(pull: Tensor, _: Tensor, capacity: Tensor) -> list[slice]:
    """Of the networks, those that are worked on together."""
    most = max(1, CACHE // (pull.shape[2] * capacity.shape[1] ** 2))
    return [slice(start, start + most) for start in range(0, len(capacity), most)]


def _of(part: slice, inputs: Sequence[Tensor]) -> list[Tensor]:
    return [value[:, part] if k < 2 else value[part] for k, value in enumerate(inputs)]


class Gates:
    """Gates o of several networks, and sums over them. Potentials are ``[unit, network, batch]`` here.

    Gates of synapses are ``[to, network, from, batch]``, those of neurons ``[network, from, batch]``.
    """

    def __init__(self, slope: Tensor, shift: Tensor, toward: Tensor, weight: Tensor) -> None:
        self.each = slope.dim() == 3
        self.networks, self.units = weight.shape[:2]
        own = slope.transpose(0, 1) if self.each else slope
        self.slope = torch.where(own == 0, TINY, own)[..., None]
        self.shift = (shift.transpose(0, 1) if self.each else shift)[..., None].contiguous()
        if self.each:
            self.pairs = torch.stack([toward, weight], 2).transpose(0, 1).flatten(0, 1)
        else:
            self.pairs = torch.cat([toward, weight], 1)

    def room(self, batch: int) -> Tensor:
        """For the gates of a solver step."""
        return self.slope.new_empty(*self.slope.shape[:-1], batch)

    def open(self, v: Tensor, out: Tensor) -> None:
        """Puts the gates into ``out``."""
        torch.mul(self.slope, v.transpose(0, 1), out=out).sub_(self.shift).sigmoid_()

    def joined(self, pull: Tensor, total: Tensor) -> Tensor:
        """p and q ``[…, unit, network, batch]`` as one, laid out as the sums."""
        if self.each:
            return torch.stack([pull, total], -2).flatten(-4, -3)
        return torch.cat([pull, total], -3).transpose(-3, -2).contiguous()

    def split(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The other way, as views."""
        if self.each:
            apart = joined.unflatten(-3, (self.units, self.networks))
            return apart[..., 0, :], apart[..., 1, :]
        first, second = joined.transpose(-3, -2).chunk(2, -3)
        return first, second

    def flat(self, opened: Tensor) -> Tensor:
        """One matrix of gates for each of ``pairs``, ``[…, from, batch]``."""
        return opened.flatten(0, 1) if self.each else opened

    def turned(self) -> Tensor:
        """What takes the gradient of the sums to s times that of s v - k."""
        slope = self.slope.flatten(0, 1) if self.each else self.slope
        return (self.pairs.mT * slope).contiguous()


def _run(
    unfolds: int,
    pull: Tensor,
    total: Tensor,
    capacity: Tensor,
    slope: Tensor,
    shift: Tensor,
    toward: Tensor,
    weight: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """States ``[time, network, batch, hidden]``, and potentials and sums of all solver steps."""
    gates, c = Gates(slope, shift, toward, weight), capacity.mT[..., None]
    base = gates.joined(*(value.movedim(-1, 1).contiguous() for value in (pull, total)))
    opened = gates.room(pull.shape[2])
    flat = gates.flat(opened)
    sums = base.new_empty(len(base) * unfolds, *base.shape[1:])
    above, below = (value.unbind(0) for value in gates.split(sums))
    potentials = base.new_empty(len(sums) + 1, gates.units, *pull.shape[1:3])
    v = potentials[0].zero_()
    bases = [each for each in base.unbind(0) for _ in range(unfolds)]
    every = zip(bases, sums.unbind(0), above, below, potentials[1:].unbind(0), strict=True)
    for from_input, both, numerator, denominator, new in every:
        gates.open(v, opened)
        torch.baddbmm(from_input, gates.pairs, flat, out=both)
        torch.addcmul(numerator, c, v, out=new).div_(denominator)
        v = new
    return potentials[unfolds::unfolds].movedim(1, -1).contiguous(), potentials, sums


def _back(
    unfolds: int,
    grad: Tensor,
    capacity: Tensor,
    slope: Tensor,
    shift: Tensor,
    toward: Tensor,
    weight: Tensor,
    potentials: Tensor,
    sums: Tensor,
) -> tuple[Tensor, ...]:
    """Gradients of pull, total, capacity, slope, shift, toward and weight."""
    gates, c = Gates(slope, shift, toward, weight), capacity.mT[..., None]
    below, turned = gates.split(sums)[1].unbind(0), gates.turned()
    of_sums = torch.empty_like(sums)
    above, under = gates.split(of_sums)
    of_above, of_below, of_both = above.unbind(0), under.unbind(0), of_sums.unbind(0)
    values, opposite = potentials.unbind(0), (-potentials).unbind(0)
    opened, pulled = gates.room(grad.shape[2]), gates.room(grad.shape[2])
    flat, flat_pulled = gates.flat(opened), gates.flat(pulled)
    of_pairs, by_slope, by_shift = (torch.zeros_like(value) for value in (gates.pairs, opened, opened))
    errors = grad.movedim(-1, 1).contiguous().unbind(0)
    e, received = errors[-1].clone(), torch.empty_like(pulled[0] if gates.each else pulled)
    for t in range(len(sums) - 1, -1, -1):
        v = values[t].transpose(0, 1)
        gates.open(values[t], opened)
        torch.div(e, below[t], out=of_above[t])
        torch.mul(of_above[t], opposite[t + 1], out=of_below[t])
        torch.bmm(turned, of_both[t], out=flat_pulled)
        _sigmoid_backward(pulled, opened, grad_input=pulled)
        by_slope.addcmul_(pulled, v)
        by_shift.add_(pulled)
        of_pairs.baddbmm_(of_both[t], flat.mT)
        inward = torch.sum(pulled, 0, out=received) if gates.each else pulled
        torch.addcmul(inward.transpose(0, 1), c, of_above[t], out=e)
        if t and t % unfolds == 0:
            e.add_(errors[t // unfolds - 1])
    each = [(value.sum(-1) / gates.slope[..., 0]) for value in (by_slope, by_shift)]
    of_slope, of_shift = (value.transpose(0, 1) if gates.each else value for value in each)
    if gates.each:
        of_toward, of_weight = of_pairs.unflatten(0, (gates.units, gates.networks)).transpose(0, 1).unbind(2)
    else:
        of_toward, of_weight = of_pairs.chunk(2, 1)
    of_capacity = (above * potentials[:-1]).sum((0, 3)).mT
    of_pull, of_total = (value.unflatten(0, (-1, unfolds)).sum(1).movedim(1, -1) for value in (above, under))
    return of_pull, of_total, of_capacity, of_slope, -of_shift, of_toward, of_weight
