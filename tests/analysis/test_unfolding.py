"""Neighbours, noise amplification, reconstruction and forecasts, where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from examples import experiment
from scipy.spatial import cKDTree

from zoo.analysis.dynamics.forecast import continued
from zoo.analysis.measure import analyse
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.network import build
from zoo.specs.analyses.unfolding import ForecastErrorSpec

SYSTEM = {"kind": "chaos", "steps": 60, "burn_in": 100, "trajectories": 40}


def lorenz(trials: int = 12, time: int = 150) -> torch.Tensor:
    from zoo.specs.tasks.chaos import ChaosSpec
    from zoo.tasks.chaos import Chaos

    task = Chaos(ChaosSpec(steps=time, dt=0.02, trajectories=trials, observed=None))
    return task.batch("test", 0, 0, trials, torch.device("cpu")).latents["state"].double()


@pytest.fixture(scope="module")
def system() -> torch.Tensor:
    return lorenz()


def embedded(states: torch.Tensor, system: torch.Tensor, name: str = "net") -> Trajectories:
    return replace(Trajectories.wrap(states, name=name), latents={"state": system})


def delays(system: torch.Tensor, count: int, interval: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Delay vectors of the first variable, and the states at their newest sample."""
    span = (count - 1) * interval
    parts = [system[:, k * interval : system.shape[1] - span + k * interval, :1] for k in range(count)]
    return torch.cat(parts, 2), system[:, span:]


