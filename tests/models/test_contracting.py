"""Networks of contracting networks contract, whatever their weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import SpecError
from zoo.models.contracting import Contracting
from zoo.specs.loading import parse
from zoo.specs.models.contracting import ContractingSpec


def make(seed: int, scale: float, **fields: Any) -> Contracting:
    torch.manual_seed(seed)
    model = Contracting(ContractingSpec(hidden=12, **fields), 3, 2).double()
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(scale).add_(0.3 * torch.randn_like(value))
    return model.eval()


@torch.no_grad()
@given(
    st.integers(0, 10**6),
    st.floats(0.01, 100),
    st.sampled_from([1, 2, 3, 12]),
    st.sampled_from(["tanh", "relu"]),
    st.sampled_from([0.02, 0.3, 1.0]),
    st.floats(0.05, 0.99),
)
def test_two_states_come_nearer(
    seed: int, scale: float, subnetworks: int, nonlinearity: str, dt: float, singular: float
) -> None:
    """By the factor that is promised, at each step."""
    model = make(
        seed, scale, subnetworks=subnetworks, nonlinearity=nonlinearity, tau=1.0, dt=dt, singular=singular
    )
    one, other = 3 * torch.randn(2, 50, 12, dtype=torch.float64)
    u = torch.randn(50, 3, dtype=torch.float64)
    before, after = model.distance(one, other), model.distance(model.step(one, u), model.step(other, u))
    assert (after <= model.spec.rate * before * (1 + 1e-9)).all()


def test_the_bound_is_reached() -> None:
    """Nearly, by subnetworks of one unit each at the origin, where tanh has slope 1."""
    model = make(0, 100.0, subnetworks=12, tau=1.0, dt=0.3)
    origin = torch.zeros(12, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda h: model.step(h[None], h.new_zeros(1, 3))[0])(origin)
    scale = model.metric.exp()
    norm = torch.linalg.matrix_norm(scale[:, None] * jacobian / scale, 2)
    assert 0.9 < norm <= model.spec.rate


def test_feedback_is_negative() -> None:
    """What excites a subnetwork is inhibited by it: M L + Lᵀ M = 0 with M = Φ²."""
    model = make(1, 1.0, subnetworks=3)
    metric = (2 * model.metric).exp()
    between = model.matrices[1]
    assert between.abs().max() > 0
    torch.testing.assert_close(metric[:, None] * between, -(metric[:, None] * between).mT)
    for block in between.unflatten(0, (3, 4)).unflatten(2, (3, 4)).diagonal(dim1=0, dim2=2).unbind(-1):
        assert (block == 0).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{kind: contracting, hidden: 10, subnetworks: 3}", "10 units do not divide into 3"),
        ("{kind: contracting, singular: 1.0}", "singular"),
        ("{kind: contracting, constraints: {self_connections: false}}", "constraints.self_connections"),
        ("{kind: contracting, init: {rank: 1}}", "singular values are what the model bounds"),
        ("{kind: contracting, tau: 0.1}", "would overshoot"),
        ("{kind: neural-ode, constraints: {dale: {}}}", "have no sign"),
        ("{kind: neural-ode, constraints: {self_connections: false}}", "the vector field has two layers"),
        ("{kind: neural-ode, init: {spectral_radius: 1.0}}", "no map of the state to itself"),
    ],
)
def test_what_is_refused(fields: str, message: str) -> None:
    text = f"spec: experiment/1\nname: x\ntask: {{kind: sine}}\nlearner: {{kind: backprop}}\nmodel: {fields}"
    with pytest.raises(SpecError, match=message):
        parse(text)
