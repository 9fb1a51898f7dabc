"""Simulated systems against other integrators, loops over their formulas, and what the papers say of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from zoo.checkpoints.network import empty, fill
from zoo.errors import SpecError
from zoo.models.systems import BISTABLE, LINE, POINT
from zoo.network import Network, build
from zoo.specs.experiment import ExperimentSpec


def make(model: dict[str, Any], task: dict[str, Any], seed: int = 0, precision: str = "64-true") -> Network:
    document = {
        "name": "system",
        "model": model,
        "task": {"kind": "drive", **task},
        "learner": {"kind": "none"},
        "train": {"steps": 0, "seed": seed, "precision": precision},
    }
    return build(ExperimentSpec.model_validate(document)).eval()


# Lorenz -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [10.0, 28.0, 75.0])
def test_lorenz_agrees_with_scipy(rho: float) -> None:
    def flow(_: float, h: np.ndarray) -> list[float]:
        x, y, z = h
        return [10 * (y - x), x * (rho - z) - y, x * y - 8 / 3 * z]

    system = make(
        {"kind": "lorenz", "rho": rho, "substeps": 10, "spread": 0.0},
        {"steps": 200, "channels": 3, "width": 3},
    )
    ours = system.trajectories(trials=1).states[0].numpy()
    times = 0.01 * np.arange(1, 201)
    peer = solve_ivp(flow, (0, 2), [-8, 8, 27], "DOP853", t_eval=times, rtol=1e-12, atol=1e-12).y.T
    assert np.abs(ours - peer).max() < 1e-6 * np.abs(peer).max()


def test_lorenz_starts_where_the_seed_says_and_is_displaced_by_its_input() -> None:
    model, task = {"kind": "lorenz", "spread": 2.0}, {"steps": 3, "channels": 3, "width": 3, "pulse": 1.0}
    starts = torch.cat([make(model, task, seed).model.initial_state(1) for seed in range(200)])
    assert starts.mean(0).tolist() == pytest.approx([-8, 8, 27], abs=0.5)
    assert starts.std(0).tolist() == pytest.approx([2, 2, 2], rel=0.2)
    system = make(model, task)
    run = system.trajectories(trials=5)
    assert torch.equal(run.initial, starts[:1].expand(5, -1))
    moved = system.model.rollout(run.initial + run.inputs[:, 0], steps=3)
    assert torch.equal(moved, run.states)


# Planar -------------------------------------------------------------------------------------------

CONDITIONS = {"steps": 400, "levels": [-0.1, 0.1], "disturbances": 2, "disturbance": 0.05, "balanced": True}


def test_planar_systems_differ_in_trials_and_agree_in_averages() -> None:
    runs = {}
    for name in ("bistable", "line", "point"):
        system = make({"kind": "planar", "system": name}, {**CONDITIONS, "width": 2}, seed=3)
        run = system.trajectories(trials=80)
        runs[name] = torch.stack([run.states[run.latents["condition"] == which] for which in (0, 1)])
        if name != "bistable":
            reference = system.trajectories(trials=2, site="reference").states
            torch.testing.assert_close(runs[name].mean(1), reference, rtol=0, atol=1e-6)
    average = {name: run.mean(1) for name, run in runs.items()}
    scale = average["bistable"].norm()
    assert average["bistable"][:, -1, 0].sign().tolist() == [-1, 1]
    for name in ("line", "point"):
        assert (average[name] - average["bistable"]).norm() < 1e-3 * scale
    noise = {name: (run - average[name][:, None]).norm() for name, run in runs.items()}
    assert noise["line"] > 5 * noise["point"] > 0
    assert (runs["line"] - runs["bistable"]).norm() > noise["line"] / 2


def test_planar_bistable_by_its_formula() -> None:
    system = make({"kind": "planar", "substeps": 4}, {"steps": 30, "disturbances": 2, "width": 2}, seed=1)
    x = system.batch("test", 0, 0, 2).x + 0.1
    a, b, c = system.model.bistable.tolist()
    assert all(low <= value <= high for value, (low, high) in zip((a, b, c), BISTABLE, strict=True))
    ours = system(x).y.detach()
    for trial in range(2):
        p = q = 0.0
        for t in range(30):
            u, n, m = x[trial, t].tolist()
            for _ in range(4):
                p, q = p + 0.01 * (a * p**3 + b * p + u + n / 2), q + 0.01 * (c * q + u + m / 2)
            assert ours[trial, t].tolist() == pytest.approx([p, q], abs=1e-12)


def test_planar_parameters_are_shared_and_in_range() -> None:
    task = {**CONDITIONS, "width": 2}
    for seed in range(5):
        planar = {
            name: make({"kind": "planar", "system": name}, task, seed).model
            for name in ("bistable", "line", "point")
        }
        for name in ("line", "point"):
            assert torch.equal(planar[name].bistable, planar["bistable"].bistable)
        line = torch.linalg.eigvals(planar["line"].linear)
        assert line.abs().min().item() == pytest.approx(0, abs=1e-6)
        root = -line.abs().max().item() / (0.5 + math.sqrt(0.5))
        assert LINE[0] <= root <= LINE[1]
        for value, (low, high) in zip(planar["point"].linear.diag().tolist(), POINT, strict=True):
            assert low <= value <= high


# Rings --------------------------------------------------------------------------------------------


def test_ring_weights_by_the_loop_of_the_definition() -> None:
    for alpha in (0.0, 0.35, 0.9, 1.0):
        ring = make({"kind": "ring-attractor", "neurons": 24, "alpha": alpha}, {"width": 24}, seed=2).model
        length, around = int(ring.length), 24 + int((1 - alpha) * int(ring.length) + 1e-9)
        kernel = np.zeros(around)
        for d in range(-2 * length + 1, 2 * length):
            kernel[d % around] += 8 * (math.cos(math.pi * d / length) - 1) / 2
        for i in range(24):
            for j in range(24):
                left, right = ring.weights[i, j].item(), ring.weights[i, 24 + j].item()
                assert left == pytest.approx(kernel[(j - i - 2) % around], abs=1e-5)
                assert right == pytest.approx(kernel[(j - i + 2) % around], abs=1e-5)


def _bump(rates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number of connected groups of active units on the ring, and where the activity lies, in units."""
    active = rates > 0
    groups = (active & ~active.roll(1, -1)).sum(-1)
    n = rates.shape[-1]
    phase = torch.arange(n) * (2j * math.pi / n)
    turned = (rates * torch.exp(phase)).sum(-1).angle() * n / (2 * math.pi)
    return groups, turned


