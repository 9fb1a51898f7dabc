"""Maximising ``⟨A, C B Cᵀ⟩`` over orthogonal matrices ``C``, many pairs of matrices in step."""

from __future__ import annotations

import torch
from torch import Tensor

MEMORY = 8
"""Steps that the quasi-Newton approximation remembers."""
REACH = 1.4
"""Largest Frobenius norm of the rotation vector of one step."""
CACHE = 2**18
"""Numbers in one of the some twenty arrays that go through a CPU's cache at a time."""


def refine(a: Tensor, b: Tensor, turn: Tensor, steps: int) -> Tensor:
    """Raise ``⟨A, C B Cᵀ⟩`` by limited-memory BFGS on O(n), ``[pair, n, n]``, many pairs in step.

    Tangent vectors are skew matrices ``Ω`` at the identity (``C`` becomes ``exp(Ω) C``), so those of
    different points add up without transport. The scale of each direction is the exact diagonal of
    the Hessian. A step that does not lower the cost is tried again, shorter, in the next turn.
    """
    many = len(a) if a.device.type != "cpu" else max(1, CACHE // a.shape[-1] ** 2)
    batches = zip(a.split(many), b.split(many), turn.split(many), strict=True)
    parts = [_refine(*batch, steps) for batch in batches]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _refine(a: Tensor, b: Tensor, turn: Tensor, steps: int) -> Tensor:
    count, size, _ = a.shape
    turned_a = a.mT.contiguous()
    identity = torch.eye(size).to(a)
    tiny, eps = torch.finfo(a.dtype).tiny, torch.finfo(a.dtype).eps

    def cost(moved: Tensor) -> Tensor:
        return -torch.linalg.vecdot(a.view(count, -1), moved.view(count, -1))

    def gradient(moved: Tensor) -> Tensor:
        product = torch.baddbmm(moved @ turned_a, turned_a, moved, alpha=-1)
        return (product - product.mT).mul_(0.5).view(count, -1)

    moved = turn @ b @ turn.mT
    value, slope, scale = cost(moved), gradient(moved), _scale(a, moved)
    taken, changes = a.new_zeros(2, MEMORY, count, size * size)
    weight = a.new_zeros(MEMORY, count, 1)
    direction = -slope * scale
    length = a.new_ones(count)
    fall = torch.linalg.vecdot(slope, direction)
    for step in range(steps):
        if step % 4 == 0:
            scale = _scale(a, moved)
        length = torch.minimum(length, REACH / torch.linalg.vector_norm(direction, dim=1).clamp_min(tiny))
        tangent = length[:, None] * direction
        rotation = _exponential(tangent.view(count, size, size), identity)
        new_moved = rotation @ moved @ rotation.mT
        new_value, new_slope, new_turn = cost(new_moved), gradient(new_moved), rotation @ turn
        failed = ~(new_value <= value + 1e-4 * length * fall + 4 * eps * value.abs())
        slot = step % MEMORY
        torch.sub(new_slope, slope, out=changes[slot])
        taken[slot] = tangent
        again = failed.nonzero()[:, 0]
        if len(again):
            tried, start = length[again], fall[again]
            parabola = (
                -start * tried**2 / (2 * (new_value - value)[again] - 2 * start * tried).clamp_min(tiny)
            )
            shorter = torch.minimum(torch.maximum(parabola, 0.1 * tried), 0.5 * tried)
            before = direction[again]
            for new, old in (
                (new_moved, moved),
                (new_turn, turn),
                (new_slope, slope),
                (new_value, value),
            ):
                new[again] = old[again]
            taken[slot, again], changes[slot, again] = 0, 0
        moved, turn, slope, value = new_moved, new_turn, new_slope, new_value
        curvature = torch.linalg.vecdot(taken[slot], changes[slot])
        weight[slot] = torch.where(curvature > tiny, 1 / curvature, 0.0)[:, None]
        recent = [(step - back) % MEMORY for back in range(min(step + 1, MEMORY))]
        direction = _quasi_newton(slope, scale, [(taken[k], changes[k], weight[k]) for k in recent])
        length = a.new_ones(count)
        if len(again):
            direction[again], length[again] = before, shorter
        fall = torch.linalg.vecdot(slope, direction)
        upward = (fall >= 0).nonzero()[:, 0]
        if len(upward):
            direction[upward] = -(slope * scale)[upward]
            fall = torch.linalg.vecdot(slope, direction)
    return turn


def _quasi_newton(slope: Tensor, scale: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Minus the inverse Hessian times the gradient, by the two-loop recursion (Nocedal 1980)."""
    direction = slope.clone()
    shares = []
    for taken, change, weight in history:
        shares.append(weight * torch.linalg.vecdot(taken, direction)[:, None])
        direction.addcmul_(shares[-1], change, value=-1)
    direction.mul_(scale)
    for (taken, change, weight), share in zip(reversed(history), reversed(shares), strict=True):
        direction.addcmul_(share - weight * torch.linalg.vecdot(change, direction)[:, None], taken)
    return direction.neg_()


def _scale(a: Tensor, moved: Tensor) -> Tensor:
    """The inverse of the Hessian's diagonal, ``[pair, n * n]``: one number a plane of rotation.

    Where it is near zero or negative, a tenth of the mean stands for it.
    """
    product = a * moved
    rows = product.sum(2) + product.sum(1)
    diagonals = a.diagonal(dim1=1, dim2=2), moved.diagonal(dim1=1, dim2=2)
    hessian = torch.baddbmm(
        rows[:, :, None] + rows[:, None, :],
        torch.stack(diagonals, 2),
        torch.stack(diagonals[::-1], 1),
        alpha=-2,
    )
    crossed = a * moved.mT
    hessian = hessian.add_(crossed, alpha=2).add_(crossed.mT, alpha=2).abs_().mul_(0.5)
    mean = hessian.mean((1, 2), keepdim=True).clamp_min(torch.finfo(a.dtype).tiny)
    return torch.maximum(hessian, 0.1 * mean).reciprocal_().flatten(1)


def promise(a: Tensor, moved: Tensor) -> Tensor:
    """``[pair]``: how much a step of Newton's, with the diagonal of the Hessian, would raise the overlap."""
    slope = skew(moved @ a.mT - a.mT @ moved).flatten(1)
    return (slope.square() * _scale(a, moved)).sum(1) / 2


def overlaps(a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
    """``⟨A, C B Cᵀ⟩``, ``[start, pair]``."""
    return (a * (turn @ b @ turn.mT)).sum((-2, -1))


def _exponential(tangent: Tensor, identity: Tensor) -> Tensor:
    """``exp(Ω)`` to fourth order, and a Newton–Schulz step towards O(n): products only, no inverse."""
    square = tangent @ tangent
    fourth = torch.baddbmm(square, square, tangent + square / 4, beta=0.5, alpha=1 / 6)
    rotation = fourth.add_(tangent).add_(identity)
    return torch.baddbmm(rotation, rotation, rotation.mT @ rotation, beta=1.5, alpha=-0.5)


def settle(matrices: Tensor, steps: int = 3) -> Tensor:
    """The nearest orthogonal matrices, by Newton–Schulz iterations; singular values must be below √3."""
    for _ in range(steps):
        matrices = 1.5 * matrices - 0.5 * matrices @ (matrices.mT @ matrices)
    return matrices


def polar(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices, where singular values may be near zero."""
    found = settle(matrices, 12)
    identity = torch.eye(found.shape[-1]).to(found)
    poor = (found.mT @ found - identity).abs().amax((-2, -1)) > 1e-3
    if bool(poor.any()):
        left, _, right = torch.linalg.svd(matrices[poor])
        found[poor] = left @ right
    return found


def symmetric(matrices: Tensor) -> Tensor:
    return (matrices + matrices.mT) / 2


def skew(matrices: Tensor) -> Tensor:
    return (matrices - matrices.mT) / 2
