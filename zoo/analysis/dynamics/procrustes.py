"""Procrustes analysis over vector fields: linear operators compared up to an orthogonal change of basis.

For operators of unit norm, ``min ‖A - C B Cᵀ‖`` over all orthogonal ``C`` (Ostrow et al. 2023, eq. 6).
The problem is not convex. Searches start from the eigenvectors of Hermitian matrices that turn with an
operator, which make exactly conjugate operators meet at once. In a population, the alignments of a pair
with third operators, one after the other, are further starts: they lead to better minima than as many
searches from afresh. Many pairs go in a batch, in single precision; small residuals are polished in double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.analysis.dynamics.orthogonal import overlaps, polar, promise, refine, settle, skew, symmetric
from zoo.errors import AnalysisError

STARTS = 8
"""Starts that are refined; half as many again are tried."""
PLAN = ((1, 20), (2, 40), (4, 100))
"""Steps for which the best of all starts are refined, the better half of them, the best quarter."""
ROUNDS, DETOURS, VIA = 4, 8, ((2, 15), (1, 30))
"""How often a population is gone through again, ways through third operators that are tried for each
pair, and for how many steps the best so many of them are refined."""
POPULATION = 16
"""From so many operators on, a quarter of the starts do, as detours do better."""
LANDMARKS = 2**28
"""Numbers in the rotations that are kept for detours: all, or those to and from fewer operators."""
FURTHER, TURNS = 50, 24
"""Steps of a turn in which pairs that have not converged go on, and turns at most."""
ENOUGH = 2e-4
"""A pair has converged when a step with the Hessian's diagonal promises less than this, over n, as a share of
its squared residual. What is left to gain is some n times as much, well below a thousandth."""
HOPE = 1.002
"""A search goes on only if it is at most so many times as far as the best of its pair."""
SMALL = 1e-2
"""Residuals below this are refined in double precision."""
MIXTURES = (
    (1, 0, 0, 0, 4, 0),
    (1, 0, 0, 0, 2, 0),
    (1, 0, 0, 0, 1, 0),
    (0, 1, 0, 0, 0, 0),
    (1, 0, 0, 0, 0, 0),
)
"""Weights of the first starts, see :func:`_frames`; those of the others are drawn from a fixed seed."""
POWER = 20
"""Power iterations for the phases of a start."""
BLOCK = {"cpu": 2**22, "cuda": 2**27}
"""Numbers in one batch of matrices."""


@dataclass(frozen=True)
class Alignments:
    """What was found for each pair of operators, both scaled to unit Frobenius norm."""

    pairs: Tensor
    """``[pair, 2]``."""
    residual: Tensor
    """``[pair]``: ``‖A - C B Cᵀ‖`` at the best ``C`` found, in [0, 2]; infinite where every search failed."""
    bound: Tensor
    """``[pair]``: no ``C`` has a smaller residual, by the spectra of the symmetric and skew parts."""
    converged: Tensor
    """``[pair]``: whether the residual is that of a local minimum, to about a thousandth of its square."""
    rotation: Tensor | None = None
    """``[pair, n, n]``: ``C``, where it was asked for."""

    @property
    def angle(self) -> Tensor:
        """``[pair]``: ``arccos ⟨A, C B Cᵀ⟩`` in [0, π], without loss of digits near 0."""
        angle = 2 * torch.asin((self.residual / 2).clamp(max=1))
        return angle.where(torch.isfinite(self.residual), torch.nan)


def align(
    operators: Tensor,
    pairs: Tensor,
    *,
    starts: int = STARTS,
    rotations: bool = False,
    precision: torch.dtype = torch.float32,
    progress: Callable[[float], None] = lambda share: None,
) -> Alignments:
    """Align pairs of operators, each by itself. The same arguments give the same result.

    Args:
        operators: ``[operator, n, n]``, real. They are not changed.
        pairs: ``[pair, 2]``: which are compared.
        starts: How many local searches are begun for each pair, in both components of O(n). More find
            better minima where there are many, in time that grows in proportion.
        rotations: Whether to keep the rotations, which takes ``n²`` numbers a pair.
        precision: Of the search; results are in double precision in any case.
        progress: Told after each batch which share of the work is done.

    Raises:
        AnalysisError: Not square matrices, or one that is zero or not finite.
    """
    fields = Fields.of(operators)
    frames = _frames(fields.traceless, starts + starts // 2, precision)
    found = _Found.empty(len(pairs), operators.device)
    kept = operators.new_empty(len(pairs) if rotations else 0, *operators.shape[1:], dtype=torch.float64)
    for rows in blocks(len(pairs), starts, operators):
        i, j = pairs[rows].T
        turn = _search(fields, frames, i, j, starts, precision)
        turn, _ = found.improve(rows, fields, i, j, turn, precision)
        if rotations:
            kept[rows] = fields.basis[i] @ turn @ fields.basis[j].mT
        progress(rows.stop / len(pairs))
    bound = fields.bound(*pairs.T)
    return Alignments(pairs, found.residual, bound, found.converged, kept if rotations else None)


def align_all(
    operators: Tensor,
    *,
    starts: int = STARTS,
    rounds: int = ROUNDS,
    precision: torch.dtype = torch.float32,
    progress: Callable[[float], None] = lambda share: None,
) -> Alignments:
    """Align all pairs of a population, ``i < j``, each with the help of the others.

    Takes and raises what :func:`align` does, and ``rounds``: how often all pairs are gone through again, by
    way of third operators; in large populations two are nearly as good. A pair's residual is an upper
    bound of the smallest there is; how tight it is depends on the other operators, too, as each can show
    a way.
    """
    fields = Fields.of(operators)
    count, size = operators.shape[:2]
    first = starts if count < POPULATION else max(1, starts // 4)
    frames = _frames(fields.traceless, first + first // 2, precision)
    pairs = torch.triu_indices(count, count, 1, device=operators.device).T
    found = _Found.empty(len(pairs), operators.device)
    marks = min(count, max(DETOURS, LANDMARKS // (count * size**2)))
    landmarks = torch.arange(marks, device=operators.device) * count // marks
    slot = torch.full((count,), -1, device=operators.device)
    slot[landmarks] = torch.arange(marks, device=operators.device)
    ways = _Ways(
        operators.new_empty((count, marks, size, size), dtype=precision),
        torch.full((count, marks), torch.inf, dtype=torch.float64, device=operators.device),
        slot,
    )
    rounds = min(rounds, (marks - 2) // DETOURS)
    for number in range(rounds + 1):
        for rows in blocks(len(pairs), DETOURS if number else first, operators):
            i, j = pairs[rows].T
            if number:
                turn = ways.detours(fields, i, j, number - 1, precision)
            else:
                turn = _search(fields, frames, i, j, first, precision)
            turn, residual = found.improve(rows, fields, i, j, turn, precision)
            ways.keep(i, j, turn, residual)
            progress((number + rows.stop / len(pairs)) / (rounds + 1))
    return Alignments(pairs, found.residual, fields.bound(*pairs.T), found.converged)


def blocks(pairs: int, starts: int, operators: Tensor) -> Iterator[slice]:
    memory = BLOCK.get(operators.device.type, BLOCK["cuda"])
    block = max(1, memory // (max(1, starts) * operators.shape[-1] ** 2))
    return (slice(first, min(first + block, pairs)) for first in range(0, pairs, block))


@dataclass(frozen=True)
class Fields:
    """Operators of unit norm, split so that what no rotation changes is out of the way."""

    trace: Tensor
    """``[operator]``: the multiple of the identity."""
    size: Tensor
    """``[operator]``: the norm of the rest."""
    traceless: Tensor
    """``[operator, n, n]``: the rest, of unit norm, in the eigenbasis of its symmetric part."""
    spectra: tuple[Tensor, Tensor, Tensor]
    """Of each: eigenvalues of the symmetric part, singular values of the skew part and of the whole."""
    basis: Tensor
    """``[operator, n, n]``: the eigenbasis."""

    @classmethod
    def of(cls, operators: Tensor) -> Fields:
        """Raises :class:`AnalysisError` for what are no operators, or have no direction."""
        if operators.ndim != 3 or operators.shape[1] != operators.shape[2] or operators.is_complex():
            raise AnalysisError(
                f"operators of shape {tuple(operators.shape)} and type {operators.dtype} cannot be aligned: "
                "give real ones, [operator, n, n]."
            )
        operators = operators.double()
        norms = operators.flatten(1).norm(dim=1)
        wrong = ~torch.isfinite(norms) | (norms == 0)
        if bool(wrong.any()):
            raise AnalysisError(
                f"operator {int(wrong.nonzero()[0])} is zero or not finite, so it has no direction to "
                "compare. Look at the states that it was fitted to."
            )
        operators = operators / norms[:, None, None]
        identity = torch.eye(operators.shape[-1]).to(operators)
        trace = operators.diagonal(dim1=1, dim2=2).mean(1)
        rest = operators - trace[:, None, None] * identity
        size = rest.flatten(1).norm(dim=1)
        rest = rest / size.clamp_min(torch.finfo(size.dtype).tiny)[:, None, None]
        values, basis = torch.linalg.eigh(symmetric(rest))
        rest = basis.mT @ rest @ basis
        turning = torch.linalg.svdvals(skew(rest))
        return cls(trace, size, rest, (values, turning, torch.linalg.svdvals(rest)), basis)

    def residual(self, i: Tensor, j: Tensor, gap: Tensor) -> Tensor:
        """Residuals of whole operators, from ``gap = ‖A - C B Cᵀ‖²`` of their traceless parts."""
        identity = (self.trace[i] - self.trace[j]).square() * self.traceless.shape[-1]
        rest = (self.size[i] - self.size[j]).square() + self.size[i] * self.size[j] * gap
        return (identity + rest).sqrt()

    def bound(self, i: Tensor, j: Tensor) -> Tensor:
        """Hoffman and Wielandt's inequality for the symmetric and skew parts, Mirsky's for the whole."""
        even, odd, whole = ((values[i] - values[j]).square().sum(1) for values in self.spectra)
        return self.residual(i, j, torch.maximum(even + odd, whole))


@dataclass(frozen=True)
class _Found:
    """The best of each pair so far."""

    residual: Tensor
    converged: Tensor

    @classmethod
    def empty(cls, pairs: int, device: torch.device) -> _Found:
        nothing = torch.full((pairs,), torch.inf, dtype=torch.float64, device=device)
        return cls(nothing, torch.zeros(pairs, dtype=torch.bool, device=device))

    def improve(
        self, rows: slice, fields: Fields, i: Tensor, j: Tensor, turn: Tensor, precision: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Refine some pairs until they converge, and keep what is better; rotations and their residuals."""
        turn = settle(turn.double(), 2)
        residual, todo = _measured(fields, i, j, turn)
        for _ in range(TURNS):
            active = (todo & (residual < HOPE * self.residual[rows])).nonzero()[:, 0]
            if not len(active):
                break
            small = residual[active] < SMALL
            for some, dtype in ((active[~small], precision), (active[small], torch.float64)):
                if len(some):
                    a, b = (fields.traceless[k[some]].to(dtype) for k in (i, j))
                    turn[some] = settle(refine(a, b, turn[some].to(dtype), FURTHER).double(), 2)
                    residual[some], todo[some] = _measured(fields, i[some], j[some], turn[some])
        better = residual < self.residual[rows]
        self.residual[rows] = torch.where(better, residual, self.residual[rows])
        self.converged[rows] = torch.where(better, ~todo, self.converged[rows])
        return turn, residual


