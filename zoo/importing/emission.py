"""What an electrode or a microscope would show of a network: spikes and fluorescence."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zoo.specs.models.sources import CalciumSpec, PoissonSpec

LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "softplus": torch.nn.functional.softplus,
    "relu": torch.relu,
}
LARGEST = 80.0
"""What is exponentiated at most: more could not be told from the ceiling, and would overflow."""


def firing_rates(activity: Tensor, spec: PoissonSpec, valid: Tensor | None = None) -> Tensor:
    """Rates in Hz, ``[trial, time, unit]``, of activity ``[trial, time, unit]``; see :class:`PoissonSpec`.

    ``valid`` ``[trial, time]`` is 1 where there is a sample; rates are 0 where there is none.
    """
    activity = activity.double()
    counted = torch.ones_like(activity[..., :1]) if valid is None else valid[..., None].double()
    count = counted.sum((0, 1))
    centred = (activity - (activity * counted).sum((0, 1)) / count) * counted
    deviation = (centred.square().sum((0, 1)) / count).sqrt()
    scale = (activity * counted).abs().amax((0, 1))
    still = deviation <= 1e-9 * scale  # nothing but rounding
    z = torch.where(still, 0.0, centred / torch.where(still, 1.0, deviation))
    f = LINKS[spec.link]((spec.gain * z).clamp(max=LARGEST)) * counted
    mean = f.sum((0, 1)) / count
    rates = spec.rate * torch.where(mean > 0, f / torch.where(mean > 0, mean, 1.0), counted)
    return rates.clamp(max=spec.ceiling)


def spike_counts(rates: Tensor, dt: float, generator: torch.Generator) -> Tensor:
    """Spikes in each step of ``dt`` seconds, given rates in Hz; of the shape of the rates."""
    return torch.poisson(rates * dt, generator=generator)


def fluorescence(
    spikes: Tensor, rates: Tensor, dt: float, spec: CalciumSpec, generator: torch.Generator
) -> Tensor:
    """ΔF/F ``[trial, time, unit]`` of spike counts and their rates; see :class:`CalciumSpec`."""
    decays = [math.exp(-dt / tau) if tau else 0.0 for tau in (spec.decay, spec.rise)]
    a = torch.tensor(decays, dtype=spikes.dtype, device=spikes.device)[:, None, None]
    # A spike counts in its own step, unless there is a rise, when the two exponentials cancel there.
    state = (rates[:, 0] * dt) / (1 - a)
    trace = torch.empty_like(spikes)
    for t in range(spikes.shape[1]):
        state = a * state + spikes[:, t]
        trace[:, t] = state[0] - state[1] if spec.rise else state[0]
    noise = torch.randn(spikes.shape, generator=generator, dtype=spikes.dtype, device=spikes.device)
    return spec.baseline + spec.amplitude / _peak(dt, spec) * trace + spec.noise * noise


def _peak(dt: float, spec: CalciumSpec) -> float:
    """The largest value on the grid of steps of a transient before it is scaled."""
    if not spec.rise:
        return 1.0
    time = spec.decay * spec.rise / (spec.decay - spec.rise) * math.log(spec.decay / spec.rise)
    steps = {max(1, math.floor(time / dt)), math.ceil(time / dt)}
    return max(math.exp(-k * dt / spec.decay) - math.exp(-k * dt / spec.rise) for k in steps)
