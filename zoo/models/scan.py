"""Whole-sequence passes of cells whose units interact through one matrix, with the way back written out.

Such a cell is ``a = d_t + W r(h)``, ``h' = f(h, a)``, where r and f act on each unit by itself; a new one
says r, f and their derivatives as a :class:`Local`. In both directions the loop over time then holds a
matrix product and a few elementwise operations; derivatives are taken for all steps at once, and the
gradient of the weights is one product. As in :mod:`zoo.models.kernels`: first derivatives only, the same to
rounding as ``step``; ``vmap`` over networks goes through.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CACHE = 2**16
"""Numbers in the states and weights of the networks that are worked on together, which stay in the cache."""


class Local(Protocol):
    """What happens at each unit. States are ``[…, hidden]``, drives ``[…, gates × hidden]``; zero is the
    initial state, and r(0) = 0."""

    @property
    def keeps(self) -> bool:
        """Whether ``partials`` needs what ``new`` leaves in the drive; if not, the state takes its place."""

    @property
    def direct(self) -> bool:
        """Whether r(h) = h."""

    def acts(self, h: Tensor) -> Tensor:
        """r(h), what the units give to others."""

    def becomes(self, h: Tensor, a: Tensor) -> Tensor:
        """f(h, a)."""

    def source(self, h: Tensor, out: Tensor) -> None:
        """Puts r(h) into ``out``."""

    def new(self, h: Tensor | None, a: Tensor, out: Tensor) -> None:
        """Puts f(h, a) into ``out``, which is ``a`` where it is not kept; ``h`` is none for zero. May replace
        ``a``."""

    def partials(
        self, h: Tensor, a: Tensor, sources: Tensor
    ) -> tuple[Tensor | float, Tensor | float, Tensor | None]:
        """∂f/∂h ``[…, hidden]`` and ∂f/∂a ``[…, gates × hidden]`` at the states before each step, with ``a``
        as ``new`` left it, and r'(h) there, none where it is 1."""


class Scan(torch.autograd.Function):
    """States ``[time, batch, hidden]`` for drives ``[time, batch, gates × hidden]`` and weights ``[gates ×
    hidden, hidden]``, from zero. What comes after them is for the way back."""

    @staticmethod
    def forward(drive: Tensor, weight: Tensor, local: Local) -> tuple[Tensor, Tensor, Tensor]:
        made = _made(drive, weight, local)
        _run(drive, weight, local, *_full(*made))
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Local], output: tuple[Tensor, ...]) -> None:
        _remember(ctx, inputs, output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, None]:
        weight, *made = ctx.saved_tensors
        states, kept, sources = _full(*made)
        delta = torch.empty_like(kept)
        _back(grad, states, kept, sources, weight, ctx.local, delta)
        return delta, delta[1:].flatten(0, 1).t() @ sources[:-1].flatten(0, 1), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], drive: Tensor, weight: Tensor, local: Local
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        one, other = (
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip((drive, weight), in_dims, strict=False)
        )
        made = Scans.apply(one.transpose(0, 1), other, local)
        return made, tuple(1 if value.numel() else None for value in made)