def test_the_ring_holds_one_bump_and_turns_with_its_drive() -> None:
    moved = {}
    for level in (-1.0, 0.0, 1.0):
        task = {"steps": 1500, "levels": [level], "width": 60}
        ring = make({"kind": "ring-attractor", "neurons": 60}, task, precision="32-true")
        states = ring.trajectories(trials=1).states[0]
        rates = torch.relu(states[:, :60]) + torch.relu(states[:, 60:])
        groups, place = _bump(rates)
        assert (groups == 1).all()
        steps = (place.diff() + 30) % 60 - 30
        moved[level] = steps.sum().item()
    assert abs(moved[0.0]) < 0.5
    assert abs(moved[1.0]) > 60
    assert moved[1.0] == pytest.approx(-moved[-1.0], rel=0.02)


def test_a_cut_ring_cannot_turn() -> None:
    task = {"steps": 3000, "levels": [1.0], "width": 60}
    line = make({"kind": "ring-attractor", "neurons": 60, "alpha": 0.0}, task, precision="32-true")
    states = line.trajectories(trials=1).states[0, 2000:]
    rates = torch.relu(states[:, :60]) + torch.relu(states[:, 60:])
    center = (rates * torch.arange(60)).sum(1) / rates.sum(1)
    assert center.max() - center.min() < 0.5  # it has come to an end


def test_the_readout_of_a_ring_does_not_touch_its_dynamics() -> None:
    task = {"steps": 20, "levels": [2.0], "width": 30}
    runs = [
        make({"kind": "ring-attractor", "neurons": 30, "beta": beta}, task).trajectories(trials=1)
        for beta in (None, 0.1, 3.6)
    ]
    assert torch.equal(runs[0].states, runs[2].states)
    right = runs[0].states[..., 30:]
    torch.testing.assert_close(runs[0].outputs, right.clamp_min(0))
    torch.testing.assert_close(runs[1].outputs, 1 / (1 + torch.exp(-0.1 * right)))


def test_disturbances_of_a_ring_reach_each_unit() -> None:
    model = {"kind": "ring-attractor", "neurons": 30}
    alone = make(model, {"width": 30}).model
    disturbed = make(model, {"disturbances": 60, "width": 30}).model
    x = torch.randn(2, 61, dtype=torch.float64)
    h = alone.initial_state(2)
    change = disturbed.step(h, x) - alone.step(h, x[:, :1])
    torch.testing.assert_close(change, 0.05 * x[:, 1:])
    with pytest.raises(SpecError, match="has 61 inputs"):
        make(model, {"disturbances": 30, "width": 30})


def test_weights_of_a_ring_come_back_with_its_length() -> None:
    network = make({"kind": "ring-attractor", "neurons": 30, "alpha": 0.4}, {"width": 30}, seed=5)
    stored = network.model.state_dict()
    assert set(stored) == {"length", "start"}
    again = empty(network.experiment)
    fill(again, stored, "here")
    torch.testing.assert_close(again.model.weights, network.model.weights, rtol=1e-6, atol=1e-6)
    x = network.batch("test", 0, 0, 2).x
    torch.testing.assert_close(again.eval()(x).y, network(x).y, rtol=1e-5, atol=1e-6)


# Linear -------------------------------------------------------------------------------------------


