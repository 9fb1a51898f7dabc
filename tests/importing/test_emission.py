"""Spikes and fluorescence: means, variances and shapes that follow from what the specs say."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.importing.emission import firing_rates, fluorescence, spike_counts
from zoo.specs.models.sources import CalciumSpec, PoissonSpec


@pytest.fixture
def activity() -> torch.Tensor:
    """``[trial, time, unit]``; the units differ in mean and scale, and the last never changes."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20, 50, 5, generator=generator, dtype=torch.float64)
    values = noise.cumsum(1) * torch.tensor([1.0, 1e-3, 50.0, 7.0, 0.0]) + 3.0
    return values


@pytest.mark.parametrize("link", ["exp", "softplus", "relu"])
def test_rates_have_their_mean_and_follow_the_activity(activity: torch.Tensor, link: str) -> None:
    spec = PoissonSpec(rate=7.0, link=link, ceiling=1e9)
    rates = firing_rates(activity, spec)
    assert torch.allclose(rates.mean((0, 1)), torch.full((5,), 7.0, dtype=torch.float64))
    assert torch.equal(rates[..., 4], torch.full((20, 50), 7.0, dtype=torch.float64))
    ordered = rates[..., 0].flatten()[activity[..., 0].flatten().argsort()]
    assert (ordered.diff() >= -1e-9).all()
    assert ordered[-1] > 2 * ordered[0]
    # A change of scale or origin of the activity is no change of the recording.
    assert torch.allclose(firing_rates(5 * activity - 2, spec), rates)


def test_rates_of_the_exponential_are_those_of_the_formula(activity: torch.Tensor) -> None:
    one = activity[..., 0]
    z = (one - one.mean()) / one.std(correction=0)
    expected = 10 * torch.exp(0.5 * z) / torch.exp(0.5 * z).mean()
    found = firing_rates(activity[..., :1], PoissonSpec(gain=0.5, ceiling=12.0))[..., 0]
    assert torch.allclose(found, expected.clamp(max=12.0))


def test_padding_counts_for_nothing(activity: torch.Tensor) -> None:
    valid = torch.ones(20, 50)
    valid[:, 30:] = 0
    spec = PoissonSpec(ceiling=1e9)
    padded = torch.where(valid.bool()[..., None], activity, 1e6)
    rates = firing_rates(padded, spec, valid)
    assert torch.allclose(rates[:, :30], firing_rates(activity[:, :30], spec))
    assert not rates[:, 30:].any()


def test_counts_are_poisson() -> None:
    rates = torch.full((200, 100, 3), 40.0, dtype=torch.float64)
    counts = spike_counts(rates, 0.05, torch.Generator().manual_seed(1))
    assert torch.equal(counts, counts.round())
    # 20,000 samples of mean and variance 2: three standard errors are 0.03 and 0.065.
    assert counts.mean((0, 1)).sub(2).abs().max() < 0.03
    assert counts.var((0, 1)).sub(2).abs().max() < 0.065
    again = spike_counts(rates, 0.05, torch.Generator().manual_seed(1))
    assert torch.equal(counts, again)


@pytest.mark.parametrize("rise", [0.0, 0.05])
def test_a_spike_is_a_transient_of_the_height_that_is_said(rise: float) -> None:
    dt, spec = 0.01, CalciumSpec(rise=rise, amplitude=0.3, baseline=0.5, noise=0.0)
    spikes = torch.zeros(1, 400, 1, dtype=torch.float64)
    spikes[0, 10] = 1
    trace = fluorescence(spikes, torch.zeros_like(spikes), dt, spec, torch.Generator())[0, :, 0]
    assert trace[:10].eq(0.5).all()
    assert trace.max() == pytest.approx(0.8)
    assert trace[-1] - 0.5 < 0.3 * math.exp(-3)
    if rise:
        peak = spec.decay * rise / (spec.decay - rise) * math.log(spec.decay / rise)
        assert (int(trace.argmax()) - 10) * dt == pytest.approx(peak, abs=dt)
    else:
        assert trace[10 + 40] - 0.5 == pytest.approx(0.3 * math.exp(-0.4 / spec.decay))


def test_fluorescence_is_stationary_and_as_noisy_as_is_said() -> None:
    rates = torch.full((400, 60, 2), 20.0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    spec = CalciumSpec(rise=0.0, amplitude=1.0, noise=0.0)
    spikes = spike_counts(rates, 0.02, generator)
    trace = fluorescence(spikes, rates, 0.02, spec, generator)
    expected = 0.4 / (1 - math.exp(-0.02 / 0.4))
    assert trace.mean((0, 2))[0].item() == pytest.approx(expected, rel=0.02)
    assert trace.mean((0, 2))[-1].item() == pytest.approx(expected, rel=0.03)
    noisy = fluorescence(spikes, rates, 0.02, spec.updated(noise=0.7), generator)
    assert (noisy - trace).std().item() == pytest.approx(0.7, rel=0.02)


def test_times_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"should be below decay, 0\.1 s"):
        CalciumSpec(decay=0.1, rise=0.2)
    with pytest.raises(ValueError, match="rate"):
        PoissonSpec(rate=0.0)