class Scans(torch.autograd.Function):
    """The same for several networks: drives ``[time, network, batch, gates × hidden]``, weights ``[network,
    gates × hidden, hidden]``."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, local: Local) -> tuple[Tensor, Tensor, Tensor]:
        made = _made(drive, weight, local)
        for part in _parts(made[0]):
            of = [value[:, part] for value in _full(*made)]
            _run(drive[:, part], weight[part], local, *of)
        _remember(ctx, (drive, weight, local), made)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, None]:
        weight, *made = ctx.saved_tensors
        full = _full(*made)
        delta, total = torch.empty_like(full[1]), torch.empty_like(weight)
        for part in _parts(full[0]):
            states, kept, sources = (value[:, part] for value in full)
            d = delta[:, part]
            _back(grad[:, part], states, kept, sources, weight[part], ctx.local, d)
            rows, columns = (value.transpose(0, 1).flatten(1, 2) for value in (d[1:], sources[:-1]))
            torch.bmm(rows.mT, columns, out=total[part])
        return delta, total, None


def tanh_(value: Tensor) -> Tensor:
    """In place; on the CPU by a sigmoid, for which torch has a kernel five times as fast."""
    if value.dtype != torch.float32 or value.device.type != "cpu":
        return value.tanh_()
    return value.mul_(2).sigmoid_().mul_(2).sub_(1)


@torch.no_grad()
def jacobians(h: Tensor, drive: Tensor, weight: Tensor, local: Local) -> Tensor:
    """∂h'/∂h ``[batch, hidden, hidden]`` at states and drives ``[batch, …]``: what units do by themselves,
    and W between two diagonal matrices."""
    sources = local.acts(h)
    a = F.linear(sources, weight).add_(drive)
    local.new(h, a, torch.empty_like(h) if local.keeps else a)
    by_state, by_drive, slope = local.partials(h, a, sources)
    found = weighed(by_drive if isinstance(by_drive, Tensor) else torch.full_like(a, by_drive), weight)
    if slope is not None:
        found.mul_(slope[:, None])
    found.diagonal(dim1=1, dim2=2).add_(by_state)
    return found


def weighed(factors: Tensor, weight: Tensor) -> Tensor:
    """The sum over gates of their matrices, each row times its factor: ``[batch, hidden, hidden]`` from
    ``[batch, gates × hidden]`` and ``[gates × hidden, hidden]``."""
    hidden = weight.shape[1]
    first, *others = zip(factors[..., None].split(hidden, 1), weight.split(hidden), strict=True)
    found = first[0] * first[1]
    for factor, matrix in others:
        found.addcmul_(factor, matrix)
    return found


def _made(drive: Tensor, weight: Tensor, local: Local) -> tuple[Tensor, Tensor, Tensor]:
    """States, drives as ``new`` leaves them, r(h); empty where it is the states that hold it."""
    states, nothing = drive.new_empty(*drive.shape[:-1], weight.shape[-1]), drive.new_empty(0)
    kept = torch.empty_like(drive, memory_format=torch.contiguous_format) if local.keeps else nothing
    return states, kept, nothing.clone() if local.direct else torch.empty_like(states)


def _full(states: Tensor, kept: Tensor, sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return states, kept if kept.numel() else states, sources if sources.numel() else states


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, Local], made: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(inputs[1], *made)
    ctx.mark_non_differentiable(*made[1:])
    ctx.local = inputs[2]


def _run(drive: Tensor, weight: Tensor, local: Local, states: Tensor, kept: Tensor, sources: Tensor) -> None:
    recurrent = weight.mT.contiguous()
    multiply = torch.addmm if weight.dim() == 2 else torch.baddbmm
    h = source = None
    for d, a, state, r in zip(*(value.unbind(0) for value in (drive, kept, states, sources)), strict=True):
        if source is None:
            a.copy_(d)
        else:
            multiply(d, source, recurrent, out=a)
        local.new(h, a, state)
        h, source = state, r
        if not local.direct:
            local.source(h, r)


def _back(
    grad: Tensor, states: Tensor, kept: Tensor, sources: Tensor, weight: Tensor, local: Local, delta: Tensor
) -> None:
    """Puts the gradient of the drives into ``delta``.

    With p, q, s for ∂f/∂h, ∂f/∂a and r', and e_t for the whole gradient of h_t: δ_t = q_t e_t, and
    e_{t-1} = g_{t-1} + p_t e_t + s_t (Wᵀ δ_t).
    """
    keep, gain, slope = local.partials(_before(states), kept, sources)
    single = weight.dim() == 2
    many = isinstance(gain, Tensor)
    errors = torch.empty_like(states) if many else delta
    rolling, changes = errors.unbind(0), delta.unbind(0)
    width = (-1, states.shape[-1])
    wide = delta.unflatten(-1, width).unbind(0)
    gains = gain.unflatten(-1, width).unbind(0) if isinstance(gain, Tensor) else (delta,)
    turn = weight if isinstance(gain, Tensor) else weight * gain
    back = torch.empty_like(states[0])
    e = rolling[-1].copy_(grad[-1])
    for t, (g, below) in reversed([*enumerate(zip(grad.unbind(0)[:-1], rolling, strict=False), 1)]):
        if many:
            torch.mul(gains[t], e.unsqueeze(-2), out=wide[t])
        if slope is None:
            (torch.addmm if single else torch.baddbmm)(g, changes[t], turn, out=below)
        else:
            torch.matmul(changes[t], turn, out=back)
            torch.addcmul(g, back, slope[t - 1], out=below)
        if isinstance(keep, Tensor):
            below.addcmul_(keep[t], e)
        elif keep:
            below.add_(e, alpha=keep)
        e = below
    if many:
        torch.mul(gains[0], e.unsqueeze(-2), out=wide[0])
    else:
        delta.mul_(gain)


def _parts(states: Tensor) -> list[slice]:
    """Of the networks in ``[time, network, batch, hidden]``, those that are worked on together."""
    most = max(1, CACHE // (states[0, 0].numel() + states.shape[-1] ** 2))
    return [slice(start, start + most) for start in range(0, states.shape[1], most)]


def _before(states: Tensor) -> Tensor:
    """The state before each step."""
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])
