"""Whole-sequence passes of diagonal linear systems: a scan over the states, or a convolution by FFT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LinearScan(torch.autograd.Function):
    """h_t = a h_{t-1} + d_t from zero, for ``d`` ``[time, …]`` and ``a`` that broadcasts to ``d[0]``.

    Real or complex. With ``reverse`` time runs backwards, which is what its own derivative does: so it can be
    differentiated again, forwards as well, and ``vmap`` goes through.
    """

    @staticmethod
    def forward(drive: Tensor, factor: Tensor, reverse: bool) -> Tensor:
        return (one_by_one if drive.device.type == "cpu" else by_doubling)(drive, factor, reverse)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)
        ctx.save_for_forward(inputs[1], output)
        ctx.reverse = inputs[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        factor, states = ctx.saved_tensors
        errors: Tensor = LinearScan.apply(grad, factor.conj().resolve_conj(), not ctx.reverse)
        found = None
        if ctx.needs_input_grad[1]:
            found = (errors * _before(states, ctx.reverse).conj()).sum(0).sum_to_size(factor.shape)
        return errors, found, None

    @staticmethod
    def jvp(ctx: Any, drive: Tensor | None, factor: Tensor | None, _: None) -> Tensor:
        value, states = ctx.saved_tensors
        change = 0 if factor is None else factor * _before(states, ctx.reverse)
        total = torch.zeros_like(states) + change + (0 if drive is None else drive)
        found: Tensor = LinearScan.apply(total, value, ctx.reverse)
        return found

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], drive: Tensor, factor: Tensor, reverse: bool
    ) -> tuple[Tensor, int]:
        of_drive, of_factor, _ = in_dims
        count = info.batch_size
        if of_drive is None:
            drive = drive.unsqueeze(1).expand(len(drive), count, *drive.shape[1:])
        else:
            drive = drive.movedim(of_drive, 1)
        if of_factor is not None:
            factor = factor.movedim(of_factor, 0)
            gap = [1] * (drive.dim() - 1 - factor.dim())
            factor = factor.reshape(count, *gap, *factor.shape[1:])
        return LinearScan.apply(drive, factor, reverse), 1


def linear_scan(drive: Tensor, factor: Tensor) -> Tensor:
    """States ``[time, …]`` of h_t = ``factor`` h_{t-1} + ``drive[t]`` from zero; ``factor`` broadcasts to
    ``drive[0]``."""
    states: Tensor = LinearScan.apply(drive, factor, False)
    return states


def one_by_one(drive: Tensor, factor: Tensor, reverse: bool = False) -> Tensor:
    """A step at a time: the least work, which is what counts on a CPU."""
    states = torch.empty_like(drive, memory_format=torch.contiguous_format)
    factor = factor.expand(drive.shape[1:]).contiguous()
    pairs = list(zip(drive.unbind(0), states.unbind(0), strict=True))
    before = None
    for d, h in reversed(pairs) if reverse else pairs:
        if before is None:
            h.copy_(d)
        else:
            torch.addcmul(d, factor, before, out=h)
        before = h
    return states


def by_doubling(drive: Tensor, factor: Tensor, reverse: bool = False) -> Tensor:
    """All steps at once, in log₂(time) rounds (Hillis & Steele 1986): the shortest way on a GPU."""
    states, shift = drive, 1
    while shift < len(drive):
        if reverse:
            states = torch.cat([states[:-shift] + factor * states[shift:], states[-shift:]])
        else:
            states = torch.cat([states[:shift], states[shift:] + factor * states[:-shift]])
        factor, shift = factor * factor, 2 * shift
    return states.clone() if states is drive else states


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Σ_k kernel[…, k] x[…, t-k], by FFT: causal, both ``[…, time]``."""
    steps = x.shape[-1]
    size = fast_length(2 * steps - 1)
    product = torch.fft.rfft(x, n=size) * torch.fft.rfft(kernel, n=size)
    return torch.fft.irfft(product, n=size)[..., :steps]


def fast_length(least: int) -> int:
    """The smallest 2ᵏ, 3·2ᵏ or 5·2ᵏ that is no less."""
    power = 1 << (least - 1).bit_length()
    return min(size for size in (power, 3 * power // 4, 5 * power // 8) if size >= least)


def _before(states: Tensor, reverse: bool) -> Tensor:
    """The state that each step starts from."""
    none = torch.zeros_like(states[:1])
    return torch.cat([states[1:], none]) if reverse else torch.cat([none, states[:-1]])
