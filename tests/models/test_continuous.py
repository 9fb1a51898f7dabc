"""Liquid time constants against the loop of their authors, and the equation that it solves."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import SpecError
from zoo.models import liquid_scan
from zoo.models.continuous import LTC, NeuralODE, unsoftplus
from zoo.specs.models.continuous import LTCSpec, NeuralODESpec
from zoo.specs.models.init import InitSpec
from zoo.specs.problems import validate

VARIANTS: list[dict[str, Any]] = [
    {},
    {"gating": "neuron", "unfolds": 2},
    {
        "dt": 0.5,
        "constraints": {
            "dale": {},
            "sparsity": {"kind": "fixed", "density": 0.5},
            "areas": {"a": {"size": 5}, "b": {"size": 3, "input": False}},
        },
    },
]


def make(**fields: Any) -> LTC:
    torch.manual_seed(0)
    return LTC(LTCSpec(hidden=8, **fields), 3, 2).double().eval()


def parts(model: LTC, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Currents without and with -v, one synapse at a time: Σ w σ E and Σ w σ, from inputs and units."""
    weight, toward = model.matrices
    source, entering = model.synapses, F.softplus(model.input.strength)
    if model.constraint is not None:
        entering = model.constraint.entering(entering)
    pull, total = torch.zeros_like(h), torch.zeros_like(h)
    for j in range(h.shape[1]):
        for i in range(u.shape[1]):
            gate = torch.sigmoid(model.input.slope[j, i] * (u[:, i] - model.input.middle[j, i]))
            pull[:, j] += entering[j, i] * gate * model.input.reversal[j, i]
            total[:, j] += entering[j, i] * gate
        for i in range(h.shape[1]):
            at = (j, i) if model.spec.gating == "synapse" else i
            gate = torch.sigmoid(source.slope[at] * (h[:, i] - source.middle[at]))
            pull[:, j] += toward[j, i] * gate
            total[:, j] += weight[j, i] * gate
    return pull, total


