"""Measurements of one network at a time: the rank of its delay vectors, the Gramian of what drives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment
from scipy.linalg import solve_discrete_lyapunov

import zoo
from zoo import registry
from zoo.analysis import analyse, measure
from zoo.analysis.dynamics.gramian import output_gramian
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.network import build
from zoo.specs.analyses.base import CalculationSpec, ComparatorSpec, MeasurementSpec

FEW: dict[str, dict[str, Any]] = {
    "fixed-points": {"starts": 8, "steps": 5},
    "linearisation": {"every": 5},
    "lyapunov": {"steps": 5, "transient": 2},
    "basins": {"side": 4, "steps": 20},
    "recall": {"loads": [0.1, 0.3], "draws": 1, "cues": 1},
    "best-of-n": {"perturbations": 4, "best_of": [2]},
    "robustness": {"amplitudes": [0.0, 0.1], "draws": 1, "metric": "loss", "disturbs": "inputs"},
    "sharpness": {"iterations": 3},
    "local-rank": {},
    "ntk": {},
    "dormant-units": {},
    "modularity": {},
    "ablation": {},
    "patching": {},
    "performance": {},
    "spectral-ablation": {},
    "spectrum": {},
    "state-space": {},
    "delay-rank": {},
}
"""Analyses that tell nothing of their own of a network, and of each as little as it can do."""
OF_OTHERS = {
    *("amplification", "automaton", "cluster-winners", "code-size", "ensemble-performance", "exploration"),
    *("fitness-fit", "forgetting", "kv-clusters", "linear-dynamics", "mode-model", "onset"),
    *("particle-posterior", "plasticity", "reactivation", "sequence-design"),
}


def _driven(trials: int = 6, steps: int = 200, seed: int = 0):
    """A stable system of four units and two inputs, with its matrices."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(4, 4))
    a *= 0.8 / np.abs(np.linalg.eigvals(a)).max()
    b, inputs = rng.normal(size=(4, 2)), rng.normal(size=(trials, steps, 2))
    states, x = [], np.zeros((trials, 4))
    for t in range(steps):
        x = x @ a.T + inputs[:, t] @ b.T
        states.append(x)
    return np.stack(states, 1), inputs, a, b


def test_every_analysis_compares_or_measures() -> None:
    for kind in registry.kinds("analyses"):
        spec = registry.spec_class("analyses", kind)
        bases = (ComparatorSpec, MeasurementSpec, CalculationSpec)
        assert sum(issubclass(spec, base) for base in bases) == 1


def test_the_gramian_against_scipy_and_through_identification() -> None:
    states, inputs, a, b = _driven()
    true = solve_discrete_lyapunov(a, b @ b.T)
    found = output_gramian(torch.from_numpy(a), torch.from_numpy(b), torch.eye(4, dtype=torch.float64), "")
    np.testing.assert_allclose(found, true, rtol=1e-10)
    run = Trajectories.wrap(states, inputs, name="driven")
    numbers = measure([run], "gramian", delays=6, rank=4)["driven"]
    assert numbers["fitted"] == pytest.approx(np.linalg.norm(true), rel=1e-6)
    assert set(numbers) == {"fitted"}, "there is no truth about an array"
    seen = measure([Trajectories.wrap(states[..., :2], inputs, name="part")], "gramian", delays=6, rank=4)
    assert seen["part"]["fitted"] == pytest.approx(np.linalg.norm(true[:2, :2]), rel=1e-6)


def test_the_rank_of_noisy_mixtures() -> None:
    states = _driven()[0]
    for noise, of in ((0.0, 4), (0.1, 30)):
        found = measure({"a": states}, "delay-rank", observe={"lift": 30, "noise": noise})
        assert found == {"a": {"rank": 4.0, "of": of}}
    wide = measure(states, "delay-rank", delays=3, rule={"variance": 0.5})["array-1"]
    assert wide["of"] == 8, "four of the first state, and two inputs each for the two that follow"
    assert 1 <= wide["rank"] < 8


def test_performance_is_that_of_the_record() -> None:
    found = analyse("dsa-gru-flipflop/0", "performance", trials=512)["dsa-gru-flipflop/0"]
    recorded = zoo.load("dsa-gru-flipflop/0").record.metrics["test/sign_accuracy"][0]
    assert found.numbers["sign_accuracy"] == pytest.approx(recorded, abs=1e-6)
    assert found["sign_accuracy"].shape == (512,)


def test_refused() -> None:
    states = _driven()[0]
    with pytest.raises(
        AnalysisError, match=r"gramian needs the inputs of .* 'array-1' has none.*serve: .*delay-rank"
    ):
        measure([states], "gramian")
    with pytest.raises(AnalysisError, match="'dsa' measures no network by itself"):
        measure([states], "dsa")
    with pytest.raises(AnalysisError, match="the measurement is 3"):
        measure([states], 3)  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="NaN"):
        measure([states * np.nan], "delay-rank")
    with pytest.raises(AnalysisError, match=r"not stable \(largest eigenvalue 1\.1"):
        output_gramian(torch.full((1, 1), 1.1), torch.ones(1, 1), torch.ones(1, 1), "'x'")
    noise = np.random.default_rng(0).normal(size=(1, 400, 20))
    with pytest.raises(AnalysisError, match="keeps nothing of 'x'"):
        measure({"x": noise}, "delay-rank")


@pytest.mark.parametrize("model", ["lif", "learned-expander-memory", "bootstrap-filter"])
def test_surrogates_are_no_linearisation(model: str) -> None:
    made = build(experiment(model))
    for kind in ("fixed-points", "selection", "ring", "loops", "linearisation", "lyapunov"):
        with pytest.raises(
            AnalysisError, match=rf"{kind} linearises.*{model!r}.*surrogates.*smooth step"
        ) as told:
            measure([made], kind)
        assert kind not in told.value.args[0].partition("can serve: ")[2]
    assert "basins" in told.value.args[0], "which goes where the steps go"


@pytest.mark.parametrize("model", ["gru", "mlp", "lif", "hopfield", "lorenz"])
def test_what_is_listed_is_not_refused(model: str) -> None:
    made = build(experiment(model))
    with pytest.raises(AnalysisError) as told:
        measure([made], "ensemble-performance")
    listed = told.value.args[0].rstrip(".").partition("can serve: ")[2].split(", ")
    assert {"performance", "spectrum", "state-space"} < set(listed)
    assert not OF_OTHERS & set(listed)
    assert ("lyapunov" in listed) == (model in ("gru", "hopfield", "lorenz"))
    assert ("delta-rank" in listed) == (model != "lorenz")
    assert ("recall" in listed) == (model == "hopfield")
    for kind in {*FEW} & set(listed):
        measure([made], kind, trials=8, **FEW[kind])
