"""A quadratic landscape, and digits that are moved."""

from __future__ import annotations

import pytest
import torch
from examples import experiment

from zoo.errors import SpecError
from zoo.network import build
from zoo.specs.tasks.images import DigitsSpec
from zoo.tasks.images import Digits, images


def test_the_loss_is_half_of_curvature_times_squared_distance() -> None:
    network = build(experiment("constant", "quadratic", train={"precision": "64-true"}))
    batch = network.batch("train", 0, 0, 3)
    y = torch.full((3, 1, 8), 0.5, dtype=torch.float64)
    expected = 0.5 * (2 * 1.0 * 0.25 + 6 * 0.01 * 0.25)
    torch.testing.assert_close(network.losses(y, batch), torch.full((3,), expected, dtype=torch.float64))
    torch.testing.assert_close(network.losses(network(batch.x).y, batch), torch.ones(3, dtype=torch.float64))
    spec = experiment("constant", "quadratic").updated(learner={"kind": "backprop", "loss": "cross-entropy"})
    with pytest.raises(SpecError, match=r"learner\.loss: .*no cross-entropy"):
        build(spec).measure("test", 1)


def test_digits_move_without_wrapping() -> None:
    plain = Digits(DigitsSpec()).batch("test", 0, 0, 50)
    for right, down in ((1, 0), (-2, 0), (0, 3), (2, -1)):
        moved = Digits(DigitsSpec(shift=(right, down))).batch("test", 0, 0, 50)
        assert torch.equal(moved.y, plain.y)
        before, after = (each.x.reshape(50, 8, 8) for each in (plain, moved))
        for row in range(8):
            for column in range(8):
                r, c = row - down, column - right
                inside = 0 <= r < 8 and 0 <= c < 8
                expected = before[:, r, c] if inside else torch.zeros(50)
                assert torch.equal(after[:, row, column], expected)
    assert images()[0].shape[1] == 64
