"""Evolution strategies: updates against formulas written out, and against the gradient in the limit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from examples import experiment
from torch.func import functional_call

from zoo.errors import SpecError
from zoo.learners.evolution import EvolutionStrategies, shaped
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.learners.evolution import EvolutionStrategiesSpec
from zoo.specs.problems import validate

FINE = {"precision": "64-true"}


def learner(model: str = "mlp", task: str = "digits", **fields: Any) -> EvolutionStrategies:
    spec = experiment(model, task, train=FINE).updated(learner={"kind": "evolution-strategies", **fields})
    made = build(spec).learner()
    assert isinstance(made, EvolutionStrategies)
    return made


def test_an_update_is_the_mean_of_perturbations_by_their_standardised_rewards() -> None:
    made = learner(samples=7, sigma=0.2)
    network = made.network
    batch = network.batch("train", 0, 0, 5)
    drawn = made.draw(batch, torch.Generator().manual_seed(1))
    assert drawn["weight.layers.0.weight"].shape == (7, 7, 64)
    weights = network.model.state_dict()
    losses = []
    for k in range(7):
        moved = {name: value + 0.2 * drawn[f"weight.{name}"][k] for name, value in weights.items()}
        y = functional_call(network.model, moved, (batch.x,)).y
        losses.append(network.losses(y, batch).mean())
    rewards = -torch.stack(losses)
    z = (rewards - rewards.mean()) / rewards.std(correction=0)
    found = made.update(weights, {}, batch, drawn)
    torch.testing.assert_close(found.loss, -rewards.mean())
    for name in weights:
        expected = -sum(z[k] * drawn[f"weight.{name}"][k] for k in range(7)) / 7
        torch.testing.assert_close(found.weights[name], expected, rtol=1e-6, atol=1e-9)


def test_the_mean_update_is_the_gradient() -> None:
    made = learner("constant", "quadratic", samples=100_000, sigma=0.01, shaping="centred", antithetic=True)
    batch = made.network.batch("train", 0, 0, 1)
    drawn = made.draw(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = made.update(made.network.model.state_dict(), {}, batch, drawn).weights["value"]
    gradient = made.gradient(made.network.model.state_dict(), batch).weights["value"]
    torch.testing.assert_close(gradient, torch.tensor([-1.0, -1] + [0] * 6, dtype=torch.float64))
    assert (found - gradient).norm() < 0.03 * gradient.norm()  # √(8 / 100,000) of it is expected


def test_shapes_of_rewards() -> None:
    rewards = torch.tensor([3.0, 1.0, 10.0, 1.0])
    given = {
        shape: EvolutionStrategiesSpec(shaping=shape, sigma=0.5)
        for shape in ("standardised", "centred", "ranks")
    }  # type: ignore[arg-type]
    z = shaped(rewards, given["standardised"])
    torch.testing.assert_close(z.mean() + 1, torch.tensor(1.0))
    torch.testing.assert_close(z.square().mean(), torch.tensor(1.0))
    torch.testing.assert_close(shaped(1e6 * rewards, given["standardised"]), z)
    torch.testing.assert_close(shaped(rewards, given["centred"]), torch.tensor([-1.5, -5.5, 12.5, -5.5]))
    expected = torch.tensor([1 / 6, -1 / 3, 0.5, -1 / 3])
    torch.testing.assert_close(shaped(rewards, given["ranks"]), expected)
    for spec in given.values():  # equal rewards say nothing, whatever rounding makes of their mean
        assert not shaped(torch.full((30,), 0.1), spec).abs().gt(1e-6).any()


def test_noise_of_the_model_is_the_same_for_all_samples() -> None:
    spec = experiment("rate-leaky", "flip-flop", train=FINE)
    made = build(
        spec.updated(learner={"kind": "evolution-strategies", "samples": 2, "sigma": 1e-12})
    ).learner()
    batch = made.network.batch("train", 0, 0, 3)
    drawn = made.draw(batch, torch.Generator().manual_seed(0))
    assert drawn["noise"].shape[:2] == batch.x.shape[:2]
    loss = made.update(made.network.model.state_dict(), {}, batch, drawn).loss
    y = made.network(batch.x, drawn["noise"]).y
    torch.testing.assert_close(loss, made.network.losses(y, batch).mean())


def test_a_reward_needs_no_gradient_but_a_measure() -> None:
    made = learner(samples=4, reward="accuracy", sigma=0.5)
    batch = made.network.batch("train", 0, 0, 20)
    update = made.update(made.network.model.state_dict(), {}, batch, made.draw(batch))
    assert any(value.any() for value in update.weights.values())
    assert learner("elman", "modular-sines", reward="rmse").sign == -1
    with pytest.raises(
        SpecError, match=r"learner\.reward: .*'accurcy'.* Did you mean 'accuracy'.*loss, accuracy"
    ):
        learner(reward="accurcy")


def test_what_cannot_be_is_refused() -> None:
    document = experiment("mlp", "digits", "evolution-strategies").plain()

    def refused(fields: dict[str, Any], message: str) -> None:
        with pytest.raises(SpecError, match=message):
            validate(ExperimentSpec, {**document, "learner": {**document["learner"], **fields}})

    refused({"antithetic": True, "samples": 7}, r"learner\.samples: should be even .* give 8")
    refused(
        {"pretraining": {"split": "upright"}}, r"learner\.pretraining\.split: .*no split 'upright'.*noisy"
    )
    refused({"samples": 1}, r"learner\.samples")


def test_pretraining_is_backpropagation_before_step_0() -> None:
    fields = {
        "kind": "evolution-strategies",
        "pretraining": {"steps": 60, "split": "validation", "optimizer": {"kind": "adam", "lr": 1e-2}},
    }
    plain = experiment("mlp", "digits")
    begun = build(plain).measure("test", 200)["accuracy"].mean()
    network = build(plain.updated(learner=fields))
    assert network.measure("test", 200)["accuracy"].mean() > begun + 0.2
    assert network.batches_seen == 0
    again = build(plain.updated(learner=fields)).model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in network.model.state_dict().items())
    assert all(each.grad is None for each in network.parameters())
