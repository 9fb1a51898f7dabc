"""Maps that fall apart into one a channel, and the sine whose frequency depends on a context."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from zoo.specs.tasks.dynamics import SineSpec
from zoo.specs.tasks.regression import LinearMapSpec, ModularSinesSpec
from zoo.tasks.dynamics import Sine
from zoo.tasks.regression import LinearMap, ModularSines


def points(split: str, **fields: Any) -> torch.Tensor:
    task = ModularSines(ModularSinesSpec.model_validate({"points": 50, **fields}))
    return task.batch(split, 0, 0, 2000).x[:, 0]


def test_each_output_depends_on_its_input_alone() -> None:
    task = ModularSines(ModularSinesSpec())
    batch = task.batch("train", 0, 0, 100)
    x = batch.x.requires_grad_()
    slope = torch.autograd.grad(task._map(x).sum((0, 1))[2], x)[0]
    assert not slope[..., [0, 1, 3]].any()
    assert slope[..., 2].abs().max() > 0.2
    wide = torch.linspace(-50, 50, 100_001)[:, None, None].expand(-1, 1, 4)
    for channel in range(4):
        y = task._map(wide)[:, 0, channel]
        assert 0.7 <= y.max() <= 1
        crossings = ((y[1:] * y[:-1]) < 0).sum().item()
        assert 0.4 <= crossings * math.pi / 100 <= 1.85
    assert not torch.equal(task._map(wide), ModularSines(ModularSinesSpec(maps=1))._map(wide))


def test_a_split_is_a_set_of_points() -> None:
    train = points("train")
    assert len(train.unique(dim=0)) == 50
    assert train.abs().max() <= 2
    other = points("test")
    assert not set(train[:, 0].tolist()) & set(other[:, 0].tolist())
    outside = points("outside").abs()
    assert outside.min() >= 2
    assert outside.max() <= 3
    assert points("outside").sign().mean().abs() < 0.3


def test_a_linear_map_for_comparison() -> None:
    batch = ModularSines(ModularSinesSpec(shape="linear")).batch("train", 0, 0, 5)
    assert torch.equal(batch.x, batch.y)


def test_no_room_for_points() -> None:
    with pytest.raises(ValidationError, match=r"inner: is not below outer"):
        ModularSinesSpec(inner=2.0)
    with pytest.raises(ValidationError, match=r"splits\.far: inner: is not below outer"):
        ModularSinesSpec(splits={"far": {"inner": 4.0}})


def test_the_same_cue_asks_for_another_frequency_in_another_context() -> None:
    task = Sine(SineSpec(contexts=3, frequencies=(1.0, 2.0, 3.0, 4.0)))
    batch = task.batch("train", 0, 0, 300)
    assert batch.x.shape == (300, 100, 4)
    for row in range(300):
        k = round((batch.x[row, 0, 0].item() - 0.25) * 4) - 1
        context = batch.x[row, 0, 1:].argmax().item()
        frequency = [1.0, 2.0, 3.0, 4.0][(k + context) % 4]
        assert batch.latents["frequency"][row].item() == frequency
        assert batch.y[row, 9, 0].item() == pytest.approx(math.sin(2 * math.pi * frequency * 0.2), abs=1e-4)
    assert (
        len({*zip(batch.latents["condition"].tolist(), batch.latents["context"].tolist(), strict=True)}) == 12
    )


def test_more_contexts_than_frequencies() -> None:
    with pytest.raises(ValidationError, match="contexts: 4 frequencies are the same again"):
        SineSpec(contexts=5)
    with pytest.raises(ValidationError, match="may not change the width"):
        SineSpec(splits={"more": {"contexts": 2}})
    assert SineSpec(contexts=1).digest() == SineSpec().digest()


def test_a_linear_map_of_given_strengths_from_white_inputs() -> None:
    task = LinearMap(LinearMapSpec(width=6, strengths=(3.0, 1.0)))
    batch = task.batch("train", 0, 0, 12)
    x, y = batch.x[:, 0], batch.y[:, 0]
    torch.testing.assert_close(x.T @ x / 12, torch.eye(6), atol=1e-5, rtol=0)
    matrix = torch.linalg.lstsq(x, y).solution.T
    strengths = torch.linalg.svdvals(matrix)
    torch.testing.assert_close(strengths, torch.tensor([3.0, 1, 0, 0, 0, 0]), atol=1e-4, rtol=0)
    with pytest.raises(ValidationError, match=r"strengths: 4 singular values are more than the width 3"):
        LinearMapSpec(width=3)
