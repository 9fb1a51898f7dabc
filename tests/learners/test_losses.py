"""Losses of several networks at once, against those of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from examples import experiment

from zoo.learners.base import Learner
from zoo.learners.losses import LOSSES
from zoo.models.base import Output
from zoo.network import build
from zoo.tasks.base import Batch

MEMBERS, EXAMPLES, STEPS, WIDTH = 3, 4, 6, 2


def drawn() -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(0)
    shape = (MEMBERS, EXAMPLES, STEPS, WIDTH)
    y = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.rand(shape, generator=generator, dtype=torch.float64)
    mask = (torch.rand(shape[:3], generator=generator) < 0.7).double()
    mask[..., 0] = 1
    return y, target, mask


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_is_the_mean_over_examples_of_what_the_task_says(kind: str) -> None:
    y, target, mask = drawn()
    learner: Learner = build(experiment(learner="backprop")).learner()
    rows = [Batch(target[k], target[k], mask[k], torch.zeros(EXAMPLES), {}) for k in range(MEMBERS)]
    expected = torch.stack([learner.network.task.losses(y[k], rows[k], kind).mean() for k in range(MEMBERS)])
    found = LOSSES[kind].apply(y, target, mask)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.tensor([1.0, -2.0, 0.5]).double()
    ours, theirs = (torch.autograd.grad((weights * each).sum(), y)[0] for each in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_losses_of_backprop_are_those_that_any_learner_has() -> None:
    y, target, mask = drawn()
    spec = experiment(learner="backprop-clipped")
    learner = build(spec).learner()
    states = {learner.network.model.exposed: torch.randn(MEMBERS, EXAMPLES, STEPS, 7).double()}
    batch = Batch(target, target, mask, torch.zeros(EXAMPLES), {})
    specs = [spec.learner] * MEMBERS
    assert learner.reads_states(spec.learner)
    expected = Learner.losses(learner, specs, Output(y, states), batch)
    torch.testing.assert_close(learner.losses(specs, Output(y, states), batch), expected)