def test_driven_linear_equals_a_numpy_loop() -> None:
    model = {
        "kind": "driven-linear",
        "dynamics": {"kind": "gaussian", "units": 6},
        "nonlinearity": 0.1,
        "observed": 2,
    }
    system = make(model, {"steps": 40, "noise": 1.0, "width": 2}, seed=4)
    run = system.trajectories(trials=3)
    a, b = system.model.dynamics.numpy(), system.model.drive.numpy()
    unseen = np.diag([0.0, 0, 1, 1, 1, 1])
    for trial in range(3):
        h = np.zeros(6)
        for t in range(40):
            h = a @ h + 0.1 * unseen @ np.tanh(a @ h) + b @ run.inputs[trial, t].numpy()
            np.testing.assert_allclose(run.states[trial, t], h, rtol=1e-12, atol=1e-12)
    assert torch.equal(run.outputs, run.states[..., :2])


def test_matrices_are_drawn_by_number_or_given() -> None:
    def matrices(seed: int = 0, radius: float = 0.9, a: int = 0, b: int = 0, scale: float = 1.0) -> Any:
        dynamics = {"kind": "gaussian", "radius": radius, "draw": a}
        model = {"kind": "driven-linear", "dynamics": dynamics, "drive": {"draw": b, "scale": scale}}
        built = make(model, {"width": 20}, seed).model
        return built.dynamics, built.drive

    first = matrices(radius=0.92, a=1)
    assert torch.linalg.eigvals(first[0]).abs().max().item() == pytest.approx(0.92, abs=1e-6)
    torch.testing.assert_close(matrices(radius=0.46, a=1)[0] * 2, first[0])
    torch.testing.assert_close(matrices(scale=2.0)[1], 2 * first[1])
    assert torch.equal(matrices(b=1)[0], matrices()[0])
    for other in (matrices(1, 0.92, a=1, b=1), matrices(0, 0.92, a=0, b=1)):
        assert not any(torch.equal(mine, theirs) for mine, theirs in zip(first, other, strict=True))
    spread = torch.stack([matrices(b=draw)[1] for draw in range(40)]).std()  # entries of variance n
    assert spread.item() == pytest.approx(math.sqrt(20), rel=0.15)
    rows = [[0.5, 0.4], [0.0, -0.2]]
    given = make({"kind": "driven-linear", "dynamics": {"kind": "given", "rows": rows}}, {"width": 2}).model
    torch.testing.assert_close(given.dynamics, torch.tensor(rows, dtype=torch.float64))


def test_commitment_makes_persistent_and_deaf() -> None:
    task = {"steps": 30, "channels": 2, "noise": 1.0, "width": 5}
    model = make({"kind": "switching-linear", "switch": 10}, task).model
    (a, b), (after, deaf) = model.matrices(committed=False), model.matrices(committed=True)
    for matrix, slowest in ((a, 0.9), (after, 0.95)):
        rates = torch.linalg.eigvalsh(matrix).tolist()
        assert rates == pytest.approx([slowest * k / 5 for k in range(1, 6)], abs=1e-6)
    torch.testing.assert_close(deaf, b / 2)
    x = torch.randn(4, 30, 2, dtype=torch.float64)
    states = model.rollout(model.initial_state(4), x)
    assert states[0, :, 5].tolist() == list(range(1, 31))
    torch.testing.assert_close(states[:, 9, :5], states[:, 8, :5] @ a.T + x[:, 9] @ b.T)
    torch.testing.assert_close(states[:, 10, :5], states[:, 9, :5] @ after.T + x[:, 10] @ deaf.T)


# All ----------------------------------------------------------------------------------------------


def test_trajectories_do_not_depend_on_the_random_state_of_torch() -> None:
    system = make({"kind": "lorenz"}, {"channels": 3, "pulse": 1.0, "width": 3})
    torch.manual_seed(1)
    first = system.trajectories(trials=3)
    torch.manual_seed(2)
    again = system.trajectories(trials=3)
    assert torch.equal(first.states, again.states)
    assert torch.equal(first.outputs, again.outputs)
    assert not torch.equal(first.states, system.trajectories(trials=3, seed=1).states)


def test_a_task_of_another_width_is_refused() -> None:
    with pytest.raises(SpecError, match="'lorenz' has 3 inputs and 3 outputs here, and the task has 1 and 2"):
        make({"kind": "lorenz"}, {"width": 2})
    with pytest.raises(SpecError, match="'driven-linear' has 1 inputs and 2 outputs"):
        make({"kind": "driven-linear", "observed": 2}, {"width": 20})
    with pytest.raises(SpecError, match="'switching-linear'"):
        make({"kind": "switching-linear"}, {"channels": 2, "width": 4})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"kind": "ring-attractor", "dt": 20.0}, "overshoot"),
        ({"kind": "ring-attractor", "settle": 50}, "do not fit"),
        ({"kind": "driven-linear", "observed": 21}, "21 of 20 units cannot be observed"),
        (
            {"kind": "driven-linear", "dynamics": {"kind": "given", "rows": [[1.0, 2.0]]}},
            "should have 1 entries",
        ),
    ],
)
def test_impossible_systems_are_refused(model: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make(model, {})
