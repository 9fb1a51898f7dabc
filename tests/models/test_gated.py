"""Cells with one gate, by the formulas of their papers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from examples import experiment

from zoo.models.gated import OneGate
from zoo.network import build


def make(kind: str, **fields: Any) -> OneGate:
    spec = experiment(train={"precision": "64-true"})
    model = build(spec.updated(model={"kind": kind, "hidden": 16, **fields})).model.eval()
    assert isinstance(model, OneGate)
    return model


@pytest.mark.parametrize("kind", ["ugru", "mgu"])
def test_a_step_by_its_formula(kind: str) -> None:
    model = make(kind)
    h, u = torch.rand(5, 16, dtype=torch.float64) - 0.5, torch.randn(5, model.inputs, dtype=torch.float64)
    w_c, w_g = model.weight.split(16)
    v_c, v_g = model.weight_in.split(16)
    b_c, b_g = model.bias.split(16)
    gate = 1 / (1 + torch.exp(-(h @ w_g.T + u @ v_g.T + b_g)))
    if kind == "ugru":
        expected = gate * h + (1 - gate) * torch.tanh(h @ w_c.T + u @ v_c.T + b_c)
    else:
        expected = (1 - gate) * h + gate * torch.tanh((gate * h) @ w_c.T + u @ v_c.T + b_c)
    torch.testing.assert_close(model.step(h, u), expected)


@pytest.mark.parametrize("kind", ["ugru", "mgu"])
def test_the_gates_bias_is_where_it_says(kind: str) -> None:
    plain, biased = make(kind), make(kind, gate_bias=2.0)
    torch.testing.assert_close(biased.bias[16:], plain.bias[16:] + 2)
    torch.testing.assert_close(biased.bias[:16], plain.bias[:16])


def test_an_open_update_gate_keeps_the_state() -> None:
    model = make("ugru", gate_bias=40.0)
    h = torch.rand(3, 16, dtype=torch.float64)
    torch.testing.assert_close(model.rollout(h, steps=20)[:, -1], h)


@pytest.mark.parametrize("kind", ["ugru", "mgu"])
def test_masks_are_those_of_each_gate(kind: str) -> None:
    model = make(kind, constraints={"sparsity": {"kind": "fixed", "density": 0.5}})
    candidate, gate = (model.recurrent != 0).split(16)
    assert torch.equal(candidate, gate)
    assert candidate.sum().item() == 128
