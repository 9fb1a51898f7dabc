"""Random changes of weights, and the linear model of learning by them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from examples import experiment

import zoo
from zoo.analysis.measure import analyse
from zoo.analysis.perturbation import best_of, course
from zoo.checkpoints.network import load_network
from zoo.errors import AnalysisError
from zoo.models.trajectories import Trajectories
from zoo.network import build
from zoo.specs.learners.evolution import EvolutionStrategiesSpec
from zoo.specs.tasks.quadratic import QuadraticSpec

LEARNER = {"kind": "evolution-strategies", "sigma": 1.0, "optimizer": {"kind": "sgd", "lr": 0.1}}


def test_the_best_of_n_is_the_mean_over_all_choices() -> None:
    values = torch.tensor([0.3, -1.0, 2.0, 0.5, -0.2, 0.9], dtype=torch.float64)
    for n in (1, 2, 3, 6):
        choices = [max(each) for each in itertools.combinations(values.tolist(), n)]
        assert best_of(values, n).item() == pytest.approx(np.mean(choices), rel=1e-9)


def test_the_course_is_that_of_the_recursion() -> None:
    task = QuadraticSpec.model_validate(
        {
            "modes": [
                {"count": 2, "optimum": 1.0},
                {"count": 3, "curvature": 0.01},
                {"count": 1, "curvature": 0},
            ]
        }
    )
    learner = EvolutionStrategiesSpec.model_validate({**LEARNER, "shaping": "centred", "samples": 5})
    curvature = np.array([1, 1, 0.01, 0.01, 0.01, 0])
    jitter = 0.1 * np.sqrt((curvature**2).sum() / 2 / 5)
    second = np.array([1, 1, 0, 0, 0, 0.0])  # E x²
    expected = []
    for _ in range(50):
        expected.append(0.5 * (curvature * second).sum())
        second = (1 - 0.1 * curvature) ** 2 * second + jitter**2
    found = course(task, learner, torch.arange(50, dtype=torch.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_terminal_loss_is_the_formula_of_the_paper() -> None:
    """α σ² / 2 N Σ 1 / (2 - α λ), where rewards have the deviation σ."""
    modes = [{"count": 10, "optimum": 1.0}, {"count": 990, "curvature": 0.001}]
    task = QuadraticSpec.model_validate({"modes": modes})
    sigma = (2 / (10 + 990e-6)) ** 0.5
    learner = EvolutionStrategiesSpec.model_validate({**LEARNER, "sigma": sigma})
    formula = 0.1 / 60 * (10 / (2 - 0.1) + 990 / (2 - 0.1 * 0.001))
    late = course(task, learner, torch.tensor([1e6], dtype=torch.float64))
    assert late.item() == pytest.approx(formula, rel=1e-9)
    assert formula == pytest.approx(0.834, abs=1e-3)  # the value that the card of the paper gives


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    spec = experiment("constant", "quadratic", train={"steps": 400, "batch_size": 1, "validate_every": 10})
    spec = spec.updated(learner={**LEARNER, "samples": 20}, population={"members": 2}, claims=())
    return zoo.train(spec, folder=tmp_path_factory.mktemp("es") / "run", progress=False)


def test_the_mode_model_reads_the_course_of_each_member(trained: Any) -> None:
    networks = [load_network(trained, member) for member in (0, 1)]
    for member, network in enumerate(networks):
        found = analyse([network], "mode-model", last=0.5)
        finding = next(iter(found.values()))
        loss = np.array(trained.record.curve[member].values["validation/loss"])
        np.testing.assert_allclose(finding["loss"], loss, rtol=1e-6)
        assert finding["prediction"][0] == pytest.approx(1.0)
        assert finding.numbers["lowest"] == pytest.approx(loss.min())
        assert finding.numbers["terminal"] == pytest.approx(loss[len(loss) - round(0.5 * len(loss)) :].mean())
        assert finding.numbers["ratio"] == pytest.approx(
            finding.numbers["terminal"] / finding.numbers["predicted"]
        )


def test_what_the_mode_model_is_not_of(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="mode-model is of the task 'quadratic'"):
        analyse([build(experiment("mlp", "digits"))], "mode-model")
    spec = experiment("constant", "quadratic").updated(learner={**LEARNER, "optimizer": {"kind": "adam"}})
    with pytest.raises(AnalysisError, match=r"no theory of .*plain steps"):
        analyse([build(spec)], "mode-model")
    spec = experiment("constant", "quadratic").updated(learner=LEARNER)
    with pytest.raises(AnalysisError, match="has no record"):
        analyse([build(spec)], "mode-model")


def test_the_best_of_n_in_a_landscape_that_is_known() -> None:
    modes = [{"count": 4, "optimum": 0.5}, {"count": 60, "curvature": 0.0}]
    spec = experiment("constant", "quadratic", train={"precision": "64-true"})
    spec = spec.updated(task={"kind": "quadratic", "modes": modes})
    finding = next(
        iter(analyse([build(spec)], "best-of-n", sigma=0.1, perturbations=4000, best_of=[1, 16]).values())
    )
    numbers = finding.numbers
    assert numbers["reward"] == pytest.approx(-0.5)
    # E ΔR = -σ² tr H / 2; its deviation is near σ |∇| = 0.1
    assert numbers["gain/1"] == pytest.approx(-0.02, abs=0.006)
    assert numbers["gain/16"] == pytest.approx(1.766 * 0.1 - 0.02, abs=0.02)  # 1.766: of 16 normal numbers
    assert numbers["improving"] == pytest.approx(0.42, abs=0.03)
    assert numbers["dimension"] == pytest.approx(4, rel=0.15)
    np.testing.assert_allclose(finding["change"].mean(), numbers["gain/1"], rtol=1e-9)


def test_the_best_of_n_of_any_network_and_reward() -> None:
    for model, task, reward in (("mlp", "digits", "accuracy"), ("gru", "flip-flop", "loss")):
        found = analyse(
            [build(experiment(model, task))], "best-of-n", reward=reward, perturbations=12, best_of=[4]
        )
        assert next(iter(found.values())).numbers["gain/4"] > -1
    with pytest.raises(AnalysisError, match=r"no reward 'accurcy'.*Did you mean 'accuracy'"):
        analyse([build(experiment("mlp", "digits"))], "best-of-n", reward="accurcy")
    with pytest.raises(AnalysisError, match="cannot choose 120 of 12"):
        analyse([build(experiment("mlp", "digits"))], "best-of-n", perturbations=12)
    with pytest.raises(AnalysisError, match=r"none of .* are learned"):
        analyse([build(experiment("lorenz"))], "best-of-n")
    with pytest.raises(AnalysisError, match="needs the network"):
        analyse([Trajectories.wrap(np.random.default_rng(0).normal(size=(3, 4, 2)), name="a")], "best-of-n")
