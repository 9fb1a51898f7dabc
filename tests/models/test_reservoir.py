"""Echo state networks: what is constant, what is forgotten, what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zoo.errors import SpecError
from zoo.models.reservoir import EchoState
from zoo.specs.models.reservoir import EchoStateSpec
from zoo.specs.problems import validate


def make(**fields: Any) -> EchoState:
    torch.manual_seed(0)
    return EchoState(EchoStateSpec(**fields), 1, 2).double().eval()


def test_only_the_readout_is_trained() -> None:
    model = make(hidden=50, input_scale=0.3, bias_scale=0.2)
    assert {name for name, _ in model.named_parameters()} == {"output.weight", "output.bias"}
    assert (model.recurrent != 0).sum().item() == 250
    assert torch.linalg.eigvals(model.recurrent).abs().max().item() == pytest.approx(0.9, rel=1e-5)
    assert 0.25 < model.weight_in.abs().max() <= 0.3
    assert 0.15 < model.bias.abs().max() <= 0.2
    assert (make(hidden=50).bias == 0).all()


def test_a_step_by_its_formula() -> None:
    model = make(hidden=20, leak=0.3, bias_scale=0.5)
    h, u = torch.randn(4, 20, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
    new = torch.tanh(h @ model.weight.T * 1 + u @ model.weight_in.T + model.bias)
    masked = torch.tanh(h @ (model.weight * model.constraint.mask).T + u @ model.weight_in.T + model.bias)
    assert not torch.allclose(new, masked)
    torch.testing.assert_close(model.step(h, u), 0.7 * h + 0.3 * masked)


def test_where_it_began_is_forgotten() -> None:
    model = make()
    x = torch.rand(1, 300, 1, dtype=torch.float64).expand(2, -1, -1) - 0.5
    h = torch.randn(2, 200, dtype=torch.float64)
    states = model.rollout(h, x)
    assert (states[0, -1] - states[1, -1]).norm() < 1e-3 * (h[0] - h[1]).norm()


def test_what_went_in_is_remembered() -> None:
    """A linear readout of a reservoir of 200 gives back what entered 1 to 20 steps before (Jaeger 2002)."""
    model = make(input_scale=0.1)
    u = torch.rand(1, 2200, 1, dtype=torch.float64) - 0.5
    states = model.unroll(u)[0, 200:]
    delayed = torch.stack([u[0, 200 - k : 2200 - k, 0] for k in range(1, 21)], 1)
    fit, test = slice(0, 1500), slice(1500, 2000)
    readout = torch.linalg.lstsq(states[fit], delayed[fit]).solution
    left = (states[test] @ readout - delayed[test]).square().mean(0) / delayed[test].var(0)
    assert left.max() < 0.05


def test_washout_begins_at_rest() -> None:
    model = make(hidden=30, bias_scale=1.0, washout=400, leak=0.5)
    start = model.initial_state(3)
    torch.testing.assert_close(model.rollout(start, steps=5), start[:, None].expand(-1, 5, -1))
    x = torch.randn(3, 6, 1, dtype=torch.float64)
    torch.testing.assert_close(model.unroll(x), model.rollout(start, x))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"constraints": {"fixed": ["readout"]}}, "constraints.fixed: nothing else is trained"),
        ({"constraints": {"fixed": ["input"]}}, "constraints.fixed: it always is"),
        (
            {"constraints": {"sparsity": {"kind": "learned", "density": 0.1}}},
            "constraints.sparsity.kind: a reservoir learns no connections",
        ),
        ({"init": {"distribution": "orthogonal"}}, "init.distribution: constraints.sparsity would undo it"),
        ({"leak": 0.0}, "leak"),
    ],
)
def test_impossible_specs_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(EchoStateSpec, fields)
    assert message in str(caught.value)
