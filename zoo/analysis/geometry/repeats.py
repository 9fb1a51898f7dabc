"""Repeats of the same condition: their average, and how reliable it is."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.analysis.geometry.samples import latent
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories

HALVINGS = 20
"""Random ways to halve the repeats, over which the correlation of the halves is averaged."""
LEAST = 0.05
"""Reliability of a unit below which it says nothing that could be predicted."""


def averaged(states: Tensor, source: Trajectories, name: str, kind: str) -> tuple[Tensor, Tensor]:
    """Means over trials that share a latent ``[condition, time, unit]``, and their reliability ``[unit]``.

    The reliability is the correlation of the averages over two halves of the repeats, over conditions and
    time, lengthened to all repeats: 2r / (1 + r) (Spearman 1910, Brown 1910). It is 0 for units where it is
    not above :data:`LEAST`. Raises :class:`AnalysisError` for a latent that is no condition, conditions that
    were not repeated, and where no unit is reliable.
    """
    called, values = calling(source.name), latent(source, name)
    if values.ndim != 1:
        raise AnalysisError(
            f"the latent {name!r} of {called} has the shape {tuple(values.shape)}; {kind} takes repeats by a "
            "latent with one value a trial."
        )
    conditions, which, repeats = values.to(states.device).unique(return_inverse=True, return_counts=True)
    if int(repeats.min()) < 2:
        once = int((repeats < 2).sum())
        raise AnalysisError(
            f"{once} of {len(conditions)} values of {name!r} occur in one trial of {called} only, so that "
            f"there are no halves to compare. Give repeats of each, or leave out 'repeats' of {kind}."
        )
    share = torch.nn.functional.one_hot(which).to(states)
    mean = torch.einsum("kc,ktu->ctu", share / share.sum(0), states)
    generator = torch.Generator().manual_seed(0)
    found = states.new_zeros(states.shape[2])
    for _ in range(HALVINGS):
        order = torch.randperm(len(which), generator=generator).to(states.device)
        # The place of each trial among those of its condition, in a random order: even ones are one half.
        counted = share[order].cumsum(0).gather(1, which[order, None])[:, 0]
        place = torch.empty_like(counted)
        place[order] = counted
        halves = [share * (place % 2 == parity)[:, None] for parity in (0, 1)]
        one, other = (
            torch.einsum("kc,ktu->ctu", half / half.sum(0), states).flatten(0, 1) for half in halves
        )
        one, other = one - one.mean(0), other - other.mean(0)
        sizes = torch.linalg.norm(one, dim=0) * torch.linalg.norm(other, dim=0)
        found += torch.where(sizes > 0, (one * other).sum(0) / sizes.clamp(min=1e-300), 0) / HALVINGS
    found = torch.where(found > 0, 2 * found / (1 + found), 0).clamp(max=1)
    if not bool((found > LEAST).any()):
        raise AnalysisError(
            f"halves of the repeats of {called} do not agree in any unit, so that nothing can be "
            f"predicted. Give more repeats of each {name!r}."
        )
    return mean, torch.where(found > LEAST, found, 0)
