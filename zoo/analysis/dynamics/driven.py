"""Linear systems with inputs, from many trials: regression on delay vectors, and subspace identification."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import AnalysisError

ENERGY = 0.999
"""Share of the squared singular values that the order keeps, where none is given."""
REGULAR = 1e-7
"""Share of a sample's variance that those before it in a window must leave unexplained for Cholesky's
factor of the Gram matrix, which loses half of the digits; below, QR of the windows themselves."""
RESOLVED = 1e-10
"""Eigenvalues of a Gram matrix, as a share of the largest, whose vectors still have enough digits."""
BLOCK = 2**22
"""Numbers in the windows that are held at once for QR: 32 MiB."""


@dataclass(frozen=True)
class DrivenSystem:
    """``x[t] = A x[t-1] + B u[t]``, ``y[t] = C x[t]``, up to a change of basis of ``x``.

    As in :class:`~zoo.models.trajectories.Trajectories`, ``u[t]`` is the input that leads to ``x[t]``.
    """

    a: Tensor
    """``[n, n]``."""
    b: Tensor
    """``[n, m]``."""
    c: Tensor
    """``[p, n]``."""


def dmdc(
    states: Tensor,
    inputs: Tensor,
    delays: int,
    interval: int,
    rank: int | None,
    ridge: float,
    name: str,
    *,
    input_rank: int | None = None,
    lengths: Tensor | None = None,
    rounding: float = 0.0,
) -> DrivenSystem:
    """Dynamic mode decomposition with control, on delay vectors (Proctor et al. 2016; Huang et al. 2025).

    States and inputs are both embedded in ``delays`` samples, newest first, as in Fig. 2 of the second
    paper (``dsa-metric`` embeds the inputs only if told to; without, what past inputs did to units that
    are not observed is taken for dynamics). The delay vectors of states are projected on their leading
    ``rank`` directions, those of inputs are kept whole: ``x[t]`` are these coordinates, and the system's
    ``u[t]`` is the delay vector of inputs, so ``b`` is ``[rank, delays * input]``. Samples of two trials
    never meet, neither in a delay vector nor in a transition.

    Args:
        states: ``[trial, time, unit]``, float64.
        inputs: ``[trial, time, input]``, float64; ``inputs[:, t]`` leads to ``states[:, t]``.
        interval: Time steps between the samples of a delay vector.
        rank: Coordinates kept; without it, every one above the rounding of the data.
        ridge: Tikhonov's, for data of unit root mean square (with ``input_rank``: for them as they are).
        input_rank: Leading directions of states and inputs together, in their own units, that the
            regression sees (``p`` of Proctor et al.); without it, all of them.
        lengths: ``[trial]`` time steps that count, where trials are padded to the longest.
        rounding: Relative precision of the states. Directions with less than this share of the largest
            singular value are noise.

    Raises:
        AnalysisError: Trials are too short or too few, an input or the states never change, the inputs
            do not excite all delays, the data have fewer directions than ``rank``, or the regression is
            singular.
    """
    reach = (delays - 1) * interval
    samples = _Samples.of(states, inputs, lengths, reach + 2, f"{delays} delays at interval {interval}", name)
    starts, channels = samples.starts(reach + 2), samples.values.shape[1]
    grid = torch.arange((reach + 2) * channels, device=states.device).view(-1, channels)
    newest_first = torch.arange(reach, -1, -interval, device=states.device)
    drive = grid[newest_first + 1, : samples.inputs].flatten()
    before, after = (grid[newest_first + step, samples.inputs :].flatten() for step in (0, 1))
    columns, where = torch.cat([drive, before, after]).unique(return_inverse=True)
    # An orthogonal change of the rows changes no regression, so the triangle stands for all samples.
    triangle = _triangle(samples.windows(reach + 2), starts, columns)[:, where]
    drive, before, after = triangle.split([len(drive), len(before), len(after)], 1)
    _, size, directions = torch.linalg.svd(after, full_matrices=False)
    found = _count(size, rounding, len(starts))
    if rank is not None and rank > found:
        raise AnalysisError(
            f"the delay vectors of {name} have {found} directions that are more than rounding, fewer than "
            f"rank {rank}. Set 'rank' to at most {found} (or to none: all there are), or give more data."
        )
    basis = directions[: found if rank is None else rank].T
    needed = basis.shape[1] + drive.shape[1]
    if len(starts) < needed:
        raise AnalysisError(
            f"there are too few samples of {name}: {len(starts)} transitions for {needed} coefficients of "
            "each coordinate. Give more or longer trials, or lower 'delays' or 'rank'."
        )
    units = states.shape[2]
    if input_rank is not None:
        in_own_units = (before * samples.state_size, drive * samples.input_size, after * samples.state_size)
        a, b = _truncated(*in_own_units, input_rank, ridge, name)
        return DrivenSystem(basis.T @ a @ basis, basis.T @ b, basis[:units])
    _check_excitation(drive.mT, drive.mT, delays, name)
    a, b = _transition(before @ basis, drive, after @ basis, ridge, name)
    return DrivenSystem(a, b * (samples.state_size / samples.input_size), basis[:units])


def subspace(
    states: Tensor,
    inputs: Tensor,
    window: int,
    order: int | None,
    ridge: float,
    name: str,
    *,
    lengths: Tensor | None = None,
    rounding: float = 0.0,
) -> DrivenSystem:
    """Subspace identification, N4SID (Van Overschee & De Moor 1994; Huang et al. 2025, SubspaceDMDc).

    With past and future windows of inputs and states as columns of ``U_p``, ``Y_p``, ``U_f``, ``Y_f``
    and ``Z_p = [U_p; Y_p]``: the oblique projection of the future on the past along the future inputs,
    ``O = R₃₂ R₂₂⁺ Z_p = U S Vᵀ`` by the triangle ``R`` of ``[U_f; Z_p; Y_f]``, has as its leading
    ``order`` directions the observability matrix ``Γ = U S^½`` and the states ``X = S^½ Vᵀ``; ``[A B]``
    is their ridge regression from one window of a trial to the next, and ``C`` the first rows of ``Γ``.
    No window reaches over two trials.

    Here the past comes first: with ``Z_p = L₁₁ Q``, ``QQᵀ = I``, and the triangle ``L`` of
    ``[Z_p; U_f; Y_f]``, the same projection is ``O = K Q``, ``K = L₃₁ - L₃₂ L₂₂⁻¹ L₂₁``. Rows of the past
    may follow from each other, as they do without noise; the inputs may not.

    Args:
        states: ``[trial, time, unit]``, float64: what is observed.
        inputs: ``[trial, time, input]``, float64; ``inputs[:, t]`` leads to ``states[:, t]``.
        window: Samples in the past, and in the future.
        order: Of the system; without it, the smallest that keeps :data:`ENERGY`.
        ridge: Of the last regression, for data of unit root mean square.
        lengths: ``[trial]`` time steps that count, where trials are padded to the longest.
        rounding: Relative precision of the states, as in :func:`dmdc`.

    Raises:
        AnalysisError: Trials are too short or too few, an input or the states never change, the inputs
            do not excite the whole window, or the data have a smaller order.
    """
    span = 2 * window + 1
    samples = _Samples.of(states, inputs, lengths, span + 1, f"windows of {window} delays", name)
    values, m, starts = samples.values, samples.inputs, samples.starts(span)
    units = values.shape[1] - m
    regressors = window * (2 * m + units)
    if len(starts) < regressors:
        raise AnalysisError(
            f"there are too few samples of {name}: {len(starts)} windows for {regressors} coefficients of "
            "each future sample. Give more or longer trials, or lower 'delays'."
        )
    if order is not None and order > window * units:
        raise AnalysisError(
            f"{window} delays × {units} units of {name} show at most {window * units} dimensions, fewer than "
            f"rank {order}. Lower 'rank', or raise 'delays'."
        )
    grid = torch.arange(span * (m + units), device=values.device).view(span, -1)
    # An input is one sample later than the state that it acts on.
    before = torch.cat([grid[1 : window + 1, :m].flatten(), grid[:window, m:].flatten()])
    ahead, future = grid[window + 1 :, :m].flatten(), grid[window:-1, m:].flatten()
    windows = samples.windows(span)
    parts = (before, ahead, future)
    turn, top, bottom = _triangle_of_three(windows, starts, parts, span, window, rounding, name)
    kept = turn.shape[1]
    l11, l21, l22 = top[:kept, :kept], top[kept:, :kept], top[kept:, kept:]
    l31, l32 = bottom.tensor_split([kept], 1)
    image = l31 - torch.linalg.solve_triangular(l22, l32, upper=False, left=False) @ l21
    observed, size = _leading(image, order)
    n = len(size)
    if (found := _count(size, rounding, len(starts))) < n:
        raise AnalysisError(
            f"the future of {name} depends on its past through {found} dimensions that are more than "
            f"rounding, fewer than rank {n}. Set 'rank' to at most {found}, or give more data."
        )
    weights = torch.linalg.solve_triangular(l11, observed.T @ image, upper=False, left=False)
    filters = values.new_zeros(int(before.max()) + 1, n)
    filters[before] = turn @ (weights.T / size.sqrt())
    blocks = windows[:, : len(filters)].split(max(1, BLOCK // len(filters)))
    x = torch.cat([block @ filters for block in blocks])[starts]
    follows = (starts.diff() == 1).nonzero().squeeze(1)  # windows of two trials are never neighbours
    drive = values[starts[follows] + window + 1, :m]
    a, b = _transition(x[follows], drive, x[follows + 1], ridge, name)
    scale = samples.state_size.sqrt()
    return DrivenSystem(a, b * (scale / samples.input_size), observed[:units] * size.sqrt() * scale)


@dataclass(frozen=True)
class _Samples:
    """Trials one after the other, inputs and states each of unit root mean square."""

    values: Tensor
    """``[sample, input + unit]``."""
    steps: Tensor
    """``[trial]``: samples of each."""
    inputs: int
    input_size: Tensor
    """What inputs were divided by."""
    state_size: Tensor

    @classmethod
    def of(
        cls, states: Tensor, inputs: Tensor, lengths: Tensor | None, least: int, what: str, name: str
    ) -> _Samples:
        """Raises :class:`AnalysisError` for trials of fewer than ``least`` steps and what never changes."""
        trials, time = states.shape[:2]
        if inputs.ndim != 3 or inputs.shape[:2] != (trials, time) or inputs.shape[2] == 0:
            raise AnalysisError(
                f"inputs of shape {tuple(inputs.shape)} do not go with states of shape "
                f"{tuple(states.shape)} of {name}. Give [trial, time, input], with the same trials and time."
            )
        steps = (
            torch.full((trials,), time, device=states.device)
            if lengths is None
            else lengths.to(states.device)
        )
        if steps.shape != (trials,) or steps.is_floating_point() or bool((steps > time).any()):
            raise AnalysisError(
                f"the lengths of {name} are not one whole number of at most {time} steps for each of its "
                f"{trials} trials. Give a tensor [trial] of integers."
            )
        if bool((steps < least).any()):
            trial = int(steps.argmin())
            raise AnalysisError(
                f"{what} need trials of at least {least} steps, and trial {trial} of {name} has "
                f"{int(steps[trial])}. Lower 'delays', or leave shorter trials out."
            )
        valid = torch.arange(time, device=states.device) < steps[:, None]
        drive, seen = inputs[valid], states[valid]
        if bool((still := (drive == drive[:1]).all(0)).any()):
            raise AnalysisError(
                f"input {int(still.nonzero()[0])} of {name} never changes, so that what it does cannot be "
                "told from the dynamics. Leave it out, or give trials in which it varies."
            )
        if bool((seen == seen[:1]).all()):
            raise AnalysisError(f"the states of {name} never change. Give more samples, or another site.")
        input_size, state_size = (_size(part) for part in (drive, seen))
        values = torch.cat([drive / input_size, seen / state_size], 1)
        return cls(values, steps, drive.shape[1], input_size, state_size)

    def windows(self, span: int) -> Tensor:
        """All windows of ``span`` samples, a view ``[row, span * channel]``; see :meth:`starts`."""
        channels = self.values.shape[1]
        return self.values.as_strided((len(self.values) - span + 1, span * channels), (channels, 1))

    def starts(self, span: int) -> Tensor:
        """Rows of :meth:`windows` that lie within one trial, ``[window]``."""
        first = self.steps.cumsum(0) - self.steps
        number = torch.arange(len(self.values), device=self.values.device)
        last = (first + self.steps - span).repeat_interleave(self.steps)
        return (number <= last).nonzero().squeeze(1)


def _size(values: Tensor) -> Tensor:
    """Root mean square, without overflow."""
    peak = values.abs().amax()
    return peak * (values / peak).square().mean().sqrt()


def _triangle(windows: Tensor, starts: Tensor, columns: Tensor, turn: Tensor | None = None) -> Tensor:
    """The upper triangle of QR of some rows and columns of windows, with at most as many rows as columns.

    The first columns may be turned by a matrix ``[column, fewer]``.
    """
    triangle = windows.new_empty(
        0, len(columns) if turn is None else len(columns) + turn.shape[1] - len(turn)
    )
    for some in starts.split(max(len(columns), BLOCK // len(columns))):
        block = windows[some[:, None], columns]
        if turn is not None:
            block = torch.cat([block[:, : len(turn)] @ turn, block[:, len(turn) :]], 1)
        triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
    return triangle


def _gram(windows: Tensor, starts: Tensor, span: int) -> Tensor:
    """``WᵀW`` of some rows ``W`` of windows, ``[span * channel, span * channel]``.

    An entry is the one before it on its diagonal, for windows that begin a sample later: what leaves at
    the beginning of each trial and what comes in at its end make the difference.
    """
    windows = windows.unflatten(1, (span, -1))
    channels, gaps = windows.shape[2], starts.diff() != 1
    edge = gaps.new_ones(1)
    gone = windows[starts[torch.cat([edge, gaps])], :-1]
    come = windows[starts[torch.cat([gaps, edge])], 1:]
    left = torch.cat([come, -gone]).permute(1, 2, 0).contiguous()
    right = torch.cat([come, gone]).flatten(1)

    first = windows.new_zeros(channels, len(windows))
    first[:, starts] = windows[starts, 0].T
    top = torch.bmm(first.expand(span, -1, -1), windows.transpose(0, 1))  # [lag, channel now, channel later]
    gram = windows.new_empty(span, channels, span, channels)
    gram[0], gram[:, :, 0] = top.transpose(0, 1), top.mT
    strips = gram.flatten(2)
    for before, after, some in zip(strips[:-1, :, :-channels], strips[1:, :, channels:], left, strict=True):
        torch.addmm(before, some, right, out=after)
    return strips.flatten(0, 1)


def _triangle_of_three(
    windows: Tensor,
    starts: Tensor,
    parts: tuple[Tensor, Tensor, Tensor],
    span: int,
    window: int,
    rounding: float,
    name: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """How the past is turned, ``[past, kept]``, and the lower triangle of ``[turnᵀ Z_p; U_f; Y_f]``.

    Only directions of the past that are more than rounding are kept. Of the triangle come the square of
    ``turnᵀ Z_p`` and ``U_f`` and, of the rows of ``Y_f``, what is below it. ``parts`` are columns of
    windows. Raises :class:`AnalysisError` for inputs that leave directions out.
    """
    columns, past, given = torch.cat(parts), len(parts[0]), len(parts[0]) + len(parts[1])
    gram = _gram(windows, starts, span)
    sizes = gram.diagonal().view(span, -1).amax(0).repeat(span)[columns[:given]]
    gram = gram[columns[:given]].mT[columns]
    top, failed = torch.linalg.cholesky_ex(gram[:given])
    if not bool(failed) and bool((top.diagonal().square() > REGULAR * sizes).all()):
        bottom = torch.linalg.solve_triangular(top.mT, gram[given:], upper=True, left=False)
        return torch.eye(past).to(windows), top, bottom

    _, size, directions = torch.linalg.svd(_triangle(windows, starts, columns[:past]))
    turn = directions[: _count(size, rounding, len(starts))].mT
    lower = _triangle(windows, starts, columns, turn).mT
    kept, given = turn.shape[1], turn.shape[1] + len(parts[1])
    _check_excitation(lower[kept:given, :given], lower[kept:given, kept:given], window, name)
    return turn, lower[:given, :given], lower[given:, :given]


def _leading(matrix: Tensor, order: int | None) -> tuple[Tensor, Tensor]:
    """The first left singular vectors, ``[row, order]``, and singular values."""
    squares, vectors = (part.flip(-1) for part in torch.linalg.eigh(matrix @ matrix.mT))
    if order is None:
        share = squares.cumsum(0) / squares.sum()
        order = min(len(squares), int((share < ENERGY).sum()) + 1)
    if bool(squares[order - 1] > RESOLVED * squares[0]):
        return vectors[:, :order], squares[:order].sqrt()
    vectors, size, _ = torch.linalg.svd(matrix, full_matrices=False)
    return vectors[:, :order], size[:order]


def _transition(
    before: Tensor, drive: Tensor, after: Tensor, ridge: float, name: str
) -> tuple[Tensor, Tensor]:
    """``A`` and ``B`` by ridge regression; samples are rows.

    Raises :class:`AnalysisError` where it is singular.
    """
    given = torch.cat([before, drive], 1)
    width = given.shape[1]
    penalty = ridge**0.5 * torch.eye(width).to(given)
    rows = torch.cat(
        [torch.cat([given, after], 1), torch.cat([penalty, after.new_zeros(width, after.shape[1])], 1)]
    )
    triangle = torch.linalg.qr(rows, mode="r").R
    pivots = triangle.diagonal()[:width].abs()
    if not bool((pivots > pivots.max() * torch.finfo(pivots.dtype).eps * width).all()):
        raise AnalysisError(
            f"the regression on states and inputs is singular for {name}. Set 'ridge' above 0, or lower "
            "'rank' or 'delays'."
        )
    found = torch.linalg.solve_triangular(triangle[:width, :width], triangle[:width, width:], upper=True).T
    return found[:, : before.shape[1]], found[:, before.shape[1] :]


def _truncated(
    before: Tensor, drive: Tensor, after: Tensor, rank: int, ridge: float, name: str
) -> tuple[Tensor, Tensor]:
    """``A`` and ``B`` by regression on the leading directions of states and inputs together.

    Raises :class:`AnalysisError` where there are not so many.
    """
    left, size, directions = torch.linalg.svd(torch.cat([before, drive], 1), full_matrices=False)
    found = int((size > size[0] * torch.finfo(size.dtype).eps * len(size)).sum())
    if rank > found:
        raise AnalysisError(
            f"states and inputs of {name} have {found} directions together, fewer than input_rank {rank}. "
            f"Set 'input_rank' to at most {found}, or to none."
        )
    size, left, directions = size[:rank], left[:, :rank], directions[:rank]
    both = ((left.T @ after) * (size / (size.square() + ridge))[:, None]).T @ directions
    return both[:, : before.shape[1]], both[:, before.shape[1] :]


def _check_excitation(drive: Tensor, own: Tensor, delays: int, name: str) -> None:
    """Refuse inputs that have not one direction of their ``own`` each. Raises :class:`AnalysisError`.

    ``drive`` ``[direction, any]`` and what of it does not follow from the rest, ``[direction, any]``.
    """
    scale = torch.linalg.matrix_norm(drive, 2)
    size = torch.linalg.svdvals(own)
    found = int((size > scale * torch.finfo(size.dtype).eps * drive.shape[1]).sum())
    if found < len(drive):
        raise AnalysisError(
            f"the inputs of {name} are not rich enough: {delays} delays of them have {found} directions of "
            f"{len(drive)} that do not follow from each other or from the past, so that what they do cannot "
            "be told from the dynamics. Lower 'delays', leave out inputs that follow from others, or give "
            "inputs that vary more."
        )


def _count(size: Tensor, rounding: float, samples: int) -> int:
    """How many singular values are more than rounding."""
    share = max(rounding, torch.finfo(size.dtype).eps * max(samples, len(size)))
    return int((size > share * size.amax()).sum())
