"""Searches for an orthogonal change of basis: where they start, and which of them go on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.analysis.dynamics.fields import Fields
from zoo.analysis.dynamics.orthogonal import overlaps, polar, refine, skew, symmetric

PLAN = ((1, 20), (2, 40), (4, 100))
"""Steps for which the best of all starts are refined, the better half of them, the best quarter."""
MIXTURES = (
    (1, 0, 0, 0, 4, 0),
    (1, 0, 0, 0, 2, 0),
    (1, 0, 0, 0, 1, 0),
    (0, 1, 0, 0, 0, 0),
    (1, 0, 0, 0, 0, 0),
)
"""Weights of the first starts, see :func:`frames_of`; those of the others are drawn from a fixed seed."""
POWER = 20
"""Power iterations for the phases of a start."""


def search(
    fields: Fields, frames: Tensor, i: Tensor, j: Tensor, starts: int, precision: torch.dtype
) -> Tensor:
    """The best of many starts, each refined a little, the better ones more: ``[pair, n, n]``."""
    a, b = (fields.traceless[k].to(precision) for k in (i, j))
    turn = starts_of(a, b, frames[:, i], frames[:, j])
    return tournament(a, b, turn, [(max(1, starts // share), steps) for share, steps in PLAN])


def tournament(a: Tensor, b: Tensor, turn: Tensor, plan: Sequence[tuple[int, int]]) -> Tensor:
    """``[pair, n, n]``: of ``[start, pair, n, n]`` the best few are refined, of these the best, and so on."""
    for many, steps in plan:
        turn = _best(a, b, turn, many)
        refined = refine(a.repeat(many, 1, 1), b.repeat(many, 1, 1), turn.flatten(0, 1), steps)
        turn = refined.view_as(turn)
    return _best(a, b, turn, 1)[0]


def _best(a: Tensor, b: Tensor, turn: Tensor, many: int) -> Tensor:
    best = overlaps(a, b, turn).topk(many, 0).indices
    return turn.gather(0, best[..., None, None].expand(-1, -1, *a.shape[1:]))


def frames_of(operators: Tensor, count: int, precision: torch.dtype) -> Tensor:
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


def starts_of(a: Tensor, b: Tensor, frames_a: Tensor, frames_b: Tensor) -> Tensor:
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
