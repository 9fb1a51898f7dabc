"""Whole-sequence pass of liquid time-constant networks, fused, with the way back written out.

A step of the solver is v' = (c v + p + Σ_i a_ji o_ji) / (q + Σ_i w_ji o_ji) with o_ji = σ(s_ji v_i - k_ji),
where p and q, the parts of the inputs, are there for all time steps beforehand. The usual loop goes over the
``batch × hidden²`` gates o seven times forth and fourteen times back, each time in new memory; this one four
and nine times, in memory that stays in the cache, for as many units at a time as fit there. Both sums are one
batched product, and so are the gradients of a and w, and of s and k. Nothing of that size is kept for the way
back, where the gates are computed again. Where gates are those of neurons (o_ji = o_i), there are only
``batch × hidden`` of them, and the sums are matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHE = 2**17
"""Gates that are worked on together, which stay in the cache of a processor."""
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
    most = max(1, CACHE // (pull.shape[2] * capacity.shape[1] ** 2)) if pull.is_cpu else len(capacity)
    return [slice(start, start + most) for start in range(0, len(capacity), most)]


def _of(part: slice, inputs: Sequence[Tensor]) -> list[Tensor]:
    return [value[:, part] if k < 2 else value[part] for k, value in enumerate(inputs)]


class Gates:
    """Gates o ``[to, network, from, batch]`` into some units of several networks, and sums over them.

    Those of neurons are the same to all units: one stands for all. Potentials are ``[unit, network, batch]``.
    """

    def __init__(self, slope: Tensor, shift: Tensor, pairs: Tensor, room: Tensor) -> None:
        self.slope, self.shift, self.pairs, self.opened = slope, shift, pairs, room[: len(slope)]
        self.flat = self.opened.flatten(0, 1)

    def open(self, v: Tensor) -> None:
        torch.mul(self.slope, v.transpose(0, 1), out=self.opened).sub_(self.shift).sigmoid_()

    def sum(self, v: Tensor, from_inputs: Tensor, out: Tensor) -> None:
        """Puts the sums of a solver step into ``out``."""
        self.open(v)
        torch.baddbmm(from_inputs, self.pairs, self.flat, out=out)


class GatesBack(Gates):
    """The way back, which gathers the gradients of what is the same at all solver steps."""

    def __init__(self, slope: Tensor, shift: Tensor, pairs: Tensor, room: Tensor, more: Tensor) -> None:
        super().__init__(slope, shift, pairs, room)
        self.pulled = more[: len(slope)]
        self.pulled_flat, by_source = self.pulled.flatten(0, 1), self.pulled.movedim(0, 2).flatten(0, 1)
        self.pulled_by_source = by_source.mT
        # Takes the gradients of the sums to those of s v - k, times s.
        self.turned = (pairs.mT * slope.flatten(0, 1)).contiguous()
        self.of_pairs = torch.zeros_like(pairs)
        self.of_openings = pairs.new_zeros(len(by_source), 2, len(slope))

    def back(self, v: Tensor, both: Tensor, of_sums: Tensor, out: Tensor) -> None:
        """Puts the gradients of v into ``out``; ``both`` are v and ones ``[(network, from), 2, batch]``."""
        self.open(v)
        torch.bmm(self.turned, of_sums, out=self.pulled_flat)
        _sigmoid_backward(self.pulled, self.opened, grad_input=self.pulled)
        # Of s and k at once, over trials: sums of the size of the gates would push these out of the cache.
        self.of_openings.baddbmm_(both, self.pulled_by_source)
        self.of_pairs.baddbmm_(of_sums, self.flat.mT)
        torch.sum(self.pulled, 0, out=out)


class Layout:
    """How parameters and sums lie in memory, and which units' are worked on together.

    Sums over gates of synapses are ``[(to, network), 2, batch]``, of neurons ``[network, (2, to), batch]``.
    """

    def __init__(self, slope: Tensor, shift: Tensor, toward: Tensor, weight: Tensor, batch: int) -> None:
        self.each = slope.dim() == 3
        """Whether gates are those of synapses."""
        self.networks, self.units = weight.shape[:2]
        slope = torch.where(slope == 0, TINY, slope)
        self.slope, self.shift = (
            (value.transpose(0, 1) if self.each else value[None])[..., None].contiguous()
            for value in (slope, shift)
        )
        if self.each:
            self.pairs = torch.stack([toward, weight], 2).transpose(0, 1).flatten(0, 1)
        else:
            self.pairs = torch.cat([toward, weight], 1)
        fit = max(1, CACHE // (weight.shape[2] * self.networks * batch)) if weight.is_cpu else self.units
        self.rows = min(len(self.slope), fit)
        self.room = self.slope.new_empty(self.rows, *self.slope.shape[1:-1], batch)

    def parts(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """s, k, and the pairs of a and w, of those that are worked on together."""
        return zip(
            self.slope.split(self.rows), self.shift.split(self.rows), self.parted(self.pairs), strict=True
        )

    def parted(self, sums: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
        """The sums of each part."""
        return sums.split(self.rows * self.networks, dim)

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

    def gradients(self, gates: Sequence[GatesBack]) -> tuple[Tensor, ...]:
        """Of slope, shift, toward and weight, as these were given."""
        openings = torch.cat([part.of_openings for part in gates], 2).unflatten(0, (self.networks, -1))
        of_openings = [value.mT / self.slope[..., 0].transpose(0, 1) for value in openings.unbind(2)]
        of_pairs = torch.cat([part.of_pairs for part in gates])
        if self.each:
            of_weights = of_pairs.unflatten(0, (self.units, self.networks)).transpose(0, 1).unbind(2)
            return of_openings[0], -of_openings[1], *of_weights
        return of_openings[0][:, 0], -of_openings[1][:, 0], *of_pairs.chunk(2, 1)


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
    layout, c = Layout(slope, shift, toward, weight, pull.shape[2]), capacity.mT[..., None]
    gates = [Gates(*part, layout.room) for part in layout.parts()]
    base = layout.joined(*(value.movedim(-1, 1).contiguous() for value in (pull, total)))
    sums = base.new_empty(len(base) * unfolds, *base.shape[1:])
    bases, parts = ([part.unbind(0) for part in layout.parted(value, 1)] for value in (base, sums))
    above, below = (value.unbind(0) for value in layout.split(sums))
    potentials = base.new_empty(len(sums) + 1, layout.units, *pull.shape[1:3])
    v = potentials[0].zero_()
    for t, new in enumerate(potentials[1:].unbind(0)):
        for some, from_inputs, both in zip(gates, bases, parts, strict=True):
            some.sum(v, from_inputs[t // unfolds], both[t])
        torch.addcmul(above[t], c, v, out=new).div_(below[t])
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
    layout, c = Layout(slope, shift, toward, weight, grad.shape[2]), capacity.mT[..., None]
    more = torch.empty_like(layout.room)
    gates = [GatesBack(*part, layout.room, more) for part in layout.parts()]
    of_sums = torch.empty_like(sums)
    parts = [part.unbind(0) for part in layout.parted(of_sums, 1)]
    above, under = layout.split(of_sums)
    of_above, of_below, below = above.unbind(0), under.unbind(0), layout.split(sums)[1].unbind(0)
    values, opposite = potentials.unbind(0), (-potentials).unbind(0)
    both = torch.stack([potentials, torch.ones_like(potentials)], 3).transpose(1, 2).flatten(1, 2).unbind(0)
    errors = grad.movedim(-1, 1).contiguous().unbind(0)
    e = errors[-1].clone()
    received = layout.room.new_empty(len(gates), *layout.room.shape[1:])
    for t in range(len(sums) - 1, -1, -1):
        torch.div(e, below[t], out=of_above[t])
        torch.mul(of_above[t], opposite[t + 1], out=of_below[t])
        for some, of_both, out in zip(gates, parts, received, strict=True):
            some.back(values[t], both[t], of_both[t], out)
        torch.addcmul(received.sum(0).transpose(0, 1), c, of_above[t], out=e)
        if t and t % unfolds == 0:
            e.add_(errors[t // unfolds - 1])
    of_capacity = (above * potentials[:-1]).sum((0, 3)).mT
    of_inputs = (value.unflatten(0, (-1, unfolds)).sum(1).movedim(1, -1) for value in (above, under))
    return *of_inputs, of_capacity, *layout.gradients(gates)