@pytest.mark.parametrize("fields", VARIANTS)
@torch.no_grad()
def test_a_step_is_that_of_the_authors_loop(fields: dict[str, Any]) -> None:
    model = make(**fields)
    h, u = torch.randn(4, 8, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    capacity = F.softplus(model.capacity) / (model.spec.dt / model.spec.unfolds)
    leak, v = F.softplus(model.leak), h
    for _ in range(model.spec.unfolds):
        pull, total = parts(model, u, v)
        v = (capacity * v + leak * model.rest + pull) / (capacity + leak + total)
    torch.testing.assert_close(model.step(h, u), v)


@torch.no_grad()
def test_short_steps_follow_the_equation() -> None:
    model = make(dt=1e-4, unfolds=1)
    h, u = torch.randn(4, 8, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    pull, total = parts(model, u, h)
    current = F.softplus(model.leak) * (model.rest - h) + pull - total * h
    rate = (model.step(h, u) - h) / 1e-4
    torch.testing.assert_close(rate, current / F.softplus(model.capacity), rtol=1e-2, atol=1e-3)


@torch.no_grad()
def test_potentials_stay_between_those_that_they_are_pulled_to() -> None:
    """Hasani et al. 2021, theorem 2."""
    model = make()
    states = model(10 * torch.randn(16, 50, 3, dtype=torch.float64)).states["h"]
    assert states.abs().max() <= 1
    assert states.std() > 0.1


@pytest.mark.parametrize("cache", [2**17, 100])  # all gates together; those into three units, three and two
@pytest.mark.parametrize("fields", VARIANTS)
def test_the_whole_pass_and_its_gradients_are_those_of_steps(
    fields: dict[str, Any], cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liquid_scan, "CACHE", cache)
    model = make(**fields)
    x = torch.randn(4, 7, 3, dtype=torch.float64, requires_grad=True)
    found = []
    for states in (model.unroll(x), model.rollout(model.initial_state(4), x)):
        found.append(
            (states, *torch.autograd.grad(states.pow(3).sum(), [x, *model.parameters()], allow_unused=True))
        )
    for fast, slow in zip(*found, strict=True):
        if slow is not None:
            torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize("cache", [2**17, 600, 100])  # all gates; those of two networks; some of one
@pytest.mark.parametrize("gating", ["synapse", "neuron"])
def test_several_networks_at_once_are_each_by_itself(
    gating: str, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liquid_scan, "CACHE", cache)
    model, x = make(gating=gating), torch.randn(5, 4, 7, 3, dtype=torch.float64)
    weights = {
        name: (value.detach() + 0.1 * torch.randn(5, *value.shape, dtype=value.dtype)).requires_grad_()
        for name, value in model.named_parameters()
    }

    def output(own: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return torch.func.functional_call(model, own, (inputs,)).y

    apart = [output({name: value[k] for name, value in weights.items()}, x[k]) for k in range(5)]
    found = [
        torch.autograd.grad(y.pow(3).sum(), [*weights.values()])
        for y in (torch.func.vmap(output)(weights, x), torch.stack(apart))
    ]
    for together, each in zip(*found, strict=True):
        torch.testing.assert_close(together, each)


def test_gates_without_a_slope_have_finite_gradients() -> None:
    model = make()
    with torch.no_grad():
        model.synapses.slope[0, 0] = 0.0
    x = torch.randn(2, 3, 3, dtype=torch.float64)
    weights = [model.synapses.slope, model.synapses.middle]
    fast = torch.autograd.grad(model.unroll(x).pow(2).sum(), weights)
    slow = torch.autograd.grad(model.rollout(model.initial_state(2), x).pow(2).sum(), weights)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other)


def test_dales_principle_is_about_the_potentials_that_units_pull_to() -> None:
    weight, toward = make(constraints={"dale": {"excitatory": 0.75}}).matrices
    assert (weight > 0).all()
    assert (toward[:, :6] >= 0).all()
    assert (toward[:, 6:] <= 0).all()


def test_it_begins_in_the_ranges_of_the_authors() -> None:
    model = make(init={"gain": 2.0})
    strength, own = F.softplus(model.synapses.strength), F.softplus(model.input.strength)
    assert 0.002 <= strength.min() < 1 < strength.max() <= 2
    assert own.max() <= 1
    assert set(model.synapses.reversal.unique().tolist()) == {-1.0, 1.0}
    value = torch.tensor([1e-3, 0.5, 3.0])
    torch.testing.assert_close(F.softplus(unsoftplus(value)), value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"init": {"spectral_radius": 1.0}}, "init.spectral_radius: conductances are positive"),
        ({"init": {"rank": 2}}, "init.rank: conductances"),
        ({"init": {"distribution": "normal"}}, "init.distribution: conductances"),
        ({"unfolds": 0}, "unfolds"),
    ],
)
def test_impossible_specs_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(LTCSpec, fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_solvers_converge_at_their_order(solver: str, order: int) -> None:
    """To what a step of a hundredth of the size gives."""
    torch.manual_seed(0)
    made = NeuralODE(NeuralODESpec(hidden=5, width=9, init=InitSpec(gain=4.0)), 2, 1).double()
    h, u = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)

    def after(unfolds: int, method: str) -> Tensor:
        made.spec = made.spec.updated(solver=method, unfolds=unfolds)
        return made.step(h, u)

    exact = after(2000, "rk4")
    errors = [(after(unfolds, solver) - exact).abs().max().item() for unfolds in (16, 32)]
    assert 2 ** (order - 0.35) < errors[0] / errors[1] < 2 ** (order + 0.35)


def test_without_weights_the_state_decays() -> None:
    made = NeuralODE(NeuralODESpec(hidden=3, tau=0.5, dt=0.2, unfolds=8), 1, 1).double()
    with torch.no_grad():
        for value in made.parameters():
            value.zero_()
    h = torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(made.step(h, h[:, :1]), h * math.exp(-0.4), rtol=1e-6, atol=0)
