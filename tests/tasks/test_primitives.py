"""Latent primitives: principal components of targets, over all trials."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from examples import TASKS
from pydantic import ValidationError
from sklearn.decomposition import PCA

from zoo.errors import SpecError
from zoo.specs.tasks.cognitive import MultiTaskSpec
from zoo.specs.tasks.primitives import LatentPrimitiveSpec
from zoo.tasks.cognitive import MultiTask
from zoo.tasks.primitives import LatentPrimitive, components

FIELDS = {"tasks": ["go", "dly-anti", "dm1"], "dt": 0.1, "units": 8}


def primitive(**fields: object) -> LatentPrimitive:
    return LatentPrimitive(LatentPrimitiveSpec.model_validate({**FIELDS, "corpus": 200, **fields}))


def test_components_are_those_of_scikit_learn() -> None:
    """Where every step counts once; with weights, those of steps that are there so many times."""
    y = torch.randn(6, 5, 4, dtype=torch.float64) @ torch.randn(4, 4, dtype=torch.float64)
    mean, variances, directions = components(y, torch.ones(6, 5))
    flat = y.flatten(0, 1).numpy()
    expected = PCA().fit(flat)
    np.testing.assert_allclose(mean, expected.mean_, atol=1e-12)
    np.testing.assert_allclose(variances, expected.explained_variance_ * 29 / 30, rtol=1e-9)
    np.testing.assert_allclose(directions.mT.abs(), np.abs(expected.components_), atol=1e-9)
    assert (directions.gather(0, directions.abs().argmax(0, keepdim=True)) > 0).all()
    twice = torch.ones(6, 5)
    twice[:3] = 2
    weighted = components(y, twice)
    repeated = components(torch.cat([y[:3], y]), torch.ones(9, 5))
    for one, other in zip(weighted, repeated, strict=True):
        torch.testing.assert_close(one, other)


def test_the_target_is_a_component_of_the_targets_of_the_same_trials() -> None:
    trials = MultiTask(MultiTaskSpec.model_validate(FIELDS)).batch("test", 3, 0, 300)
    made = [primitive(component=number).batch("test", 3, 0, 300) for number in range(3)]
    for batch in made:
        assert torch.equal(batch.x, trials.x)
        assert torch.equal(batch.mask, trials.mask)
        assert batch.y.shape == (*trials.y.shape[:2], 1)
        weight = batch.mask[..., None] / batch.mask.sum()
        assert (weight * batch.y).sum().item() == pytest.approx(0, abs=0.15)
        assert (weight * batch.y.square()).sum().item() == pytest.approx(1, abs=0.15)
    weight = made[0].mask[..., None] / made[0].mask.sum()
    assert abs((weight * made[0].y * made[1].y).sum().item()) < 0.1, "they are uncorrelated"
    every = torch.cat([primitive(component=k).batch("test", 3, 0, 300).y for k in range(9)], -1)
    flat, there = (
        torch.cat([every, torch.ones_like(every[..., :1])], -1).flatten(0, 1),
        trials.y.flatten(0, 1),
    )
    assert torch.linalg.lstsq(flat, there).solution.shape == (10, 9)
    torch.testing.assert_close(flat @ torch.linalg.lstsq(flat, there).solution, there, atol=1e-3, rtol=0)


def test_splits_share_components() -> None:
    """A split of one task has the time course that all tasks have together."""
    whole = primitive(component=1)
    assert whole.spec.for_split("go").outputs == 1
    before = whole.projection
    whole.batch("go", 0, 0, 4)
    assert all(torch.equal(a, b) for a, b in zip(before, whole.projection, strict=True))
    trials = MultiTask(MultiTaskSpec.model_validate(FIELDS)).batch("go", 0, 0, 4)
    expected = (trials.y.double() - before[0]) @ before[1]
    torch.testing.assert_close(whole.batch("go", 0, 0, 4).y[..., 0].double(), expected, atol=1e-5, rtol=0)


def test_components_are_those_of_the_split_train() -> None:
    narrowed = primitive(splits={"train": {"only": ["go"]}}).projection
    assert all(torch.equal(a, b) for a, b in zip(narrowed, primitive(only=["go"]).projection, strict=True))
    assert not torch.equal(narrowed[0], primitive().projection[0])


def test_the_loss_is_the_squared_error_in_the_unit_of_the_variance() -> None:
    task = primitive()
    batch = task.batch("test", 0, 0, 300)
    loss = task.losses(torch.zeros_like(batch.y), batch)
    expected = (batch.y[..., 0].square() * batch.mask).sum(1) / batch.mask.sum(1)
    torch.testing.assert_close(loss, expected)


def test_a_component_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="components 0 to 8"):
        primitive(component=9)
    still = primitive(only=["go"], tasks=["go", "fixation"], encoding="cos-sin", component=2).spec
    none = LatentPrimitive(still.updated(tasks=("fixation",), only=None))
    with pytest.raises(SpecError, match=r"task\.component 2: .* Choose one below 1"):
        none.batch("train", 0, 0, 2)


def test_the_example_is_registered() -> None:
    assert TASKS["latent-primitive"]["kind"] == "latent-primitive"