def _measured(fields: Fields, i: Tensor, j: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals in double precision, and whether there is more to gain than :data:`ENOUGH`."""
    a = fields.traceless[i]
    moved = turn @ fields.traceless[j] @ turn.mT
    residual = fields.residual(i, j, (a - moved).square().sum((1, 2)))
    gain = 2 * fields.size[i] * fields.size[j] * promise(a, moved)
    return residual, gain > ENOUGH / a.shape[-1] * residual.square() + 1e-24


@dataclass(frozen=True)
class _Ways:
    """The best rotations between each operator and those that others may go by."""

    rotations: Tensor
    """``[operator, landmark, n, n]``: from the landmark to the operator."""
    lengths: Tensor
    """``[operator, landmark]``: squared residuals."""
    slot: Tensor
    """``[operator]``: which landmark it is, or -1."""

    def keep(self, i: Tensor, j: Tensor, turn: Tensor, residual: Tensor) -> None:
        """Remember the rotations from ``j`` to ``i`` that are better than those known."""
        for one, other, rotation in ((i, j, turn), (j, i, turn.mT)):
            known = self.slot[other]
            length = residual.square()
            better = (known >= 0) & (length < self.lengths[one, known])
            self.rotations[one[better], known[better]] = rotation[better].to(self.rotations.dtype)
            self.lengths[one[better], known[better]] = length[better]

    def detours(self, fields: Fields, i: Tensor, j: Tensor, number: int, precision: torch.dtype) -> Tensor:
        """The best of the ways over third operators, shorter ones in earlier rounds: ``[pair, n, n]``."""
        a, b = (fields.traceless[k].to(precision) for k in (i, j))
        length = self.lengths[i] + self.lengths[j]  # infinite by way of one of the two itself
        via = length.topk(DETOURS * (number + 1), 1, largest=False).indices[:, DETOURS * number :].T
        turn = self.rotations[i, via] @ self.rotations[j, via].mT
        return _tournament(a, b, turn, VIA)


def _search(
    fields: Fields, frames: Tensor, i: Tensor, j: Tensor, starts: int, precision: torch.dtype
) -> Tensor:
    """The best of many starts, each refined a little, the better ones more: ``[pair, n, n]``."""
    a, b = (fields.traceless[k].to(precision) for k in (i, j))
    turn = _starts(a, b, frames[:, i], frames[:, j])
    return _tournament(a, b, turn, [(max(1, starts // share), steps) for share, steps in PLAN])


def _tournament(a: Tensor, b: Tensor, turn: Tensor, plan: Sequence[tuple[int, int]]) -> Tensor:
    """``[pair, n, n]``: of ``[start, pair, n, n]`` the best few are refined, of these the best, and so on."""
    for many, steps in plan:
        turn = _best(a, b, turn, many)
        refined = refine(a.repeat(many, 1, 1), b.repeat(many, 1, 1), turn.flatten(0, 1), steps)
        turn = refined.view_as(turn)
    return _best(a, b, turn, 1)[0]


def _best(a: Tensor, b: Tensor, turn: Tensor, many: int) -> Tensor:
    best = overlaps(a, b, turn).topk(many, 0).indices
    return turn.gather(0, best[..., None, None].expand(-1, -1, *a.shape[1:]))


# Where to start ---------------------------------------------------------------------------------


def _frames(operators: Tensor, count: int, precision: torch.dtype) -> Tensor:
    """Unitary frames that turn with an operator, ``[start, operator, n, n]``, complex.

    Eigenvectors of Hermitian matrices whose real part is a mixture of the symmetric parts of ``A``,
    ``A²``, ``A Aᵀ`` and ``Aᵀ A``, and whose imaginary part is one of the skew parts of ``A`` and ``A²``:
    ``C A Cᵀ`` has the frames of ``A``, turned by ``C``.
    """
    squared = operators @ operators
    real = [symmetric(operators), symmetric(squared), operators @ operators.mT, operators.mT @ operators]
    imaginary = [skew(operators), skew(squared)]
    drawn = torch.randn(count, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mixtures = torch.cat([torch.tensor(MIXTURES, dtype=torch.float64), drawn])[:count].to(operators)
    frames = operators.new_empty((count, *operators.shape), dtype=precision.to_complex())
    for frame, weights in zip(frames, mixtures, strict=True):
        parts = [w * part for w, part in zip(weights, [*real, *imaginary], strict=True)]
        frame.copy_(torch.linalg.eigh(torch.complex(sum(parts[:4]), sum(parts[4:]))).eigenvectors)
    return frames


def _starts(a: Tensor, b: Tensor, frames_a: Tensor, frames_b: Tensor) -> Tensor:
    """Orthogonal matrices that carry the frames of ``b`` to those of ``a``, ``[start, pair, n, n]``.

    Eigenvectors come with any phase. Phases that make the operators agree in the two frames are those
    of the leading eigenvector of ``conj(A') ∘ B'``; of the unitary matrix that results, the nearest
    orthogonal one is taken, up to a phase in common.
    """
    dtype = frames_a.dtype
    inside = (frames_a.mH @ a.to(dtype) @ frames_a).conj() * (frames_b.mH @ b.to(dtype) @ frames_b)
    inside = (inside + inside.mH) / 2
    shift = inside.abs().square().sum((-2, -1)).sqrt()[..., None, None] / 2
    longest = inside.abs().square().sum(-2).argmax(-1)[..., None, None]
    phase = inside.take_along_dim(longest, -1)
    for _ in range(POWER):
        phase = inside @ phase + shift * phase
        phase = phase / phase.abs().square().sum(-2, keepdim=True).sqrt().clamp_min(1e-30)
    phase = torch.polar(torch.ones_like(phase.real), phase.angle())
    carried = frames_a @ (phase.conj() * frames_b.mH)
    common = carried.square().sum((-2, -1)).angle()[..., None, None]
    real = (carried * torch.polar(torch.ones_like(common), -common / 2)).real.to(a.dtype)
    return polar(real)
