"""Hankel dynamic mode decomposition: a linear operator on delay vectors, from many short trials."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.errors import AnalysisError

BLOCK = 2**22
"""Numbers of delay vectors held at once: 32 MiB. The whole delay matrix is never built."""
FEW, SPARE = 6, 16
"""Coordinates that are few enough, that many times with some to spare, to be found one block at a time."""
EXACT = 1e-9
"""Residual of a singular vector of the delay matrix, as a share of its squared singular value."""


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
    few = rank is not None and FEW * (rank + SPARE) <= min(trials * rows, width)
    if few and rank is not None:
        size, directions = _leading_directions(states, delays, interval, rank)
    else:
        size, directions = _all_directions(states, delays, interval)
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
        block = _times(states[some], delays, interval, slice(part.start, part.stop + 1), basis)
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


def _all_directions(states: Tensor, delays: int, interval: int) -> tuple[Tensor, Tensor]:
    """Singular values of the delay matrix, and its right singular vectors as rows."""
    trials, steps, units = states.shape
    width, rows = delays * units, steps - (delays - 1) * interval
    triangle = states.new_empty(0, width)
    for some, part in _blocks(trials, rows, width):
        block = delay_vectors(states[some], delays, interval, part).flatten(0, 1)
        # QR block by block gives the singular values and right vectors of the whole; a Gram matrix
        # would take less time and lose half of the digits.
        triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
    _, size, directions = torch.linalg.svd(triangle, full_matrices=False)
    return size, directions


def _leading_directions(states: Tensor, delays: int, interval: int, rank: int) -> tuple[Tensor, Tensor]:
    """The first ``rank`` of :func:`_all_directions`, by block Lanczos with full orthogonalisation.

    The delay matrix is only ever multiplied with, delay by delay. Ends when each of the directions is
    one to :data:`EXACT`, or when there is nothing else.
    """
    trials, steps, units = states.shape
    rows, width, wide = steps - (delays - 1) * interval, delays * units, rank // 4 + SPARE

    block = torch.randn(width, wide, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    block = torch.linalg.qr(block.to(states)).Q
    basis, image = states.new_empty(width, 0), states.new_empty(trials * rows, 0)
    while True:
        product = _times(states, delays, interval, slice(0, rows), block)
        basis, image = torch.cat([basis, block], 1), torch.cat([image, product.flatten(0, 1)], 1)
        _, size, turn = torch.linalg.svd(torch.linalg.qr(image, mode="r").R, full_matrices=False)
        size, turn = size[:rank], turn[:rank]
        following = _without(_transposed_times(states, delays, interval, product), basis)
        # All that multiplying a direction with HᵀH gives beside itself.
        rest = (following @ turn[:, -wide:].T).norm(dim=0)
        enough = torch.maximum(EXACT * size.square(), torch.finfo(size.dtype).eps * 64 * size[0].square())
        if (len(size) == rank and bool((rest <= enough).all())) or basis.shape[1] + wide > width:
            return size, turn @ basis.T
        block = torch.linalg.qr(_without(torch.linalg.qr(following).Q, basis)).Q


def _without(vectors: Tensor, basis: Tensor) -> Tensor:
    """Vectors less what they have in a basis; twice is enough (Giraud, Langou & Rozložník 2005)."""
    for _ in range(2):
        vectors = vectors - basis @ (basis.T @ vectors)
    return vectors


def _times(states: Tensor, delays: int, interval: int, rows: slice, vectors: Tensor) -> Tensor:
    """``delay_vectors(…) @ vectors``, ``[trial, row, vector]``, without the delay vectors."""
    trials, count = len(states), rows.stop - rows.start
    product = states.new_zeros(trials, count, vectors.shape[1])
    for delay, part in zip(reversed(range(delays)), vectors.split(states.shape[2]), strict=True):
        first = rows.start + delay * interval
        product.baddbmm_(states[:, first : first + count], part.expand(trials, -1, -1))
    return product


def _transposed_times(states: Tensor, delays: int, interval: int, product: Tensor) -> Tensor:
    """``delay_vectors(…).T @ product`` over all trials and rows, ``[delays * unit, vector]``."""
    rows = product.shape[1]
    starts = [delay * interval for delay in reversed(range(delays))]
    return torch.cat([(states[:, first : first + rows].mT @ product).sum(0) for first in starts])
