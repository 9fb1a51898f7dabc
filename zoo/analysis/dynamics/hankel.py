"""Hankel dynamic mode decomposition: a linear operator on delay vectors, from many short trials."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.errors import AnalysisError

BLOCK = 2**22
"""Numbers of delay vectors held at once: 32 MiB. The whole delay matrix is never built."""


def delay_vectors(states: Tensor, delays: int, interval: int, rows: slice) -> Tensor:
    """Rows of the delay matrix of each trial, newest sample first: ``[trial, row, delays * unit]``.

    Row ``j`` stacks the samples ``j + (delays-1) * interval``, …, ``j + interval``, ``j``.
    """
    return torch.cat(
        [states[:, rows.start + d * interval : rows.stop + d * interval] for d in reversed(range(delays))], -1
    )


def hankel_operator(
    states: Tensor, delays: int, interval: int, rank: int | None, ridge: float, name: str, rounding: float
) -> Tensor:
    """The one-step operator ``[rank, rank]`` in eigen-time-delay coordinates (Ostrow et al. 2023).

    Principal component regression: ``V`` are the leading left singular vectors of the delay matrix of
    all trials, and ``A = [(V₋ᵀV₋ + ridge·I)⁻¹ V₋ᵀV₊]ᵀ``, where the rows of ``V₋`` and ``V₊`` follow each
    other within a trial, never across two. Its eigenvalues are those of the dynamics; its basis is
    only defined up to signs.

    Args:
        states: ``[trial, time, unit]``, float64.
        rank: Coordinates kept; without it, every one above the rounding of the data.
        rounding: Relative precision of the data. Directions with less than this share of the largest
            singular value are noise.

    Raises:
        AnalysisError: Trials are too short, there are fewer transitions than coordinates, the data
            have fewer directions than ``rank``, or the regression is singular.
    """
    trials, steps, units = states.shape
    width, rows = delays * units, steps - (delays - 1) * interval
    if rows < 2:
        raise AnalysisError(
            f"dsa needs trials of at least {(delays - 1) * interval + 2} steps for {delays} delays at "
            f"interval {interval}; those of {name} have {steps}. Lower 'delays' or 'interval', or give "
            "longer trials."
        )
    triangle = states.new_empty(0, width)
    for some, part in _blocks(trials, rows, width):
        block = delay_vectors(states[some], delays, interval, part).flatten(0, 1)
        # QR block by block gives the singular values and right vectors of the whole; a Gram matrix
        # would take less time and lose half of the digits.
        triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
    _, size, directions = torch.linalg.svd(triangle, full_matrices=False)
    found = int(
        (size > size[0] * max(rounding, torch.finfo(size.dtype).eps * max(trials * rows, width))).sum()
    )
    transitions = trials * (rows - 1)
    if rank is not None and rank > found:
        raise AnalysisError(
            f"dsa cannot use rank {rank} for {name}: its delay vectors have {found} directions that are more "
            f"than rounding. Set 'rank' to at most {found} (or to none: all there are), or give more data."
        )
    kept = found if rank is None else rank
    if transitions < kept:
        raise AnalysisError(
            f"dsa has too few samples of {name}: {trials} trials × {rows - 1} transitions for {kept} delay "
            "coordinates. Give more or longer trials, or lower 'rank' or 'delays'."
        )
    basis = directions[:kept].T / size[:kept]
    before, after = states.new_zeros(2, kept, kept)
    for some, part in _blocks(trials, rows - 1, width):
        block = delay_vectors(states[some], delays, interval, slice(part.start, part.stop + 1)) @ basis
        old, new = block[:, :-1].flatten(0, 1), block[:, 1:].flatten(0, 1)
        before += old.T @ old
        after += old.T @ new
    before.diagonal().add_(ridge)
    try:
        return torch.linalg.solve(before, after).T
    except RuntimeError as problem:  # torch's LinAlgError is one
        raise AnalysisError(
            f"the regression of dsa is singular for {name}. Set 'ridge' above 0, or lower 'rank'."
        ) from problem


def _blocks(trials: int, rows: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Trials and rows of each block: at least ``width`` rows where there are, for QR to be worth it."""
    span = min(rows, max(width, BLOCK // width))
    some = max(1, max(width, BLOCK // width) // span)
    for trial in range(0, trials, some):
        for row in range(0, rows, span):
            yield slice(trial, trial + some), slice(row, min(row + span, rows))
