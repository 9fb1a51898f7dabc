"""Hankel dynamic mode decomposition: a linear operator on delay vectors, from many short trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from zoo.analysis.dynamics.ranks import hard_threshold
from zoo.errors import AnalysisError
from zoo.specs.analyses.dynamics import RankRule

BLOCK = 2**22
"""Numbers of delay vectors held at once: 32 MiB. The whole delay matrix is never built."""
FEW, SPARE = 6, 16
"""Coordinates that are few enough, that many times with some to spare, to be found one block at a time."""
EXACT = 1e-9
"""Residual of a singular vector of the delay matrix, as a share of its squared singular value."""
TIE = 1e-6
"""Relative difference of predicted variances below which directions are as good as each other."""


def delay_vectors(states: Tensor, delays: int, interval: int, rows: slice) -> Tensor:
    """Rows of the delay matrix of each trial, newest sample first: ``[trial, row, delays * unit]``.

    Row ``j`` stacks the samples ``j + (delays-1) * interval``, …, ``j + interval``, ``j``.
    """
    return torch.cat(
        [states[:, rows.start + d * interval : rows.stop + d * interval] for d in reversed(range(delays))], -1
    )


@dataclass(frozen=True)
class Coordinates:
    """Eigen-time-delay coordinates of trials, found without building their delay matrix."""

    states: Tensor
    """``[trial, time, unit]``, float64."""
    delays: int
    interval: int
    valid: Tensor | None
    """``[trial, row]``: 1 where a delay vector lies within its trial; none where all do."""
    size: Tensor
    """``[coordinate]``: singular values of the delay matrix, descending, more than rounding."""
    directions: Tensor
    """``[coordinate, delays * unit]``: its right singular vectors."""
    transitions: int
    """Delay vectors that another one follows in the same trial."""
    width: tuple[int, int]
    """Rows and columns of the delay matrix."""

    @property
    def rows(self) -> int:
        """Delay vectors of the longest trial."""
        return self.states.shape[1] - (self.delays - 1) * self.interval

    def of(self, trials: slice, rows: slice) -> Tensor:
        """Coordinates ``[trial, row, coordinate]`` of some delay vectors; zero in the padding."""
        basis = self.directions.T / self.size
        found = _times(self.states[trials], self.delays, self.interval, rows, basis)
        return found if self.valid is None else found * self.valid[trials, rows, None]

    def newest(self) -> Tensor:
        """``[coordinate, unit]``: what turns coordinates back into the newest sample of a delay vector."""
        return self.size[:, None] * self.directions[:, : self.states.shape[2]]

    def covariances(self) -> tuple[Tensor, Tensor]:
        """``V₋ᵀV₋`` and ``V₋ᵀV₊`` over all transitions, each ``[coordinate, coordinate]``."""
        before, after = self.states.new_zeros(2, len(self.size), len(self.size))
        for trials, rows in _blocks(len(self.states), self.rows - 1, self.width[1]):
            block = self.of(trials, slice(rows.start, rows.stop + 1))
            old, new = block[:, :-1], block[:, 1:]
            if self.valid is not None:  # what the last sample of a trial is followed by is padding
                old = old * self.valid[trials, rows.start + 1 : rows.stop + 1, None]
            old, new = old.flatten(0, 1), new.flatten(0, 1)
            before += old.T @ old
            after += old.T @ new
        return before, after


def delay_coordinates(
    states: Tensor,
    delays: int,
    interval: int,
    name: str,
    *,
    rank: int | None = None,
    rounding: float = 0.0,
    lengths: Tensor | None = None,
) -> Coordinates:
    """The leading coordinates of the delay vectors of all trials (Brunton et al. 2017; Ostrow et al. 2023).

    Args:
        states: ``[trial, time, unit]``, float64.
        rank: Coordinates that are needed; without it, every one above the rounding of the data.
        rounding: Relative precision of the data. Directions with less than this share of the largest
            singular value are noise.
        lengths: ``[trial]``: time steps of each trial, where the rest is padding.

    Raises:
        AnalysisError: Trials are too short, there are fewer transitions than coordinates, or the data
            have fewer directions than ``rank``.
    """
    trials, steps, units = states.shape
    back = (delays - 1) * interval
    shortest = steps if lengths is None else int(lengths.min())
    if shortest - back < 2:
        raise AnalysisError(
            f"dsa needs trials of at least {back + 2} steps for {delays} delays at "
            f"interval {interval}; those of {name} have {shortest}. Lower 'delays' or 'interval', or give "
            "longer trials."
        )
    rows, width, valid = trials * (steps - back), delays * units, None
    if lengths is not None:
        valid = (torch.arange(steps - back, device=states.device) < lengths[:, None] - back).to(states)
        rows = int(valid.sum())
    whole = Coordinates(states, delays, interval, valid, states, states, rows - trials, (rows, width))
    few = rank is not None and FEW * (rank + SPARE) <= min(rows, width)
    size, directions = _leading_directions(whole, rank or 0) if few else _all_directions(whole)
    noise = max(rounding, torch.finfo(size.dtype).eps * max(rows, width))
    found = int((size > size[0] * noise).sum())
    if rank is not None and rank > found:
        raise _beyond(rank, found, name)
    kept = found if rank is None else rank
    return replace(whole, size=size[:kept], directions=directions[:kept])


def hankel_operator(
    states: Tensor,
    delays: int,
    interval: int,
    rank: int | Literal["hard-threshold"] | RankRule | None,
    ridge: float,
    name: str,
    rounding: float = 0.0,
    *,
    reduced: bool = False,
    lengths: Tensor | None = None,
) -> Tensor:
    """The one-step operator ``[rank, rank]`` in eigen-time-delay coordinates (Ostrow et al. 2023).

    Principal component regression: ``A = [(V₋ᵀV₋ + ridge·I)⁻¹ V₋ᵀV₊]ᵀ`` in the leading coordinates
    ``V``, where the rows of ``V₋`` and ``V₊`` follow each other within a trial, never across two. Its
    eigenvalues are those of the dynamics; its basis is only defined up to signs.

    With ``reduced``, reduced-rank regression: all coordinates are regressed, the predictions' leading
    ``rank`` principal directions ``Q`` are kept (Izenman 1975), and the operator is that on the subspace
    it maps into, ``Qᵀ A Q``: what is left out is an eigenvalue of 0.

    Takes and raises what :func:`delay_coordinates` does, and raises :class:`AnalysisError` where a rule
    for the rank keeps nothing or the regression is singular.
    """
    fixed = rank if isinstance(rank, int) and not reduced else None
    found = delay_coordinates(states, delays, interval, name, rank=fixed, rounding=rounding, lengths=lengths)
    if not reduced and not isinstance(rank, int) and rank is not None:
        kept = chosen_rank(found.size, found.width, rank, name)
        found = replace(found, size=found.size[:kept], directions=found.directions[:kept])
    if found.transitions < len(found.size):
        raise AnalysisError(
            f"dsa has too few samples of {name}: {len(states)} trials with {found.transitions} transitions "
            f"for {len(found.size)} delay coordinates. Give more trials or longer ones, or lower 'rank'."
        )
    before, after = found.covariances()
    operator = regression(before, after, ridge, name)
    return _reduced(operator, after, found.transitions, rank, name) if reduced else operator


def _reduced(
    operator: Tensor,
    after: Tensor,
    transitions: int,
    rank: int | Literal["hard-threshold"] | RankRule | None,
    name: str,
) -> Tensor:
    # The covariance of the predictions V₋Aᵀ is A V₋ᵀV₊, up to the ridge.
    spread, directions = torch.linalg.eigh(operator @ after)
    spread, directions = spread.flip(0).clamp_min(0).sqrt(), directions.flip(1)
    if rank is None or isinstance(rank, int):
        kept = rank or len(spread)
    else:
        kept = chosen_rank(spread, (transitions, len(spread)), rank, name)
    if kept > len(spread):
        raise _beyond(kept, len(spread), name)
    if kept < len(spread) and spread[kept - 1] - spread[kept] <= TIE * spread[0]:
        alike = int((spread >= spread[kept] - TIE * spread[0]).sum())
        raise AnalysisError(
            f"reduced rank {kept} for {name} would cut through directions that are predicted equally well, "
            "as the past within a delay vector always is, so that which are kept would be arbitrary. Set "
            f"'rank' to at least {alike}, lower 'delays', or use principal-component regression."
        )
    return directions[:, :kept].T @ operator @ directions[:, :kept]


def _beyond(rank: int, found: int, name: str) -> AnalysisError:
    return AnalysisError(
        f"dsa cannot use rank {rank} for {name}: its delay vectors have {found} directions that are more "
        f"than rounding. Set 'rank' to at most {found} (or to none: all there are), or give more data."
    )


def regression(before: Tensor, after: Tensor, ridge: float, name: str) -> Tensor:
    """``[(V₋ᵀV₋ + ridge·I)⁻¹ V₋ᵀV₊]ᵀ``. Raises :class:`AnalysisError` where it is singular."""
    identity = torch.eye(len(before)).to(before)
    try:
        return torch.linalg.solve(before + ridge * identity, after).T
    except RuntimeError as problem:  # torch's LinAlgError is one
        raise AnalysisError(
            f"the regression of dsa is singular for {name}. Set 'ridge' above 0, or lower 'rank'."
        ) from problem


def chosen_rank(
    size: Tensor, shape: tuple[int, int], rule: Literal["hard-threshold"] | RankRule, name: str
) -> int:
    """How many of the singular values a rule keeps. Raises :class:`AnalysisError` where it keeps none."""
    if rule == "hard-threshold":
        every = size.new_zeros(min(shape))
        every[: len(size)] = size
        kept = hard_threshold(every, *shape)
    elif rule.variance is not None:
        share = size.square().cumsum(0) / size.square().sum()
        kept = min(int((share < rule.variance * (1 - 1e-12)).sum()) + 1, len(size))
    else:
        kept = int((size > (rule.above or 0.0)).sum())
    if not kept:
        raise AnalysisError(
            f"the rule for the rank keeps nothing of {name}, whose largest singular value is {size[0]:.3g}: "
            "it looks like noise. Set 'rank' to a number, or give more data."
        )
    return kept


def _blocks(trials: int, rows: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Trials and rows of each block: at least ``width`` rows where there are, for QR to be worth it."""
    span = min(rows, max(width, BLOCK // width))
    some = max(1, max(width, BLOCK // width) // span)
    for trial in range(0, trials, some):
        for row in range(0, rows, span):
            yield slice(trial, trial + some), slice(row, min(row + span, rows))


def _all_directions(of: Coordinates) -> tuple[Tensor, Tensor]:
    """Singular values of the delay matrix, and its right singular vectors as rows."""
    width = of.width[1]
    triangle = of.states.new_empty(0, width)
    for trials, rows in _blocks(len(of.states), of.rows, width):
        block = delay_vectors(of.states[trials], of.delays, of.interval, rows)
        block = block.flatten(0, 1) if of.valid is None else block[of.valid[trials, rows].bool()]
        # QR block by block gives the singular values and right vectors of the whole; a Gram matrix
        # would take less time and lose half of the digits.
        triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
    _, size, directions = torch.linalg.svd(triangle, full_matrices=False)
    return size, directions


def _leading_directions(of: Coordinates, rank: int) -> tuple[Tensor, Tensor]:
    """The first ``rank`` of :func:`_all_directions`, by block Lanczos with full orthogonalisation.

    The delay matrix is only ever multiplied with, delay by delay. Ends when each of the directions is
    one to :data:`EXACT`, or when there is nothing else.
    """
    states, delays, interval = of.states, of.delays, of.interval
    trials, width, wide = len(states), of.width[1], rank // 4 + SPARE

    block = torch.randn(width, wide, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    block = torch.linalg.qr(block.to(states)).Q
    basis, image = states.new_empty(width, 0), states.new_empty(trials * of.rows, 0)
    while True:
        product = _times(states, delays, interval, slice(0, of.rows), block)
        if of.valid is not None:
            product = product * of.valid[..., None]
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
