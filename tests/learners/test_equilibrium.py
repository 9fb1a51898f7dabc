"""Equilibrium propagation: what it settles in, and the gradient that it tends to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from examples import experiment
from torch import Tensor
from torch.func import functional_call

from zoo.errors import SpecError
from zoo.learners.base import Learner
from zoo.models.settling import Settling
from zoo.network import build
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.problems import validate


def learner(hidden: tuple[int, ...] = (9, 6), shown: int = 200, **rule: Any) -> Learner:
    spec = experiment("settling", "digits-shown", "equilibrium-symmetric", train={"precision": "64-true"})
    spec = spec.updated(
        model={"kind": "settling", "hidden": hidden, "gain": 0.5},
        task={"kind": "digits", "shown": shown},
        learner={
            "kind": "equilibrium-propagation",
            "loss": "mse",
            "rates": [1.0],
            "nudged_steps": 200,
            **rule,
        },
    )
    return build(spec).learner()


def inside(made: Learner) -> dict[str, Tensor]:
    """Weights with which most units rest between 0 and 1, where derivatives are not those of the clip."""
    torch.manual_seed(1)
    weights = {name: value.clone() for name, value in made.network.model.state_dict().items()}
    return {name: value + (0.4 if name.startswith("biases") else 0.0) for name, value in weights.items()}


def gradient(made: Learner, weights: dict[str, Tensor], x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Of the mean of ½|out - y|², by autograd through all steps."""
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    out = functional_call(made.network.model, leaves, (x,)).y[:, -1]
    cost = 0.5 * (out - y[:, -1]).square().sum(-1).mean()
    return dict(zip(leaves, torch.autograd.grad(cost, list(leaves.values())), strict=True))


def distance(update: dict[str, Tensor], slope: dict[str, Tensor]) -> float:
    """Of a change from what goes downhill, relative to it."""
    apart = torch.cat([(update[name] + each).flatten() for name, each in slope.items()])
    return (apart.norm() / torch.cat([each.flatten() for each in slope.values()]).norm()).item()


@torch.no_grad()
def changes(made: Learner, weights: dict[str, Tensor], **drawn: Tensor) -> dict[str, Tensor]:
    batch = made.network.batch("train", 0, 0, 8)
    return made.update(weights, {}, batch, drawn).weights


def test_small_nudges_give_the_gradient_and_symmetric_ones_sooner() -> None:
    found: dict[str, list[float]] = {"positive": [], "symmetric": []}
    for nudging, errors in found.items():
        for nudge in (1e-1, 1e-2, 1e-3):
            made = learner(nudge=nudge, nudging=nudging)
            weights = inside(made)
            batch = made.network.batch("train", 0, 0, 8)
            errors.append(distance(changes(made, weights), gradient(made, weights, batch.x, batch.y)))
    assert found["positive"][2] < 1e-2
    assert found["positive"][2] < 0.2 * found["positive"][1] < 0.04 * found["positive"][0]  # linear in β
    assert found["symmetric"][1] < 0.1 * found["positive"][1]


def test_random_nudges_are_one_or_the_other() -> None:
    made, weights = learner(nudge=0.2), inside(learner())
    one, other = (changes(made, weights, sign=torch.tensor(sign).double()) for sign in (1.0, -1.0))
    positive = changes(learner(nudge=0.2, nudging="positive"), weights)
    both = changes(learner(nudge=0.2, nudging="symmetric"), weights)
    for name in positive:
        torch.testing.assert_close(one[name], positive[name])
        torch.testing.assert_close((one[name] + other[name]) / 2, both[name])
    batch = made.network.batch("train", 0, 0, 8)
    generator = torch.Generator().manual_seed(0)
    assert {made.draw(batch, generator)["sign"].item() for _ in range(20)} == {1.0, -1.0}


def test_rates_are_of_layers() -> None:
    weights = inside(learner(shown=20))
    rule: dict[str, Any] = {"nudge": 0.1, "nudging": "positive", "nudged_steps": 10, "shown": 20}
    plain, scaled = (changes(learner(**rule, rates=rates), weights) for rates in ([1.0], [1.0, 0.5, 0.0001]))
    for name, factor in (("weights.0", 1.0), ("biases.1", 0.5), ("weights.2", 0.0001)):
        torch.testing.assert_close(scaled[name], factor * plain[name])


@torch.no_grad()
def test_steps_descend_the_energy_whose_slope_they_follow() -> None:
    model = learner().network.model
    assert isinstance(model, Settling)
    u = torch.rand(5, 64, dtype=torch.float64)
    h, energies = torch.rand(5, model.units, dtype=torch.float64), []
    with torch.enable_grad():
        inside = (0.4 + 0.2 * h).requires_grad_()
        (slope,) = torch.autograd.grad(model.energy(inside, u).sum(), inside)
    small = model.spec.dt * slope
    following = (inside - small).clamp(0, 1)
    torch.testing.assert_close(model.step(inside, u), following)
    for _ in range(400):
        energies.append(model.energy(h, u))
        h = model.step(h, u)
    fall = torch.stack(energies).diff(dim=0)
    assert (fall <= 1e-12).all()
    torch.testing.assert_close(model.step(h, u), h, atol=1e-8, rtol=0)


def test_what_it_cannot_do_is_refused() -> None:
    document = experiment("settling", "digits-shown", "equilibrium-symmetric").plain()
    rule = document["learner"]
    for change, message in (
        ({"rates": [0.1, 0.1, 0.1]}, r"learner\.rates: has 3 entries for 2 layers"),
        ({"loss": "cross-entropy"}, r"learner\.loss: .* cannot lower cross-entropy: give mse"),
        ({"clip_norm": 1.0}, r"learner\.clip_norm: .*set the sizes of changes by rates and schedule"),
    ):
        with pytest.raises(SpecError, match=message):
            validate(ExperimentSpec, {**document, "learner": {**rule, **change}})