def test_neighbours_are_kept_by_what_keeps_distances_and_lost_in_noise(system: torch.Tensor) -> None:
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    numbers = analyse([embedded(3 * system @ turn + 1, system)], "neighbours", samples=600).only.numbers
    assert numbers["overlap"] == pytest.approx(1)
    noise = torch.randn(12, 150, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    numbers = analyse([embedded(noise, system)], "neighbours", samples=600).only.numbers
    assert numbers["overlap"] == pytest.approx(numbers["chance"], abs=0.01)
    assert numbers["chance"] == pytest.approx(20 / 599)


def test_overlap_is_that_of_trees(system: torch.Tensor) -> None:
    """Against scipy's neighbours, on all samples of two trials, where only the sample itself is left out."""
    states = system[:2, :, :2] + 0.1 * torch.sin(7 * system[:2, :, 2:])
    run = embedded(states, system[:2])
    found = analyse([run], "neighbours", theiler=1, samples=300, neighbours=5).only
    sets = []
    for values in (states, system[:2]):
        points = values.flatten(0, 1).numpy()
        sets.append(cKDTree(points).query(points, 6)[1][:, 1:])
    shared = [len(set(a) & set(b)) / 5 for a, b in zip(*sets, strict=True)]
    assert found.numbers["overlap"] == pytest.approx(np.mean(shared))


def test_delays_unfold_up_to_three_dimensions(system: torch.Tensor) -> None:
    values = {}
    for count in (1, 2, 3):
        run = embedded(*delays(system, count, 5))
        values[count] = [
            analyse([run], kind, samples=800).only.numbers[number]
            for kind, number in (("neighbours", "overlap"), ("noise-amplification", "normalised"))
        ]
    assert values[1][0] < values[2][0] - 0.2 < values[3][0] - 0.2
    assert values[1][1] > 3 * values[2][1] > 3 * values[3][1]


def test_noise_amplification_of_what_can_be_counted() -> None:
    """x' = 2x: neighbours at distance d are 2ᵀ d apart T steps later; Uzal's E² / ε² is 4ᵀ (k/(k+1)) / 2 / k
    times what pairs give, which is the same for every sample of a regular grid."""
    grid = torch.arange(40, dtype=torch.float64)[:, None, None]
    system = grid * 2.0 ** torch.arange(4, dtype=torch.float64)[None, :, None]
    run = embedded(system.clone(), system)
    found = analyse([run], "noise-amplification", horizon=3, neighbours=1, samples=40).only
    # a pair at distance d: E² = mean over T of 4ᵀ d² / 4, ε² = d²
    assert found.numbers["amplification"] == pytest.approx((4 + 16 + 64) / 3 / 4)
    assert found.numbers["normalised"] == pytest.approx(found.numbers["amplification"])  # all d are 1
    larger = embedded(10 * system, system)
    again = analyse([larger], "noise-amplification", horizon=3, neighbours=1, samples=40).only.numbers
    assert again["amplification"] == pytest.approx(found.numbers["amplification"] / 100)
    assert again["normalised"] == pytest.approx(found.numbers["normalised"])
    assert again["cost"] == pytest.approx(np.log10(again["normalised"]) / 2)


def test_reconstruction_of_what_is_there(system: torch.Tensor) -> None:
    bent = torch.stack([system[..., 0], system[..., 1] ** 3, torch.zeros_like(system[..., 0])], -1)
    found = analyse([embedded(bent, system)], "reconstruction", variables=[1], samples=1500).only
    assert found.numbers["mlp"] > 0.94 > 0.9 > found.numbers["linear"]
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    straight = analyse([embedded(system @ turn, system)], "reconstruction").only
    assert straight.numbers["linear"] > 0.999
    assert straight["variables"].tolist() == [0, 1, 2]
    assert straight["linear"].shape == (3,)
    noise = torch.randn(12, 150, 2, generator=torch.Generator().manual_seed(0)).double()
    none = analyse([embedded(noise, system)], "reconstruction", epochs=20).only
    assert none.numbers["linear"] < 0.1
    assert none.numbers["mlp"] < 0.1


def test_steps_that_are_left_out_take_the_latents_along(system: torch.Tensor) -> None:
    seen = {"skip": 10, "every": 3}
    run = embedded(system.clone(), system)
    assert analyse([run], "neighbours", samples=300, observe=seen).only.numbers["overlap"] == 1


@pytest.mark.parametrize("model", ["lru", "gru", "delay-mlp", "transformer"])
@torch.no_grad()
def test_a_forecast_is_fed_with_itself(model: str) -> None:
    network = build(experiment(model, task="chaos", train={"precision": "64-true"})).eval()
    x = torch.randn(3, 9, 1, dtype=torch.float64)
    forecast = continued(network.model, x, 4)
    whole = torch.cat([x, forecast], 1)
    torch.testing.assert_close(network.model(whole).y[:, 8:12], forecast)


def test_forecasts_are_measured(tmp_path) -> None:
    network = build(experiment("gru", task="chaos", train={"precision": "64-true"}))
    with torch.no_grad():  # says the last input again
        network.model.output.weight.zero_()
        network.model.output.bias.fill_(0.3)
    found = analyse([network], "forecast", warmup=5, steps=6, trials=20).only
    truth = found["truth"]
    assert (found["forecast"] == 0.3).all()
    assert found.numbers["first"] == pytest.approx(np.abs(truth[:, 0] - 0.3).mean() / found["naive"][0])
    assert found.numbers["mase"] == pytest.approx(found["error"].sum() / found["naive"].sum())
    assert found.plot(tmp_path / "forecast.png").stat().st_size > 3000
    assert ForecastErrorSpec().steps == 20


def test_refused(system: torch.Tensor) -> None:
    run = embedded(system, system)
    for kind in ("neighbours", "noise-amplification", "reconstruction"):
        with pytest.raises(AnalysisError, match=r"no latent 'stat'\. Did you mean 'state'"):
            analyse([run], kind, latent="stat")
        with pytest.raises(AnalysisError, match=r"is needed, \[trial, time, variable\]"):
            analyse([replace(run, latents={"state": system[:, 0, 0]})], kind)
    with pytest.raises(AnalysisError, match=r"variables 0 … 2, not 3"):
        analyse([run], "noise-amplification", variable=3)
    with pytest.raises(AnalysisError, match=r"variables 0 … 2, not 5"):
        analyse([run], "reconstruction", variables=[1, 5])
    with pytest.raises(AnalysisError, match="lower 'neighbours' or 'theiler'"):
        analyse([embedded(system[:1], system[:1])], "neighbours", theiler=140)
    with pytest.raises(AnalysisError, match="too few for noise-amplification"):
        analyse([run], "noise-amplification", horizon=150)
    with pytest.raises(AnalysisError, match="same state to the last digit"):
        analyse([embedded(system.round(), system)], "noise-amplification")
    with pytest.raises(AnalysisError, match="never changes"):
        analyse([embedded(system, torch.zeros_like(system))], "reconstruction")
    with pytest.raises(AnalysisError, match="such as lorenz-gru"):
        analyse([build(experiment("gru"))], "forecast")
    with pytest.raises(AnalysisError, match="Lower 'warmup' or 'steps'"):
        analyse([build(experiment("gru", task="chaos"))], "forecast")
    with pytest.raises(AnalysisError, match="forecast needs the network"):
        analyse([run], "forecast")
