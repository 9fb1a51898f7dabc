"""Procrustes analysis over vector fields: linear operators compared up to an orthogonal change of basis.

For operators of unit norm, ``min ‖A - C B Cᵀ‖`` over all orthogonal ``C`` (Ostrow et al. 2023, eq. 6).
The problem is not convex. Searches start from the eigenvectors of Hermitian matrices that turn with an
operator, which make exactly conjugate operators meet at once. In a population, the alignments of a pair
with third operators, one after the other, are further starts: they lead to better minima than as many
searches from afresh. These third operators are a few landmarks, which are aligned with each other first,
then all others with them: what remains are pairs that depend on nothing else, and can be computed anywhere.
Many pairs go in a batch, in single precision; small residuals are polished in double.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from zoo.analysis.base import Features
from zoo.analysis.dynamics.fields import Fields, blocks, checked_operators
from zoo.analysis.dynamics.orthogonal import promise, refine, settle
from zoo.analysis.dynamics.searches import frames_of, search, tournament
from zoo.analysis.tiles import Progress, Spread, gathered, in_turn, within

STARTS = 8
"""Starts that are refined; half as many again are tried."""
ROUNDS, DETOURS, VIA = 4, 8, ((2, 15), (1, 30))
"""How often a population is gone through again, ways through third operators that are tried for each
pair, and for how many steps the best so many of them are refined."""
POPULATION = 16
"""From so many operators on, a quarter of the starts do, as detours do better."""
LANDMARKS, LARGEST = ROUNDS * DETOURS + 2, 2**28
"""Operators that detours go by, at most, and numbers in the rotations that are kept to and from them."""
MANY = 32
"""Operators in a tile that are aligned with all landmarks."""
FURTHER, TURNS = 50, 24
"""Steps of a turn in which pairs that have not converged go on, and turns at most."""
ENOUGH = 2e-4
"""A pair has converged when a step with the Hessian's diagonal promises less than this, over n, as a share of
its squared residual. What is left to gain is some n times as much, well below a thousandth."""
HOPE = 1.002
"""A search goes on only if it is at most so many times as far as the best of its pair."""
SMALL = 1e-2
"""Residuals below this are refined in double precision."""


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
    progress: Progress = lambda share: None,
    spread: Spread = in_turn,
) -> Alignments:
    """Align pairs of operators, each by itself. The same arguments give the same result.

    Args:
        operators: ``[operator, n, n]``, real. They are not changed.
        pairs: ``[pair, 2]``: which are compared.
        starts: How many local searches are begun for each pair, in both components of O(n). More find
            better minima where there are many, in time that grows in proportion.
        rotations: Whether to keep the rotations, which takes ``n²`` numbers a pair.
        precision: Of the search; results are in double precision in any case.
        progress: Told now and then which share of the work is done.
        spread: Where tiles of pairs are aligned.

    Raises:
        AnalysisError: Not square matrices, or one that is zero or not finite.
    """
    networks = [Features({"operator": each}) for each in checked_operators(operators)]
    tile = partial(aligned, starts=starts, precision=precision, rotations=rotations)
    return Alignments(pairs, **gathered(len(pairs), spread(tile, networks, pairs, progress)))


def align_all(
    operators: Tensor,
    *,
    starts: int = STARTS,
    rounds: int = ROUNDS,
    precision: torch.dtype = torch.float32,
    progress: Progress = lambda share: None,
    spread: Spread = in_turn,
) -> Alignments:
    """Align all pairs of a population, ``i < j``, with the help of others.

    Takes and raises what :func:`align` does, and ``rounds``: how often pairs are gone through again, by way
    of landmarks: all operators, or :data:`LANDMARKS` of them, evenly spaced; in large populations two are
    nearly as good. A pair's residual is an upper bound of the smallest there is; how tight it is depends
    on the landmarks, too, as each can show a way.
    """
    operators = checked_operators(operators)
    count, size = operators.shape[:2]
    first = starts if count < POPULATION else max(1, starts // 4)
    pairs = torch.triu_indices(count, count, 1, device=operators.device).T
    marks = min(count, LANDMARKS, max(DETOURS, LARGEST // (count * size**2)))
    ways = _Ways.none(operators, torch.arange(marks, device=operators.device) * count // marks, precision)
    rounds = min(rounds, (marks - 2) // DETOURS)
    tables: dict[str, Tensor] = {}
    touching = (ways.slot[pairs] >= 0).sum(1)
    done = 0.0
    for stage in (2, 1, 0):  # landmarks with each other, others with landmarks, all others
        rows = (touching == stage).nonzero()[:, 0]
        if not len(rows):
            continue
        networks = [
            Features({"operator": operator, "ways": rotations, "lengths": lengths, "slot": slot})
            for operator, rotations, lengths, slot in zip(
                operators, ways.rotations, ways.lengths, ways.slot, strict=True
            )
        ]
        tile = partial(aligned, starts=first, rounds=rounds, precision=precision, rotations=stage > 0)
        parts = [torch.arange(len(rows))] if stage == 2 else _by_operator(pairs[rows], ways.slot)
        part = within(progress, done, len(rows) / len(pairs))
        found = spread(tile, networks, pairs[rows], part, parts if stage else None)
        for some, values in found:
            i, j = pairs[rows[some]].T
            if stage:
                ways.keep(i, j, values["rotation"], values["residual"])
            for name in ("residual", "bound", "converged"):
                table = tables.setdefault(name, values[name].new_empty(len(pairs)))
                table[rows[some]] = values[name]
        done += len(rows) / len(pairs)
    return Alignments(pairs, **tables)


def _by_operator(pairs: Tensor, slot: Tensor) -> list[Tensor]:
    """Rows of pairs with a landmark, :data:`MANY` other operators at a time."""
    others = torch.where(slot[pairs] < 0, pairs, -1).amax(1)
    order = others.argsort(stable=True)
    number = torch.unique(others[order], return_inverse=True)[1] // MANY
    return list(order.split(number.unique_consecutive(return_counts=True)[1].tolist()))


def aligned(
    networks: Sequence[Features],
    pairs: Tensor,
    progress: Progress = lambda share: None,
    *,
    starts: int,
    rounds: int = 0,
    precision: torch.dtype,
    rotations: bool,
) -> Mapping[str, Tensor]:
    """Align some pairs, by themselves and, with ``rounds``, by way of the landmarks that are known to them.

    Of each network the ``operator`` ``[n, n]``; with rounds, its ``slot`` among the landmarks or -1, and the
    rotations that bring landmarks to it, ``ways`` ``[landmark, n, n]``, with their residuals squared as
    ``lengths`` ``[landmark]``, infinite for those that are not known. Gives ``residual``, ``bound``,
    ``converged`` and, with ``rotations``, ``rotation``: see :class:`Alignments`.
    """
    operators = torch.stack([each.values["operator"] for each in networks])
    fields = Fields.of(operators)
    frames = frames_of(fields.traceless, starts + starts // 2, precision)
    ways = _Ways.of(networks, fields.basis.to(precision)) if rounds else None
    found = _Found.empty(len(pairs), operators, rotations)
    turned = fields.turned(pairs)
    pairs = torch.where(turned[:, None], pairs.flip(1), pairs)  # a search and its mirror image may end apart
    for number in range(rounds + 1):
        for rows in blocks(len(pairs), DETOURS if number else starts, operators):
            i, j = pairs[rows].T
            if ways and number:
                turn = ways.detours(fields, i, j, number - 1, precision)
            else:
                turn = search(fields, frames, i, j, starts, precision)
            turn, residual = found.improve(rows, fields, i, j, turn, precision)
            if ways:
                ways.keep(i, j, turn, residual)
            progress((number + rows.stop / len(pairs)) / (rounds + 1))
    i, j = pairs.T
    values = {"residual": found.residual, "bound": fields.bound(i, j), "converged": found.converged}
    if not rotations:
        return values
    rotation = fields.basis[i] @ found.turn @ fields.basis[j].mT
    return values | {"rotation": torch.where(turned[:, None, None], rotation.mT, rotation)}


@dataclass(frozen=True)
class _Found:
    """The best of each pair so far."""

    residual: Tensor
    converged: Tensor
    turn: Tensor
    """``[pair, n, n]``, between the eigenbases of :class:`Fields`; empty where nobody asks for it."""

    @classmethod
    def empty(cls, pairs: int, operators: Tensor, rotations: bool) -> _Found:
        nothing = operators.new_full((pairs,), torch.inf, dtype=torch.float64)
        turn = operators.new_zeros(pairs if rotations else 0, *operators.shape[1:], dtype=torch.float64)
        return cls(nothing, torch.zeros_like(nothing, dtype=torch.bool), turn)

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
        if len(self.turn):
            self.turn[rows] = torch.where(better[:, None, None], turn, self.turn[rows])
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
    """``[operator, landmark, n, n]``: from the landmark to the operator; zeros where none is known."""
    lengths: Tensor
    """``[operator, landmark]``: squared residuals, infinite where none is known."""
    slot: Tensor
    """``[operator]``: which landmark it is, or -1."""
    basis: Tensor | None = None
    """``[operator, n, n]``: the eigenbasis to which rotations lead; they begin in no such basis, as those of
    landmarks are not known everywhere."""

    @classmethod
    def none(cls, operators: Tensor, landmarks: Tensor, precision: torch.dtype) -> _Ways:
        """Not one is known yet."""
        count, marks = len(operators), len(landmarks)
        slot = torch.full((count,), -1, device=operators.device)
        slot[landmarks] = torch.arange(marks, device=operators.device)
        rotations = operators.new_zeros((count, marks, *operators.shape[1:]), dtype=precision)
        return cls(rotations, operators.new_full((count, marks), torch.inf, dtype=torch.float64), slot)

    @classmethod
    def of(cls, networks: Sequence[Features], basis: Tensor) -> _Ways:
        rotations, lengths, slot = (
            torch.stack([each.values[name] for each in networks]) for name in ("ways", "lengths", "slot")
        )
        return cls(basis.mT[:, None] @ rotations, lengths, slot, basis)

    def keep(self, i: Tensor, j: Tensor, turn: Tensor, residual: Tensor) -> None:
        """Remember the rotations from ``j`` to ``i`` that are better than those known."""
        for one, other, rotation in ((i, j, turn), (j, i, turn.mT)):
            known = self.slot[other]
            length = residual.square()
            better = ((known >= 0) & (length < self.lengths[one, known])).nonzero()[:, 0]
            if not len(better):
                continue
            one, other, known = one[better], other[better], known[better]
            best = rotation[better].to(self.rotations.dtype)
            self.rotations[one, known] = best if self.basis is None else best @ self.basis[other].mT
            self.lengths[one, known] = length[better]

    def detours(self, fields: Fields, i: Tensor, j: Tensor, number: int, precision: torch.dtype) -> Tensor:
        """The best of the ways over third operators, shorter ones in earlier rounds: ``[pair, n, n]``."""
        a, b = (fields.traceless[k].to(precision) for k in (i, j))
        length = self.lengths[i] + self.lengths[j]  # infinite by way of one of the two itself
        via = length.topk(DETOURS * (number + 1), 1, largest=False).indices[:, DETOURS * number :].T
        turn = self.rotations[i, via] @ self.rotations[j, via].mT
        return tournament(a, b, turn, VIA)
