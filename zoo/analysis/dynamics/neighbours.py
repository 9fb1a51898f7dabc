"""Neighbours in the states of a network, and in the system that it sees a part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.geometry.samples import latent
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.unfolding import (
    NeighbourhoodSpec,
    NeighboursSpec,
    NoiseAmplificationSpec,
    UnfoldingSpec,
)
from zoo.tasks.base import derive_seed

if TYPE_CHECKING:
    from zoo.network import Network


class Neighbours(Measurement[NeighboursSpec]):
    """Numbers: the mean ``overlap``, and that by ``chance``. Arrays: ``overlap`` ``[sample]``."""

    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec = self.spec
        system = system_of(run, spec)
        trial, time = moments(run, spec)
        near = [
            nearest(values[trial, time], trial, time, spec, calling(run.name))
            for values in (run.states, system)
        ]
        shared = (near[0][:, :, None] == near[1][:, None, :]).any(2).double().mean(1)
        others = len(trial) - 1
        return Found({"overlap": shared.mean(), "chance": spec.neighbours / others}, {"overlap": shared})


class NoiseAmplification(Measurement[NoiseAmplificationSpec]):
    """Numbers: ``amplification`` σ², the mean of E²/ε²; ``normalised``, that times the harmonic mean α² of
    ε², which no scale of the states changes; ``cost``, log₁₀(σα); and the means ``variance`` of E² and
    ``spread`` of ε². Arrays: ``variance`` and ``spread`` ``[sample]``."""

    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, name = self.spec, calling(run.name)
        system = system_of(run, spec)
        if spec.variable >= system.shape[2]:
            raise AnalysisError(
                f"the latent {spec.latent!r} of {name} has the variables 0 … {system.shape[2] - 1}, not "
                f"{spec.variable}. Give another 'variable'."
            )
        trial, time = moments(run, spec, after=spec.horizon)
        near = nearest(run.states[trial, time], trial, time, spec, name)
        ball = torch.cat([torch.arange(len(near), device=near.device)[:, None], near], 1)
        spread = _spread(run.states[trial, time], ball)
        if not bool((spread > 0).all()):
            raise AnalysisError(
                f"several samples of {name} have the same state to the last digit, so that noise has no "
                "scale there. Leave out the first steps (observe.skip), or look at another site."
            )
        ahead = torch.arange(1, spec.horizon + 1, device=time.device)
        later = system[trial[:, None], time[:, None] + ahead, spec.variable]  # [sample, step]
        variance = later[ball].var(1, correction=0).mean(1)
        amplification = (variance / spread).mean()
        normalised = amplification / (1 / spread).mean()
        if not float(normalised) > 0:
            raise AnalysisError(
                f"variable {spec.variable} of the latent {spec.latent!r} of {name} never changes. Choose "
                "another."
            )
        numbers = {
            "amplification": amplification,
            "normalised": normalised,
            "cost": normalised.log10() / 2,
            "variance": variance.mean(),
            "spread": spread.mean(),
        }
        return Found(numbers, {"variance": variance, "spread": spread})


def system_of(run: Trajectories, spec: UnfoldingSpec) -> Tensor:
    """States of the system, ``[trial, time, variable]``, in double precision.

    Raises :class:`AnalysisError` for a latent that is no such thing.
    """
    values = latent(run, spec.latent)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[:2] != run.states.shape[:2]:
        raise AnalysisError(
            f"the latent {spec.latent!r} of {calling(run.name)} has the shape {tuple(values.shape)}; the "
            f"state of a system at each of its {run.states.shape[1]} steps is needed, [trial, time, "
            "variable]."
        )
    return values.to(run.states)


def moments(run: Trajectories, spec: UnfoldingSpec, after: int = 0) -> tuple[Tensor, Tensor]:
    """Trial and step of samples ``[sample]`` that have so many steps after them, the same for all networks.

    Raises :class:`AnalysisError` where there are fewer than ten.
    """
    trials, steps = run.states.shape[:2]
    lengths = torch.full((trials,), steps) if run.lengths is None else run.lengths.cpu()
    there = (torch.arange(steps) < (lengths - after)[:, None]).nonzero()
    if len(there) < 10:
        raise AnalysisError(
            f"{calling(run.name)} has {len(there)} samples with {after} steps after them, too few for "
            f"{spec.kind}. Give more or longer trials."
        )
    generator = torch.Generator().manual_seed(derive_seed("moments", spec.seed))
    chosen = there[torch.randperm(len(there), generator=generator)[: spec.samples]]
    trial, time = chosen.to(run.states.device).unbind(1)
    return trial, time


def nearest(values: Tensor, trial: Tensor, time: Tensor, spec: NeighbourhoodSpec, name: str) -> Tensor:
    """Numbers of the nearest samples ``[sample, neighbour]`` of ``values`` ``[sample, dimension]``.

    Raises :class:`AnalysisError` where a sample has too few that are not of its own trial and time.
    """
    count: int = spec.neighbours  # type: ignore[attr-defined]
    found = []
    for rows in torch.arange(len(values), device=values.device).split(1024):
        distances = torch.cdist(values[rows], values)
        close = (trial[rows, None] == trial) & ((time[rows, None] - time).abs() < spec.theiler)
        if int((~close).sum(1).min()) < count:
            raise AnalysisError(
                f"a sample of {name} has fewer than {count} others that are {spec.theiler} steps away or of "
                "another trial. Give more trials, or lower 'neighbours' or 'theiler'."
            )
        found.append(distances.masked_fill(close, torch.inf).topk(count, 1, largest=False).indices)
    return torch.cat(found)


def _spread(values: Tensor, ball: Tensor) -> Tensor:
    """Mean squared distance between the members of each ball ``[sample, member]``; ``[sample]``."""
    members = ball.shape[1]
    points = values[ball]
    # the sum over pairs is so many times the sum of squared distances from the mean
    return 2 / (members - 1) * (points - points.mean(1, keepdim=True)).square().sum((1, 2))
