"""Plain descent of ``‖A - C B Cᵀ‖²`` from ``C = I``: the three optimisers of fastDSA (arXiv 2511.22828).

What they find is the nearest minimum, not the best: far rotations, such as a random change of basis, stay
hidden (:func:`zoo.analysis.dynamics.procrustes.align` looks for those). They suit operators that share a
basis, such as delay operators of the same recording sites. All pairs go in a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.analysis.dynamics.fields import Fields, blocks
from zoo.analysis.dynamics.orthogonal import polar, promise
from zoo.analysis.dynamics.procrustes import ENOUGH, Alignments

BUFFERS = 4
"""Matrices of one pair that are at work at a time."""

Descent = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes ``A``, ``B`` and a start ``C``, each ``[pair, n, n]``, and gives another ``C``."""


@dataclass(frozen=True)
class Penalty:
    """Adam on ``‖A - C B Cᵀ‖² + weight ‖CᵀC - I‖²`` over all matrices (``ro`` of the authors' code)."""

    steps: int = 500
    learning_rate: float = 0.01
    weight: float = 1.0

    def __call__(self, a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
        turn = turn.clone().requires_grad_()
        adam = torch.optim.Adam([turn], lr=self.learning_rate)
        for _ in range(self.steps):
            with torch.no_grad():
                left, right = turn @ b, turn @ b.mT
                rest = torch.baddbmm(a, left, turn.mT, beta=-1)  # C B Cᵀ - A
                slope = torch.baddbmm(rest.mT @ left, rest, right)
                gram = turn.mT @ turn
                gram.diagonal(dim1=1, dim2=2).sub_(1)
                turn.grad = torch.baddbmm(slope, turn, gram, beta=2, alpha=4 * self.weight)
            adam.step()
        return turn.detach()


@dataclass(frozen=True)
class Landing:
    """Momentum in the tangent space, and a pull towards O(n) in place of a projection (``land``).

    ``V ← momentum V + (1 - momentum) Ψ`` and ``C ← C - learning_rate (V C + (C Cᵀ - I) C)``, where ``Ψ``
    is the skew part of the gradient times ``Cᵀ``.
    """

    steps: int = 500
    learning_rate: float = 0.5
    momentum: float = 0.8

    def __call__(self, a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
        velocity = torch.zeros_like(turn)
        for _ in range(self.steps):
            velocity.lerp_(_tangent(a, b, turn), 1 - self.momentum)
            pull = torch.baddbmm(velocity, turn, turn.mT)
            pull.diagonal(dim1=1, dim2=2).sub_(1)
            turn = torch.baddbmm(turn, pull, turn, alpha=-self.learning_rate)
        return turn


@dataclass(frozen=True)
class Riemannian:
    """Gradient descent on O(n), each step retracted by the Cayley transform (``rim``).

    Under spectral norms of product 1, a ``learning_rate`` up to 1/8 never climbs.
    """

    steps: int = 500
    learning_rate: float = 0.1

    def __call__(self, a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
        identity = torch.eye(turn.shape[-1]).to(turn)
        for _ in range(self.steps):
            # The canonical gradient is 2 Ψ C; half of the step goes on either side of the transform.
            half = self.learning_rate * _tangent(a, b, turn)
            turn = torch.linalg.solve(identity + half, turn - half @ turn)
        return turn


def descend(
    operators: Tensor,
    pairs: Tensor,
    descent: Descent,
    *,
    reflections: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Alignments:
    """Align pairs of operators by descent from the identity; results in double precision.

    Each pair is scaled to one Frobenius norm, and so that the product of the two spectral norms is 1: a
    step is as long for large operators as for small ones. The operator with the smaller norm is brought
    to the other, so that a pair has one distance. What comes out is projected to O(n) before it is
    measured. A pair has converged by the measure of :func:`align`; where every ``C`` has left the finite
    numbers, its residual is infinite and it has not.

    Args:
        operators: ``[operator, n, n]``, real. They are not changed.
        pairs: ``[pair, 2]``: which are compared.
        descent: :class:`Penalty`, :class:`Landing` or :class:`Riemannian`.
        reflections: Whether to start from a reflection, too, and keep the better: from the reflection of
            one axis after which the operators overlap most. The identity leads to rotations only.
        progress: Told after each batch which share of the work is done.

    Raises:
        AnalysisError: Not square matrices, or one that is zero or not finite.
    """
    fields = Fields.of(operators)
    operators = operators.double()
    norms = operators.flatten(1).norm(dim=1)
    operators = operators / norms[:, None, None]
    stretch = torch.linalg.matrix_norm(operators, ord=2)
    residual = operators.new_full((len(pairs),), torch.inf)
    converged = torch.zeros_like(residual, dtype=torch.bool)
    for rows in blocks(len(pairs), BUFFERS, operators):
        i, j = pairs[rows].T
        i, j = torch.where(norms[i] >= norms[j], torch.stack([i, j]), torch.stack([j, i]))
        a, b = operators[i], operators[j]
        scale = (stretch[i] * stretch[j]).rsqrt()[:, None, None]
        for start in _starts(a, b)[: 1 + reflections]:
            turn, lost = _nearest(descent(scale * a, scale * b, start))
            # Adam keeps moving where there is no slope: the start itself may be the better end.
            for end in (start, turn):
                found, settled = _measured(a, b, end)
                better = (found < residual[rows]) & ~lost
                residual[rows] = torch.where(better, found, residual[rows])
                converged[rows] = torch.where(better, settled, converged[rows])
        progress(rows.stop / len(pairs))
    return Alignments(pairs, residual, fields.bound(*pairs.T), converged)


def _starts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The identity, and the reflection of the axis that leaves the largest ``⟨A, C B Cᵀ⟩``."""
    identity = torch.eye(a.shape[-1]).to(a).expand_as(a)
    shared = a * b
    lost = shared.sum(1) + shared.sum(2) - 2 * shared.diagonal(dim1=1, dim2=2)
    axis = torch.nn.functional.one_hot(lost.argmin(1), a.shape[-1]).to(a)
    return identity.clone(), identity - 2 * axis.diag_embed()


def _nearest(turn: Tensor) -> tuple[Tensor, Tensor]:
    """The orthogonal matrix nearest to each ``C``, and whether there is none, as ``C`` is not finite."""
    gram = turn.mT @ turn
    lost = ~torch.isfinite(gram).all(2).all(1)
    # Of the same polar factor, and with singular values up to 1.
    turn = turn / gram.abs().sum(2).amax(1).sqrt()[:, None, None]
    return polar(torch.where(lost[:, None, None], torch.eye(turn.shape[-1]).to(turn), turn)), lost


def _measured(a: Tensor, b: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """``‖A - C B Cᵀ‖``, and whether that is a minimum, ``[pair]``."""
    moved = turn @ b @ turn.mT
    residual = (a - moved).flatten(1).norm(dim=1)
    return residual, 2 * promise(a, moved) <= ENOUGH / a.shape[-1] * residual.square() + 1e-24


def _tangent(a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
    """``Ψ = skew(G Cᵀ)`` of the gradient ``G = -2 (E C Bᵀ + Eᵀ C B)`` with ``E = A - C B Cᵀ``.

    The terms that do not come from ``A`` are symmetric and drop out, on O(n) and off it.
    """
    moved = turn @ b @ turn.mT
    product = torch.baddbmm(a @ moved.mT, a.mT, moved)
    return product.mT - product
