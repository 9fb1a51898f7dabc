"""Low-rank networks by their formula, and their dynamics where theory knows them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from examples import experiment

from zoo.models.rate import LowRank
from zoo.network import build


def make(**fields: Any) -> LowRank:
    spec = experiment(train={"precision": "64-true"})
    model = build(spec.updated(model={"kind": "lowrank", "hidden": 30, **fields})).model.eval()
    assert isinstance(model, LowRank)
    return model


def test_a_step_by_its_formula() -> None:
    model = make(rank=2, tau=0.1, dt=0.025, random=0.7, bias=True, nonlinearity="relu")
    h, u, xi = (torch.randn(3, n, dtype=torch.float64) for n in (30, model.inputs, 30))
    connectivity = model.left @ model.right.T / 30 + model.background
    drive = torch.relu(h) @ connectivity.T + u @ model.weight_in.T + model.bias
    expected = 0.75 * h + 0.25 * drive + math.sqrt(0.5) * xi
    torch.testing.assert_close(model.step(h, u, xi), expected)


def test_the_rank_is_kept_by_updates() -> None:
    model = make(rank=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 5, model.inputs, dtype=torch.float64)).y.square().sum().backward()
        optimizer.step()
    assert torch.linalg.matrix_rank(model.recurrent).item() == 3


def test_initial_factors_are_as_declared() -> None:
    eigenvalues = torch.linalg.eigvals(make(rank=2, init={"spectral_radius": 1.7}).recurrent).abs()
    assert eigenvalues.max().item() == pytest.approx(1.7, rel=1e-5)
    normal = make(rank=20, hidden=400, init={"distribution": "normal", "gain": 1.5})
    assert normal.left.std().item() == pytest.approx(1.5, rel=0.05)
    assert make(rank=20, hidden=400, random=0.6).background.std().item() == pytest.approx(0.03, rel=0.02)


def test_dales_principle_holds_for_the_product() -> None:
    model = make(rank=2, constraints={"dale": {"excitatory": 0.5}})
    weight = model.recurrent.detach()
    assert (weight[:, :15] >= 0).all()
    assert (weight[:, 15:] <= 0).all()
    assert torch.linalg.matrix_rank(weight).item() <= 2


def test_a_fixed_point_of_rank_one_by_mean_field_theory() -> None:
    """Without an input, with m = n = √s ξ for normal ξ: x = κ m, where κ solves κ = ⟨n φ(κ m)⟩
    (Mastrogiuseppe & Ostojic 2018, eqs. 8-9, g = 0)."""
    model = make(hidden=4000, tau=1.0, dt=0.2)
    torch.manual_seed(0)
    overlap = 2.0
    pattern = math.sqrt(overlap) * torch.randn(4000, 1, dtype=torch.float64)
    with torch.no_grad():
        model.left.copy_(pattern)
        model.right.copy_(pattern)
    h = model.rollout(0.5 * pattern.T, steps=200)[:, -1]
    reached = (h @ pattern / pattern.square().sum()).item()
    nodes = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    density = torch.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * 16 / 4000
    kappa = 1.0
    for _ in range(500):
        m = math.sqrt(overlap) * nodes
        kappa = (density * m * torch.tanh(kappa * m)).sum().item()
    assert kappa > 0.5
    assert reached == pytest.approx(kappa, rel=0.05)


def test_a_linear_network_is_its_convolution() -> None:
    """h_t = Σ_k W^k (W_in u_{t-k} + b)."""
    spec = experiment(train={"precision": "64-true"})
    model = build(spec.updated(model={"kind": "linear", "hidden": 6})).model.eval()
    x = torch.randn(3, 8, model.inputs, dtype=torch.float64)
    drive = x @ model.weight_in.T + model.bias
    powers = [torch.linalg.matrix_power(model.weight, k).T for k in range(8)]
    expected = [sum(drive[:, t - k] @ powers[k] for k in range(t + 1)) for t in range(8)]
    torch.testing.assert_close(model(x).states["h"], torch.stack(expected, 1))


def test_noise_takes_the_fast_pass_and_gives_what_steps_give() -> None:
    for fields in ({"kind": "lowrank", "rank": 2}, {"kind": "rate"}):
        spec = experiment(train={"precision": "64-true"})
        model = build(spec.updated(model={"hidden": 12, "tau": 1.0, "dt": 0.2, "noise": 0.3, **fields})).model
        x = torch.randn(3, 15, model.inputs, dtype=torch.float64)
        noise = model.noise(3, 15)
        fast = model.unroll_noisy(x, noise)
        slow = model.rollout(model.initial_state(3), x, noise=noise)
        torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)
        assert not torch.allclose(fast, model.unroll(x))
