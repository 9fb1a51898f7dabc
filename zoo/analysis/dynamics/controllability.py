"""Driven linear systems compared by their controllability matrices, up to an orthogonal change of basis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 2**22
"""Numbers in the controllability matrices of one batch of pairs."""


@dataclass(frozen=True)
class DrivenDistances:
    """Frobenius norms for each pair, both systems in the basis in which they are nearest as a whole."""

    joint: Tensor
    """``[pair]``: ``‖C K₁ - K₂‖`` at its smallest over O(n), ``K`` the controllability matrix."""
    state: Tensor
    """``[pair]``: ``‖C A₁ Cᵀ - A₂‖`` at the same ``C``."""
    input: Tensor
    """``[pair]``: ``‖C B₁ - B₂‖`` at the same ``C``."""


def controllability(a: Tensor, b: Tensor, extended: bool = False) -> Tensor:
    """``K = [B, AB, …, Aⁿ⁻¹B]`` of systems ``a`` ``[system, n, n]``, ``b`` ``[system, n, m]``.

    ``extended`` appends ``AᵀB, …, (Aᵀ)ⁿ⁻¹B``, as the authors' code does and the paper does not:
    ``[system, n, n * m]``, or ``[system, n, (2n - 1) * m]``.
    """
    reached = [b]
    for operator in (a, a.mT) if extended else (a,):
        block = b
        for _ in range(a.shape[-1] - 1):
            block = operator @ block
            reached.append(block)
    return torch.cat(reached, -1)


def driven_distances(a: Tensor, b: Tensor, pairs: Tensor, *, extended: bool = False) -> DrivenDistances:
    """Distances of pairs of driven systems (Huang et al. 2025, InputDSA), exactly 0 for turned copies.

    ``C = argmin ‖C K₁ - K₂‖`` over O(n) is an orthogonal Procrustes problem, solved for all pairs at once.
    The authors' code reports ``‖K₁ - C K₂‖`` with this same ``C``, which is not invariant to a change of
    basis. Norms are not free of scale: they have the unit of what they compare.

    Args:
        a: ``[system, n, n]``, float64.
        b: ``[system, n, m]``.
        pairs: ``[pair, 2]``: which are compared.
        extended: See :func:`controllability`.
    """
    reach = controllability(a, b, extended)
    found = []
    for first, second in _blocks(pairs, reach):
        turn = _exact_turns(reach[first], reach[second])
        joint = turn @ reach[first] - reach[second]
        state = turn @ a[first] @ turn.mT - a[second]
        drive = turn @ b[first] - b[second]
        found.append(torch.stack([torch.linalg.matrix_norm(each) for each in (joint, state, drive)]))
    return DrivenDistances(*torch.cat(found, 1))


def input_distances(b: Tensor, pairs: Tensor) -> Tensor:
    """``min ‖C B₁ - B₂‖`` over O(n), each pair in the basis that is best for its inputs alone, ``[pair]``.

    ``b`` is ``[system, n, m]``; columns are inputs that correspond.
    """
    return torch.cat(
        [
            torch.linalg.matrix_norm(_turns(b[first], b[second]) @ b[first] - b[second])
            for first, second in _blocks(pairs, b)
        ]
    )


def _blocks(pairs: Tensor, matrices: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for block in pairs.split(max(1, BLOCK // matrices[0].numel())):
        yield block[:, 0], block[:, 1]


def _turns(a: Tensor, b: Tensor) -> Tensor:
    """``argmin ‖C A - B‖`` over O(n), ``[pair, n, n]``."""
    left, _, right = torch.linalg.svd(b @ a.mT)
    return left @ right


def _exact_turns(a: Tensor, b: Tensor) -> Tensor:
    """:func:`_turns` for matrices at least as wide as high that are nearly singular.

    Directions that inputs hardly reach are lost in the product ``B Aᵀ``. Turned copies agree in all
    directions weighted alike, too, in which none is lost; the better of both is kept.
    """
    alike = []
    for matrices in (a, b):
        left, _, right = torch.linalg.svd(matrices, full_matrices=False)
        alike.append(left @ right)
    turns = torch.stack([_turns(a, b), _turns(*alike)])
    nearest = torch.linalg.matrix_norm(turns @ a - b).argmin(0)
    return turns[nearest, torch.arange(len(a), device=a.device)]
