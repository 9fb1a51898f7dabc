"""What is seen of trajectories: fewer steps, averages, some units, mixtures, noise, scaling, components."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import ObservationSpec
from zoo.tasks.base import derive_seed

SIGNALS = ("states", "inputs", "outputs", "targets")


def observe(trajectories: Trajectories, spec: ObservationSpec) -> Trajectories:
    """Trajectories as seen through an observation; steps that are left out take their inputs along.

    Deterministic: noise follows from the seed and from where the trajectories came from. Raises
    :class:`AnalysisError` where there is less than is asked for.
    """
    if spec == ObservationSpec():
        return trajectories
    seen = _fewer_steps(trajectories, spec)
    if spec.average is not None:
        seen = _averaged(seen, spec.average)
    states, valid = seen.states, seen.valid()
    states = _channels(states, spec, calling(seen.name))
    if spec.noise:
        generator = torch.Generator().manual_seed(derive_seed("observation", spec.seed, seen.origin))
        noise = torch.randn(states.shape, generator=generator, dtype=states.dtype)
        states = states + spec.noise * noise.to(states.device)
    if spec.standardise is not None:
        states = _standardised(states, valid, spec.standardise, calling(seen.name))
    if spec.components is not None:
        states = _components(states, valid, spec.components, calling(seen.name))
    return replace(seen, states=states if valid is None else states * valid[..., None])


def _fewer_steps(seen: Trajectories, spec: ObservationSpec) -> Trajectories:
    shortest = seen.states.shape[1] if seen.lengths is None else int(seen.lengths.min())
    if spec.skip >= shortest:
        raise AnalysisError(
            f"{calling(seen.name)} has a trial of {shortest} steps, and the first {spec.skip} are left out. "
            "Lower 'skip', or give longer trials."
        )
    if not spec.skip and spec.every == 1:
        return seen
    steps = slice(spec.skip, None, spec.every)
    lengths = None if seen.lengths is None else -((spec.skip - seen.lengths) // spec.every)
    kept = {name: getattr(seen, name)[:, steps] for name in SIGNALS if getattr(seen, name) is not None}
    whole = seen.states.shape[1]
    latents = {
        name: value[:, steps] if value.ndim > 1 and value.shape[1] == whole else value
        for name, value in seen.latents.items()
    }
    return replace(seen, **kept, lengths=lengths, latents=latents)


def _averaged(seen: Trajectories, latent: str) -> Trajectories:
    """Means over the trials that share the value of a latent, in ascending order of the values."""
    values = seen.latents.get(latent)
    if values is None or values.ndim != 1 or seen.lengths is not None:
        has = ", ".join(name for name, value in seen.latents.items() if value.ndim == 1) or "none"
        raise AnalysisError(
            f"{calling(seen.name)} cannot be averaged over {latent!r}: that takes trials of one length and "
            f"a latent with one value a trial; it has {has}."
        )
    groups, which = values.unique(return_inverse=True)
    share = torch.nn.functional.one_hot(which, len(groups)).to(seen.states)
    share = (share / share.sum(0)).T

    def mean(tensor: Tensor) -> Tensor:
        return torch.einsum("gk,ktu->gtu", share.to(tensor), tensor)

    means: dict[str, Any] = {
        name: mean(getattr(seen, name)) for name in SIGNALS if getattr(seen, name) is not None
    }
    return replace(seen, **means, latents={latent: groups})


def _channels(states: Tensor, spec: ObservationSpec, name: str) -> Tensor:
    """Some of the units, or random mixtures of them: the same for networks of one width."""
    generator = torch.Generator().manual_seed(derive_seed("channels", spec.seed))
    if spec.units is not None:
        width = states.shape[-1]
        if spec.units > width:
            raise AnalysisError(f"{name} has {width} units, and {spec.units} should be seen. Lower 'units'.")
        chosen = torch.randperm(width, generator=generator)[: spec.units].sort().values
        states = states[..., chosen.to(states.device)]
    if spec.lift is not None:
        width = states.shape[-1]
        mixture = torch.randn(width, spec.lift, generator=generator, dtype=states.dtype) / width**0.5
        states = states @ mixture.to(states.device)
    return states


def _standardised(states: Tensor, valid: Tensor | None, over: str, name: str) -> Tensor:
    counted = torch.ones_like(states[..., :1]) if valid is None else valid[..., None]
    axes = (1,) if over == "trial" else (0, 1)
    count = counted.sum(axes, keepdim=True)
    centred = (states - (states * counted).sum(axes, keepdim=True) / count) * counted
    deviation = (centred.square().sum(axes, keepdim=True) / count).sqrt()
    if bool((deviation <= 1e-12 * deviation.max()).any()):
        raise AnalysisError(
            f"{name} has a channel that never changes{' in some trial' if over == 'trial' else ''}, which "
            "cannot be scaled to unit variance. See fewer units, or do not standardise."
        )
    return centred / deviation


def _components(states: Tensor, valid: Tensor | None, count: int, name: str) -> Tensor:
    samples = states.flatten(0, 1) if valid is None else states[valid.bool()]
    most = min(samples.shape[0] - 1, samples.shape[1])
    if count > most:
        raise AnalysisError(
            f"{name} has {most} principal components, and {count} should be kept. Lower 'components'."
        )
    mean = samples.mean(0)
    triangle = torch.linalg.qr(samples - mean, mode="r").R
    _, _, directions = torch.linalg.svd(triangle, full_matrices=False)
    return (states - mean) @ directions[:count].T
