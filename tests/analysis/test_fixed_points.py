"""Fixed points that are known, and those of a trained memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment

import zoo
from zoo.analysis.dynamics import resting
from zoo.analysis.dynamics.resting import Resting, Search, distinct, resting_points
from zoo.analysis.jacobians import input_jacobians, readout_jacobians, step_jacobians
from zoo.errors import AnalysisError
from zoo.network import Network, build


def two_switches(phi: str = "tanh") -> Network:
    """h' = tanh(2 h) for two units that do not meet: nine fixed points, at 0 and ±0.9575 in each."""
    model = {"kind": "elman", "hidden": 2, "nonlinearity": phi}
    made = build(experiment(train={"precision": "64-true"}).updated(model=model))
    with torch.no_grad():
        weight_in, weight, bias_in, bias = made.model.weights
        weight.copy_(2 * torch.eye(2))
        weight_in.copy_(torch.eye(2))
        bias_in.zero_()
        bias.zero_()
    return made.eval()


def test_all_points_of_two_switches() -> None:
    found = zoo.analyse([two_switches()], "fixed-points", starts=200, spread=0.5).only
    assert found.numbers == pytest.approx(
        {"fixed": 9, "slow": 0, "stable": 4, "saddle-1": 4, "saddle-2": 1, "index": 1, "speed": 0}, abs=1e-10
    )
    root = 0.957504024079  # of h = tanh(2 h)
    expected = sorted((a, b) for a in (-root, 0, root) for b in (-root, 0, root))
    points = np.array(sorted(map(tuple, np.round(found["points"], 9) + 0.0)))
    np.testing.assert_allclose(points, expected, atol=1e-8)
    slope = {0: 2.0, 1: 2 * (1 - root**2)}
    for point, values in zip(found["points"], found["eigenvalues"], strict=True):
        expected_values = sorted((slope[int(abs(x) > 0.5)] for x in point), reverse=True)
        np.testing.assert_allclose(values, expected_values, atol=1e-8)


def test_an_input_moves_them() -> None:
    pushed = zoo.analyse([two_switches()], "fixed-points", starts=100, input=[2.0, 2.0]).only
    assert pushed.numbers["fixed"] == 1
    assert (pushed["points"] > 0.99).all()
    mean = zoo.analyse([two_switches()], "fixed-points", starts=100, input="mean").only
    assert np.abs(mean["input"]).max() < 0.2


def test_a_line_of_points_is_found_as_points_apart() -> None:
    made = two_switches("relu")
    with torch.no_grad():
        made.model.weights[1].copy_(torch.tensor([[1.0, 0.0], [0.0, 0.3]]))  # h1 stays where it is
    found = zoo.analyse([made], "fixed-points", starts=300, rounds=0, apart=0.02).only
    assert found.numbers["fixed"] > 10
    kept = np.sort(found["points"][:, 0])
    assert np.diff(kept).min() > 0.01 * np.ptp(kept)
    np.testing.assert_allclose(found["points"][:, 1], 0, atol=1e-9)
    along = found["points"][:, 0] > 1e-6  # at 0 it stops
    np.testing.assert_allclose(found["eigenvalues"][along, 0], 1, atol=1e-9)


def test_a_trained_memory(tmp_path) -> None:
    found = zoo.analyse("dsa-gru-flipflop/0", "fixed-points", starts=400).only
    assert found.numbers["stable"] == 8
    assert found.numbers["index"] == 1
    assert found.numbers["speed"] < 1e-10
    memories = found["outputs"][(found["unstable"] == 0)]
    assert len({tuple(row) for row in np.sign(memories)}) == 8
    again = zoo.analyse("dsa-gru-flipflop/0", "fixed-points", starts=400).only  # from the cache
    assert again.numbers == found.numbers
    np.testing.assert_array_equal(again["points"], found["points"])
    assert found.plot(tmp_path / "points.png").stat().st_size > 10_000
    with np.load(found.save(tmp_path / "points.npz")) as saved:
        np.testing.assert_array_equal(saved["points"], found["points"])


def test_distinct_keeps_the_slowest() -> None:
    points = torch.tensor([[0.0], [0.05], [1.0], [0.96], [3.0]])
    found = distinct(Resting(points, torch.tensor([2.0, 1.0, 0.5, 4.0, 3.0])), 0.1)
    assert found.points.flatten().tolist() == pytest.approx([1.0, 0.05, 3.0])


