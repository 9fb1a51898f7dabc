"""What every registered task owes: batches that depend on (spec, split, seed, step) alone."""

from __future__ import annotations

import pytest
import torch
from examples import APART, TASKS, experiment

from zoo import registry
from zoo.errors import SpecError
from zoo.network import build
from zoo.tasks.base import Batch, Task
from zoo.tasks.several import batches


def test_every_kind_has_an_example() -> None:
    assert {example["kind"] for example in TASKS.values()} | APART == set(registry.BUILTIN["tasks"])


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return build(experiment(task=request.param)).task


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("x", "y", "mask", "example_id"))


def perfect(task: Task, batch: Batch) -> torch.Tensor:
    """The best output there is."""
    return task.oracle(batch) if task.uncertain else batch.y


def test_batches_are_determined_by_their_arguments(task: Task) -> None:
    first = task.batch("train", 0, 0, 8)
    torch.manual_seed(1)
    torch.rand(3)
    assert same(first, task.batch("train", 0, 0, 8))
    for other in (("train", 1, 0), ("train", 0, 1), ("validation", 0, 0)):
        assert not torch.equal(first.x, task.batch(*other, 8).x) or not torch.equal(
            first.y, task.batch(*other, 8).y
        )


def test_batches_of_several_seeds_are_those_of_each(task: Task) -> None:
    seeds = [3, 0, 11]
    drawn = batches([task] * len(seeds), "train", seeds, 4, 6)
    for index, seed in enumerate(seeds):
        alone = task.batch("train", seed, 4, 6)
        assert torch.equal(drawn.example_id[index], alone.example_id)
        for name in ("x", "y", "mask"):
            torch.testing.assert_close(
                getattr(drawn, name)[index], getattr(alone, name), rtol=1e-6, atol=1e-6
            )


def test_shapes(task: Task) -> None:
    for split in task.spec.split_names():
        batch = task.batch(split, 0, 3, 5)
        time = batch.x.shape[1]
        assert batch.x.shape == (5, time, task.spec.inputs)
        assert batch.y.shape == (5, time, task.spec.outputs)
        assert batch.mask.shape == (5, time)
        assert batch.example_id.tolist() == list(range(15, 20))
        assert all(value.shape[0] == 5 for value in batch.latents.values())


def test_the_oracle_solves_it(task: Task) -> None:
    batch = task.batch("test", 0, 0, 64 if task.uncertain else 16)
    if task.uncertain:
        best, blind = (task.losses(y, batch).mean() for y in (task.oracle(batch), torch.zeros_like(batch.y)))
        assert 0 < best < blind
    elif type(task).oracle is not Task.oracle:
        torch.testing.assert_close(task.oracle(batch), batch.y)
    found = task.metrics(perfect(task, batch), batch)
    scores = {name: value for name, value in found.items() if name not in task.errors}
    assert all(torch.allclose(value, torch.ones_like(value)) for value in scores.values())


def test_metrics_tell_a_bad_output(task: Task) -> None:
    batch = task.batch("test", 0, 0, 16)
    best = perfect(task, batch)
    good, bad = task.metrics(best, batch), task.metrics(-best, batch)
    assert task.errors <= good.keys()
    for name, value in bad.items():
        if name in task.errors:
            assert good[name].mean() < 0.1 * value.mean()
        else:
            assert (value < 0.9).all()


def test_an_unknown_split_is_refused(task: Task) -> None:
    with pytest.raises(SpecError, match=r"no split 'tests'\. Did you mean 'test'"):
        task.batch("tests", 0, 0, 1)


def test_rows_of_a_batch(task: Task) -> None:
    batch = task.batch("train", 0, 0, 6)
    assert torch.equal(batch[1::2].x, batch.x[1::2])
    assert batch[1::2].example_id.tolist() == [1, 3, 5]
