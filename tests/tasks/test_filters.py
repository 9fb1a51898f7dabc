"""Linear functions of the past: against a network run step by step, and numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.errors import SpecError
from zoo.specs.problems import validate
from zoo.specs.tasks.filters import DelayedSumSpec, LinearTeacherSpec
from zoo.tasks.filters import DelayedSum, LinearTeacher


def teacher(**fields: Any) -> LinearTeacher:
    return LinearTeacher(LinearTeacherSpec.model_validate({"kind": "linear-teacher", **fields}))


def test_the_teacher_is_the_linear_network_that_the_spec_says() -> None:
    task = teacher(modes=[0.9, -0.5, 0.2], gains=[1.0, 2.0, -0.5], steps=12)
    batch = task.batch("train", 0, 0, 5).to("cpu", torch.float64)
    out, into = task.rotations()
    h, found = torch.zeros(5, 3).double(), []
    for t in range(12):
        h = h * torch.tensor([0.9, -0.5, 0.2], dtype=torch.float64) + batch.x[:, t] @ into
        found.append((h * torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64)) @ out.T)
    torch.testing.assert_close(task.oracle(batch), torch.stack(found, 1))
    torch.testing.assert_close(out.T @ out, torch.eye(3).double())
    assert not torch.allclose(out, into)
    assert batch.mask.sum(1).tolist() == [1.0] * 5
    assert batch.mask[:, -1].all()
    plain = teacher(rotation=None)
    assert torch.equal(plain.rotations()[0], torch.eye(4).double())


@pytest.mark.parametrize("when", ["last", "every"])
def test_what_is_unexplained_of_nothing_is_one_on_average(when: str) -> None:
    task = teacher(when=when)
    batch = task.batch("test", 0, 0, 4000)
    zero = task.metrics(torch.zeros_like(batch.y), batch)["unexplained"]
    assert zero.mean().item() == pytest.approx(1, abs=0.05)
    assert not task.metrics(batch.y, batch)["unexplained"].any()


def sums(before: str) -> Tensor:
    task = DelayedSum(DelayedSumSpec(steps=6, before=before))  # type: ignore[arg-type]
    x = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])[None, :, None]
    return task.oracle(type(task.batch("train", 0, 0, 1))(x, x, x[..., 0], x, {}))[0, :, 0]


def test_sums_are_those_worked_out_by_hand() -> None:
    assert sums("nothing").tolist() == [0.5, 0.5, 1.0, 0.5, 0.5, 0.75]
    # as if the end came before the beginning: x_{-2} = 1, x_{-1} = 0, and x_{-5} … x_{-1} are x_1 … x_5
    assert sums("end").tolist() == [1.0, 0.5, 0.75, 0.25, 0.5, 0.75]


def test_sets_are_fixed_and_differ_by_split() -> None:
    task = DelayedSum(DelayedSumSpec(sequences=7, splits={"test": {"sequences": 3}}))
    train, again, test = (task.batch(*each, 0, 60) for each in (("train", 0), ("train", 5), ("test", 0)))
    assert len({tuple(each.flatten().tolist()) for each in torch.cat([train.x, again.x])}) == 7
    kept = {tuple(each.flatten().tolist()) for each in test.x}
    assert len(kept) == 3
    assert not kept & {tuple(each.flatten().tolist()) for each in train.x}
    assert torch.equal(train.x[train.latents["sequence"] == 2][0], again.x[again.latents["sequence"] == 2][0])
    free = DelayedSum(DelayedSumSpec()).batch("train", 0, 0, 50)
    assert len({tuple(each.flatten().tolist()) for each in free.x}) == 50
    within = task.metrics(train.y + 0.1, train)["within"]
    assert within.eq(1).all()
    assert task.metrics(train.y + 0.2, train)["within"].mean() < 0.5


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (LinearTeacherSpec, {"gains": [1.0]}, "gains: has 1 entries for 4 modes"),
        (LinearTeacherSpec, {"gains": [0.0] * 4}, "gains: are all 0"),
        (LinearTeacherSpec, {"modes": [1.0]}, r"modes\.0: .*less than 1"),
        (DelayedSumSpec, {"weights": [1.0]}, "weights: has 1 entries for 2 delays"),
        (DelayedSumSpec, {"delays": [2, 100]}, "delays: 100 is not within the 100 steps"),
    ],
)
def test_what_cannot_be_is_refused(kind: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        validate(kind, {"kind": kind.model_fields["kind"].default, **fields})