def test_starts_that_come_together_go_on_as_one() -> None:
    model = two_switches().model
    starts = torch.rand(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
    u = torch.zeros(2, dtype=torch.float64)
    alone = resting_points(model, starts, u, Search(1e-10, 300))
    merged = resting_points(model, starts, u, Search(1e-10, 300, apart=0.01))
    assert len(alone.points) == 500
    assert len(merged.points) < 50
    points = [distinct(found[found.speeds < 1e-10], 0.01).points for found in (alone, merged)]
    one, other = (torch.stack(sorted(each.round(decimals=8), key=torch.Tensor.tolist)) for each in points)
    assert len(one) == 9
    torch.testing.assert_close(one, other)


def test_along_a_line_of_fixed_points_they_stay_apart() -> None:
    made = two_switches("relu")
    with torch.no_grad():
        made.model.weights[1].copy_(torch.tensor([[1.0, 0.0], [0.0, 0.3]]))
    starts = torch.stack([torch.linspace(0, 10, 101), torch.ones(101)], 1).double()
    u = torch.zeros(2, dtype=torch.float64)
    found = resting_points(made.model, starts, u, Search(1e-10, 300, apart=0.05))
    assert len(found.points) == 101
    found = resting_points(made.model, starts, u, Search(1e-10, 300, apart=0.15))
    assert 40 <= len(found.points) <= 60


def test_searches_that_lead_to_nothing_are_given_up() -> None:
    search = Search(1e-10, 300, worth=1e-8, within=(torch.ones(2), 2.0))
    points = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 4.0]])
    speeds, pace = torch.tensor([1e-2, 1e-2, 1e-12]), torch.tensor([0.8, 0.9, 0.5])
    assert search.hopeless(points, speeds, pace, 100).tolist() == [False, True, True]
    assert not Search(1e-10, 300).hopeless(points, speeds, pace, 1).any()


@pytest.mark.parametrize("reason", [{"worth": 1e-200}, {"within": (torch.ones(2).double(), 0.1)}])
def test_a_search_ends_after_some_steps_that_lead_to_nothing(
    reason: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """h' = tanh(h) rests at 0 alone, where it turns in so slowly that a search has many steps to go."""
    made = two_switches()
    with torch.no_grad():
        made.model.weights[1].copy_(torch.eye(2))
    counted, change = [], resting._change
    monkeypatch.setattr(resting, "_change", lambda *inputs: counted.append(1) or change(*inputs))
    starts, u = torch.full((1, 2), 0.5, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    resting_points(made.model, starts, u, Search(1e-12, 300))
    without = len(counted)
    resting_points(made.model, starts, u, Search(1e-12, 300, **reason))
    assert len(counted) - without == resting.PATIENCE < without


@pytest.mark.parametrize("name", ["gru", "lstm", "rate-leaky", "mgu"])
def test_jacobians_are_differences(name: str) -> None:
    model = build(experiment(name, train={"precision": "64-true"})).model.eval()
    h, u = torch.randn(5, model.units).double(), torch.randn(5, model.inputs).double()
    nudge = 1e-6 * torch.randn_like(h)
    change = (model.step(h + nudge, u) - model.step(h - nudge, u)) / 2
    torch.testing.assert_close((step_jacobians(model, h, u) @ nudge[..., None])[..., 0], change)
    many = step_jacobians(model, h.repeat(200, 1), u.repeat(200, 1))  # by another way
    torch.testing.assert_close(many[:5], step_jacobians(model, h, u))
    push = 1e-6 * torch.randn_like(u)
    change = (model.step(h, u + push) - model.step(h, u - push)) / 2
    torch.testing.assert_close((input_jacobians(model, h, u) @ push[..., None])[..., 0], change)
    change = (model.readout(h + nudge) - model.readout(h - nudge)) / 2
    torch.testing.assert_close((readout_jacobians(model, h) @ nudge[..., None])[..., 0], change)


def test_refused() -> None:
    states = np.random.default_rng(0).normal(size=(4, 60, 3)).cumsum(1)
    with pytest.raises(AnalysisError, match=r"needs the network .* 'array-1' has none.*serve: .*delay-rank"):
        zoo.analyse([states], "fixed-points")
    layers = build(experiment("mlp"))
    with pytest.raises(AnalysisError, match="needs the step of"):
        zoo.analyse([layers], "lyapunov")
    with pytest.raises(AnalysisError, match="leave out 'site' and 'observe'"):
        zoo.analyse([two_switches()], "fixed-points", observe={"skip": 2})
    with pytest.raises(AnalysisError, match="3 inputs are given, and 'tiny' takes 2"):
        zoo.analyse([two_switches()], "fixed-points", input=[0.0, 0.0, 1.0])
    found = zoo.analyse([states], "delay-rank").only
    with pytest.raises(AnalysisError, match="numbers alone"):
        found.figure()
    with pytest.raises(AnalysisError, match=r"no array 'points'.*numbers only"):
        found["points"]
