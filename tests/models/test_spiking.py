"""Spiking networks: their rates where a formula has them, and the gradients that they are trained by."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from zoo.errors import SpecError
from zoo.models.spike_scan import Spikes
from zoo.models.spiking import LIF
from zoo.specs.models.spiking import LIFSpec
from zoo.specs.problems import validate

VARIANTS: list[dict[str, Any]] = [
    {},
    {"reset": "zero", "surrogate": "atan"},
    {"refractory": 2, "surrogate": "triangle", "slope": 1.0},
    {"refractory": 1, "reset": "zero", "tau_synapse": 0.0, "tau_readout": 0.0},
]


def make(**fields: Any) -> LIF:
    torch.manual_seed(0)
    return LIF(LIFSpec(hidden=12, **fields), 3, 2).double().eval()


def alone(**fields: Any) -> LIF:
    """Units without connections among them."""
    model = make(**fields)
    with torch.no_grad():
        model.weight.zero_()
    return model


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("refractory", [0, 7])
def test_intervals_between_spikes_under_a_constant_current(reset: str, refractory: int) -> None:
    """From v = 0, v_k = a (1 - β^k)/(1 - β), which is above θ from k = log(1 - θ (1-β)/a)/log β on."""
    model = alone(tau_synapse=0.0, tau_membrane=15.0, reset=reset, refractory=refractory)
    model.bias.data.fill_(0.11)
    x = torch.zeros(1, 400, 3, dtype=torch.float64)
    states = model.rollout(model.initial_state(1), x)
    times = states[0, :, model.parts["spikes"].start].nonzero()[:, 0]
    beta = math.exp(-1 / 15)
    first = math.floor(math.log(1 - (1 - beta) / 0.11) / math.log(beta)) + 1
    assert times[0].item() + 1 == first
    if reset == "zero" and refractory < first:
        assert set(times.diff().tolist()) == {first}
    else:
        assert times.diff().min().item() > refractory
        assert states[0, times[0] + 1, model.parts["v"]].max() < 1


@pytest.mark.parametrize("fields", VARIANTS)
def test_the_whole_pass_and_its_gradients_are_those_of_steps(fields: dict[str, Any]) -> None:
    model = make(**fields)
    x = 2 * torch.randn(4, 40, 3, dtype=torch.float64)
    x.requires_grad_()
    found = []
    for trace in (model.unroll(x), model.rollout(model.initial_state(4), x)[..., model.parts["trace"]]):
        wanted = [x, model.weight, model.weight_in, model.bias]
        found.append((trace, *torch.autograd.grad(trace.pow(2).sum(), wanted)))
    assert 0.02 < found[0][0].mean().item() < 0.5
    for fast, slow in zip(*found, strict=True):
        assert fast.abs().max() > 0
        torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize("kind", ["fast-sigmoid", "atan", "triangle"])
def test_the_derivative_of_a_spike_is_the_surrogate(kind: str) -> None:
    neuron = make(surrogate=kind, slope=3.0, dampening=0.5, threshold=2.0).neuron
    v = torch.linspace(-1, 5, 13, dtype=torch.float64, requires_grad=True)
    spikes = Spikes.apply(v, None, neuron)
    assert torch.equal(spikes.bool(), v > 2)
    (given,) = torch.autograd.grad(spikes.sum(), v)
    x = 3 * (v.detach() / 2 - 1)
    expected = {
        "fast-sigmoid": 1 / (1 + x.abs()) ** 2,
        "atan": 1 / (1 + (math.pi * x / 2) ** 2),
        "triangle": (1 - x.abs()).clamp(min=0),
    }[kind]
    torch.testing.assert_close(given, 0.5 * expected)


def test_the_trace_is_the_filtered_spikes() -> None:
    model = make(tau_readout=4.0)
    states = model.rollout(model.initial_state(2), 2 * torch.randn(2, 30, 3, dtype=torch.float64))
    spikes, trace = states[..., model.parts["spikes"]], states[..., model.parts["trace"]]
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    decay = math.exp(-1 / 4)
    kernel = (1 - decay) * decay ** torch.arange(30, dtype=torch.float64)
    expected = [(spikes[:, : t + 1].flip(1) * kernel[: t + 1, None]).sum(1) for t in range(30)]
    torch.testing.assert_close(trace, torch.stack(expected, 1))


def test_there_is_no_spike_in_the_refractory_time() -> None:
    model = make(refractory=3)
    states = model.rollout(model.initial_state(8), 5 * torch.randn(8, 60, 3, dtype=torch.float64))
    spikes = states[..., model.parts["spikes"]]
    assert spikes.sum() > 100
    assert spikes.unfold(1, 4, 1).sum(-1).max() == 1


def test_it_learns_to_remember_a_pulse() -> None:
    """One of two pulses, and 30 steps later which one it was."""
    torch.manual_seed(0)
    model = LIF(LIFSpec(hidden=32, tau_membrane=20.0, tau_readout=10.0), 2, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    accuracies = []
    for _ in range(60):
        which = torch.randint(2, (32,))
        x = torch.zeros(32, 40, 2)
        x[torch.arange(32), :5, which] = 2.0
        y = model(x).y[:, -5:].mean(1)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(y, which).backward()
        optimizer.step()
        accuracies.append((y.argmax(1) == which).float().mean().item())
    assert sum(accuracies[-10:]) / 10 >= 0.95


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tau_membrane": 0.5}, "tau_membrane: 0.5 is below dt 1.0: take shorter steps"),
        ({"tau_synapse": 0.1}, "tau_synapse: 0.1 is below dt"),
        ({"constraints": {"areas": {"spikes": {"size": 64}}}}, "areas: 'spikes' is another site"),
        ({"init": {"distribution": "identity"}, "constraints": {"dale": {}}}, "init.distribution"),
    ],
)
def test_impossible_specs_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(LIFSpec, fields)
    assert message in str(caught.value)
