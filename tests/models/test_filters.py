"""Particle filters against formulas written out particle by particle."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from examples import experiment
from torch.distributions import MultivariateNormal, kl_divergence

from zoo.analysis.dynamics.particles import divergence
from zoo.analysis.measure import analyse
from zoo.errors import AnalysisError, SpecError
from zoo.models.filters import BootstrapFilter, Filter, FlowFilter
from zoo.network import Network, build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.problems import validate


def network(kind: str, dimensions: int = 4, **fields: Any) -> Network:
    document = {
        "name": "cloud",
        "model": {"kind": kind, **fields},
        "task": {"kind": "localization", "dimensions": dimensions},
        "learner": {"kind": "none"},
        "train": {"steps": 0, "precision": "64-true"},
    }
    return build(validate(ExperimentSpec, document))


@pytest.mark.parametrize("transport", ["own", "other", "none"])
def test_a_step_of_the_flow_particle_by_particle(transport: str) -> None:
    made, n, m, rate = network("flow-filter", particles=6, transport=transport).model, 6, 4, 0.1
    assert isinstance(made, FlowFilter)
    generator = torch.Generator().manual_seed(0)
    s = torch.randn(n, m, generator=generator, dtype=torch.float64)
    u = torch.randn(m + 1, generator=generator, dtype=torch.float64)
    loss = [0.5 * float(s[i] @ u[:m] - u[m]) ** 2 for i in range(n)]
    mean = sum(loss) / n
    green = math.gamma(m / 2 + 1) / (m * (m - 2) * math.pi ** (m / 2))
    near = (rate * n / green) ** (1 / (2 - m))
    expected = []
    for i in range(n):
        moved = s[i] - rate * float(s[i] @ u[:m] - u[m]) * u[:m]
        for j in range(n):
            apart = s[i] - s[j]
            push = green * (m - 2) / n * apart * (float(apart.norm()) + near) ** -m
            if transport == "own":
                moved = moved - push * (loss[i] - mean)
            elif transport == "other":
                moved = moved + push * (loss[j] - mean)
        expected.append(moved)
    found = made.step(s.reshape(1, -1), u[None])
    torch.testing.assert_close(made.cloud(found)[0], torch.stack(expected), rtol=1e-12, atol=1e-12)


def test_resampling_is_by_likelihood() -> None:
    made = network("bootstrap-filter", 2, particles=10_000, jitter=0.0).model
    assert isinstance(made, BootstrapFilter)
    h, u = made.initial_state(1), torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64)
    s = made.cloud(h[:, :-1])[0]
    weight = torch.softmax(-0.5 * (2 * s[:, 0] - 1).square(), 0)
    after = made.step(h, u)
    new = made.cloud(after[:, :-1])[0]
    assert after[0, -1] == 1
    assert set(new[:, 0].tolist()) <= set(s[:, 0].tolist())
    torch.testing.assert_close(new.mean(0), weight @ s, rtol=0, atol=0.03)
    exact = torch.tensor([0.4, 0.0], dtype=torch.float64)  # of the posterior, of precision 1 + 2²
    torch.testing.assert_close(new.mean(0), exact, rtol=0, atol=0.03)
    assert new[:, 0].var().item() == pytest.approx(0.2, abs=0.02)


def test_jitter_is_new_at_each_step_and_the_same_in_each_run() -> None:
    made = network("bootstrap-filter", particles=3).model
    assert isinstance(made, BootstrapFilter)
    still = torch.zeros(2, 4, 5, dtype=torch.float64)
    states = made.rollout(made.initial_state(2), still)
    assert torch.equal(states[0], states[1])
    clouds = made.cloud(states[0, :, :-1])
    nearest = (clouds[1:, :, None] - clouds[:-1, None]).norm(dim=-1).amin(-1)
    assert (nearest > 0.01).all()
    assert torch.equal(made.rollout(made.initial_state(2), still), states)
    other = build(experiment("bootstrap-filter", train={"steps": 0, "seed": 1})).model.state_dict()
    assert not torch.equal(other["seed"], build(experiment("bootstrap-filter")).model.state_dict()["seed"])


def test_the_divergence_of_normal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    p, q = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    one = torch.eye(3, dtype=torch.float64)
    covariance, precision = a @ a.mT + one, b @ b.mT + one
    expected = kl_divergence(
        MultivariateNormal(p, covariance), MultivariateNormal(q, precision_matrix=precision)
    )
    torch.testing.assert_close(divergence(p, covariance, q, precision), expected)


def test_a_cloud_drawn_from_the_posterior_is_near_it() -> None:
    """Exact sampling of 2,000 guesses, put in the place of a filter's."""
    made = network("flow-filter", 3, particles=2000, transport="none")
    model = made.model
    assert isinstance(model, Filter)
    run = made.trajectories(4)
    assert run.inputs is not None
    x, u = run.inputs[..., :-1], run.latents["place"]
    precision = torch.eye(3) + (x[..., :, None] * x[..., None, :]).cumsum(1)
    center = u - torch.linalg.solve(precision, u[..., None])[..., 0]
    torch.manual_seed(0)
    guesses = MultivariateNormal(center, precision_matrix=precision).sample((2000,)).movedim(0, 2)
    with model.intervene({"particles": lambda value, t: guesses[:, t].flatten(1)}):
        finding = next(iter(analyse([made], "particle-posterior", trials=4).values()))
    assert finding["kl_exact"].max() < 0.02
    assert finding.numbers["kl"] > finding.numbers["kl_exact"]


def test_it_localises() -> None:
    for kind in ("flow-filter", "bootstrap-filter"):
        found = network(kind, 3).measure("test", 20)["distance"]
        assert found.mean() < 0.3
    flat = analyse([network("flow-filter", 6, particles=30)], "particle-posterior", trials=5)
    wild = analyse([network("bootstrap-filter", 6, particles=30)], "particle-posterior", trials=5)
    flow, resampled = (next(iter(found.values())).numbers["kl"] for found in (flat, wild))
    assert flow < 0.6 * resampled


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SpecError, match=r"task: has 2 dimensions, and the flow is of 3 or more.*bootstrap"):
        network("flow-filter", 2)
    document = experiment("flow-filter").plain()
    with pytest.raises(SpecError, match=r"task\.kind: gives 2 inputs and 2 outputs.*'localization'"):
        validate(ExperimentSpec, {**document, "task": {"kind": "flip-flop", "bits": 2}})
    with pytest.raises(SpecError, match=r"learner\.kind.*nothing to learn"):
        validate(ExperimentSpec, {**document, "learner": {"kind": "evolution-strategies"}})
    with pytest.raises(AnalysisError, match="particle-posterior is of the guesses of a particle filter"):
        analyse([build(experiment("gru", "localization"))], "particle-posterior")
    with pytest.raises(AnalysisError, match="leave out 'observe'"):
        analyse([network("flow-filter")], "particle-posterior", observe={"skip": 3})
