"""How many directions of noisy data are signal, and how many delays show them: choices made by the data."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from zoo.errors import AnalysisError

OMEGA = (0.56, -0.95, 1.82, 1.43)
"""The threshold in units of the median singular value, a cubic in the aspect ratio (Gavish & Donoho 2014,
eq. 5); within 0.02 of the exact one."""
SHORTEST = 8
"""Samples of the shortest signal and of the shortest period that are considered, and least longest lag."""
PROMINENCE, CYCLES = 8.0, 3
"""A period counts where its power is so many times the median power, and the trial holds so many of it."""
LONG, FLOORS = 256, (16, 32)
"""The fewest delays of trials that are shorter than so many steps, and of the others."""


def hard_threshold(singular_values: Tensor, rows: int, columns: int) -> int:
    """Singular values of a ``[rows, columns]`` matrix that stand out from noise of unknown size.

    Those above ``omega(beta) * median``, with ``beta`` the aspect ratio: the optimal hard threshold of
    Gavish & Donoho (2014) for a matrix of low rank plus white noise. The median is taken for one of noise:
    where more than half of the directions are signal the count is too small, at most half of them. Where
    half or more are zero (to rounding) there is no noise, and the count is the rank. White noise alone
    gives 0.

    Args:
        singular_values: ``[min(rows, columns)]``, all of them, in any order.

    Raises:
        AnalysisError: Not as many as the matrix has, one that is negative or not finite, or all zero.
    """
    count = min(rows, columns)
    if singular_values.shape != (count,):
        raise AnalysisError(
            f"a matrix [{rows}, {columns}] has {count} singular values; the hard threshold was given shape "
            f"{tuple(singular_values.shape)}. Give all of them."
        )
    values = singular_values.double()
    if not bool((torch.isfinite(values) & (values >= 0)).all()) or not bool(values.any()):
        raise AnalysisError(
            "the hard threshold needs singular values that are finite and not negative, one of them above "
            "zero. Look at the data for constant, NaN or infinite values."
        )
    return int(hard_thresholds(values, rows, columns))


def hard_thresholds(singular_values: Tensor, rows: int, columns: int) -> Tensor:
    """:func:`hard_threshold` of each of many matrices, ``[…, min(rows, columns)]`` → ``[…]``; 0 where all
    are zero. What they are is not checked."""
    values = singular_values
    beta = min(rows, columns) / max(rows, columns)
    omega = sum(weight * beta**power for weight, power in zip(OMEGA, (3, 2, 1, 0), strict=True))
    rounding = values.amax(-1, keepdim=True) * torch.finfo(values.dtype).eps * max(rows, columns)
    threshold = omega * values.quantile(0.5, dim=-1, keepdim=True)
    return (values > torch.maximum(threshold, rounding)).sum(-1)


def automatic_delays(states: Tensor) -> int:
    """How many delays, one step apart, are enough: the q* of fastDSA, the smallest of all trials.

    Of each trial one signal is read, the mean of its standardised units. A first number of delays is the
    largest of: twice the integrated autocorrelation time (up to the first lag without correlation, at
    most a quarter of the trial); the dominant period, where it stands out; ``2 * steps ** (1/3)``; 16, or
    32 in trials of 256 steps and more. The share of those delays that are signal, by
    :func:`hard_threshold` of the signal's delay matrix, then adds its square to them. Never more than
    half of the trial.

    Args:
        states: ``[trial, time, unit]``.

    Raises:
        AnalysisError: Trials shorter than :data:`SHORTEST`, states that are not finite, or a trial in
            which the mean of the standardised units does not change.
    """
    steps = states.shape[1]
    if steps < SHORTEST:
        raise AnalysisError(
            f"the number of delays cannot be chosen from trials of {steps} steps. Give at least {SHORTEST} "
            "steps, or set 'delays' to a number."
        )
    signal = _signal(states.double())
    most = (steps + 1) // 2
    floor = max(FLOORS[steps >= LONG], ceil(2 * steps ** (1 / 3)))
    first = torch.maximum(_correlated(signal), _period(signal)).clamp(min=floor).clamp(max=most)
    enough = most
    for delays in first.unique().tolist():  # trials of one number of delays go in a batch
        windows = signal[first == delays].unfold(1, delays, 1)
        rank = hard_thresholds(torch.linalg.svdvals(windows), *windows.shape[1:]).clamp(min=1)
        enough = min(enough, int((delays * (1 + (rank / delays) ** 2)).ceil().min()))
    return enough


def _signal(states: Tensor) -> Tensor:
    """``[trial, time]``: the mean of the standardised units of each trial, standardised itself."""
    scale = states.abs().amax(1, keepdim=True)
    scaled = states / scale.where(scale > 0, 1.0)  # squares of very large or small states stay in range
    signal = _standard(scaled).mean(2)
    standard = _standard(signal)
    poor = ~standard.any(1) | ~torch.isfinite(standard).all(1)
    if bool(poor.any()):
        raise AnalysisError(
            f"the number of delays cannot be chosen from trial {int(poor.nonzero()[0])}: the mean of its "
            "standardised units does not change, or is not finite. Set 'delays' to a number."
        )
    return standard


def _standard(values: Tensor) -> Tensor:
    """Along time, the second axis, less the mean and over the deviation; zero where there is but rounding."""
    centred = values - values.mean(1, keepdim=True)
    deviation = centred.square().mean(1, keepdim=True).sqrt()
    size = values.abs().amax(1, keepdim=True)
    moves = deviation > size * torch.finfo(values.dtype).eps * values.shape[1]
    return torch.where(moves | ~torch.isfinite(deviation), centred / deviation, 0.0)


def _correlated(signal: Tensor) -> Tensor:
    """``[trial]``: twice the integrated autocorrelation time, rounded up."""
    steps = signal.shape[1]
    power = torch.fft.rfft(signal, n=2 * steps).abs().square()
    lags = torch.fft.irfft(power)[:, 1 : max(SHORTEST, steps // 4) + 1] / signal.square().sum(1, keepdim=True)
    before = (lags > 0).cumprod(1)
    return (2 * (1 + 2 * (lags * before).sum(1))).ceil().long()


def _period(signal: Tensor) -> Tensor:
    """``[trial]``: the period with the most power, rounded up; 0 where it does not stand out."""
    steps = signal.shape[1]
    window = torch.hann_window(steps, periodic=False).to(signal)
    power = torch.fft.rfft(signal * window).abs().square()[:, 1:]
    peak, place = power.max(1)
    cycles = place + 1
    stands_out = peak >= PROMINENCE * power.quantile(0.5, dim=1)
    usual = (cycles * SHORTEST <= steps) & (cycles >= CYCLES)
    return torch.where(stands_out & usual, (steps / cycles).ceil(), 0).long()
