"""Sums modulo p, of which some are held out."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from zoo.specs.tasks.arithmetic import ModularAdditionSpec
from zoo.tasks.arithmetic import ModularAddition


def test_every_pair_is_in_one_part() -> None:
    task = ModularAddition(ModularAdditionSpec(modulus=7, shown=0.6))
    shown, held = task.batch("train", 0, 0, 49), task.batch("test", 0, 0, 49)
    assert len(shown.x) == 29
    pairs = [
        (a, b) for batch in (shown, held) for a, b in batch.x[:, 0].unflatten(1, (2, 7)).argmax(2).tolist()
    ]
    assert sorted(pairs) == [(a, b) for a in range(7) for b in range(7)]
    for batch in (shown, held):
        a, b = batch.latents["first"], batch.latents["second"]
        assert torch.equal(batch.y[:, 0].argmax(1), (a + b) % 7)
        assert batch.x.sum().item() == 2 * len(batch.x)


def test_batches_of_train_are_drawn_without_replacement() -> None:
    task = ModularAddition(ModularAdditionSpec(modulus=7))
    first, second = task.batch("train", 0, 0, 10), task.batch("train", 0, 1, 10)
    assert len(first.x.unique(dim=0)) == 10
    assert not torch.equal(first.x, second.x)
    other = ModularAddition(ModularAdditionSpec(modulus=7, draw=1))
    assert not torch.equal(other.batch("test", 0, 0, 49).x, task.batch("test", 0, 0, 49).x)


def test_no_pair_left() -> None:
    with pytest.raises(ValidationError, match=r"shown: leaves none of 4 pairs"):
        ModularAdditionSpec(modulus=2, shown=0.95)
