"""Quiescence of networks whose noise is known to spread in a known way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from examples import experiment, system
from scipy.linalg import solve_discrete_lyapunov

import zoo
from zoo.analysis.dynamics.reactivation import noisy_states
from zoo.errors import AnalysisError, ZooError
from zoo.models.dynamics import Dynamics
from zoo.network import build

RING: dict[str, Any] = {"kind": "head-direction-attractor", "neurons": 30}


def test_a_linear_network_has_the_covariance_of_its_lyapunov_equation() -> None:
    model = build(experiment("linear")).model.double()
    assert isinstance(model, Dynamics)
    with torch.no_grad():
        weights = dict(model.named_parameters())
        square = next(w for w in weights.values() if w.shape == (7, 7))
        square.mul_(0.8 / torch.linalg.eigvals(square).abs().max())
        for weight in weights.values():
            if weight.ndim == 1:
                weight.zero_()
        generator = torch.Generator().manual_seed(0)
        inputs = torch.zeros(1, 1, model.inputs, dtype=torch.float64).expand(400, 300, -1)
        states = noisy_states(model, torch.zeros(400, 7, dtype=torch.float64), inputs, 0.3, generator)
    found = states[:, 50:].flatten(0, 1).T.cov().numpy()
    true = solve_discrete_lyapunov(square.detach().numpy(), 0.09 * torch.eye(7).numpy())
    assert abs(found - true).max() < 0.05 * abs(true).max()


def test_a_ring_attractor_wanders_evenly_as_it_diffuses(tmp_path: Path) -> None:
    network = system(RING, {"kind": "head-direction", "steps": 60})
    found = zoo.analyse([network], "reactivation", trials=150, steps=100, noise=0.2, bins=12).only
    numbers = found.numbers
    assert numbers["kl"] < 0.02
    assert numbers["kl-uniform"] < 0.02
    assert numbers["overlap"] > 0.8
    less = zoo.analyse([network], "reactivation", trials=150, steps=100, noise=0.1).only.numbers
    assert numbers["step"] == pytest.approx(2 * less["step"], rel=0.03)  # it does not resist
    # The bump A cos(θ - φ) on n units moves by σ √(2 / n) / A at least: noise along it over its length.
    assert numbers["step"] > 0.2 * math.sqrt(2) * math.sqrt(2 / 30) / 7.389 * math.sqrt(2 / math.pi)
    assert found["quiescent"].sum() == pytest.approx(1)
    assert found.plot(tmp_path / "reactivation.png").stat().st_size > 5_000


def test_quiescence_is_compared_with_where_trials_of_a_split_are() -> None:
    splits = {"even": {}, "ahead": {"turning": 0.2}}
    network = system(RING, {"kind": "head-direction", "steps": 60, "start": "zero", "splits": splits})
    own, even, ahead = (
        zoo.analyse([network], "reactivation", trials=150, steps=100, noise=0.2, bins=12, against=split).only
        for split in (None, "even", "ahead")
    )
    assert even.numbers["kl"] == pytest.approx(own.numbers["kl"], abs=0.05)  # it holds where it is
    assert ahead.numbers["kl"] > 1
    assert ahead["awake"][5:7].sum() > 0.99
    assert (ahead["quiescent"] == own["quiescent"]).all()
    with pytest.raises(ZooError, match=r"'behind'.*ahead"):
        zoo.analyse([network], "reactivation", trials=4, noise=0.2, against="behind")


def test_positions_are_counted_in_the_box() -> None:
    walk = {"kind": "path-integration", "start": "centre", "steps": 30}
    network = system({"kind": "grid-attractor", "side": 6}, walk)
    found = zoo.analyse([network], "reactivation", trials=20, steps=20, noise=0.05, bins=4).only
    assert found["awake"].shape == (4, 4)
    assert found["paths"].shape == (12, 20, 2)


def test_what_cannot_be_served_is_refused() -> None:
    with pytest.raises(AnalysisError, match="needs a network of head-direction or path-integration"):
        zoo.analyse([build(experiment()).eval()], "reactivation")
    with pytest.raises(AnalysisError, match="has no noise of its own"):
        zoo.analyse([system(RING, {"kind": "head-direction", "steps": 9})], "reactivation", trials=4)
