"""Samples of activity, chosen by the values of latents."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.analyses.activity import ActivitySpec


def latent(run: Trajectories, name: str) -> Tensor:
    """One of the latents. Raises :class:`AnalysisError` for one that there is not, with those there are."""
    if name not in run.latents:
        raise AnalysisError(
            f"{calling(run.name)} has no latent {name!r}.{suggest(name, run.latents)} "
            f"Its latents: {', '.join(run.latents) or 'none'}."
        )
    return run.latents[name]


def chosen(run: Trajectories, spec: ActivitySpec) -> Tensor:
    """Which samples are looked at, ``[trial, time]``. Raises :class:`AnalysisError` where none is left."""
    keep = torch.ones(run.states.shape[:2], dtype=torch.bool, device=run.states.device)
    valid = run.valid()
    if valid is not None:
        keep &= valid > 0
    for name, values in spec.where.items():
        found = latent(run, name)
        if found.ndim == 1:
            found = found[:, None].expand_as(keep)
        if found.shape != keep.shape:
            raise AnalysisError(
                f"the latent {name!r} of {calling(run.name)} has the shape {tuple(found.shape)}, and one "
                "value a trial or a sample is needed to choose by it."
            )
        keep &= torch.isin(found.double(), found.new_tensor(values, dtype=torch.float64))
    if not bool(keep.any()):
        raise AnalysisError(
            f"no sample of {calling(run.name)} is where {spec.kind} looks: {spec.where}. Ask for other "
            "values, or for more trials."
        )
    return keep
