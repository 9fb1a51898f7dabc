"""Examples of a task as points, for what asks the task and no network."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import registry
from zoo.errors import AnalysisError
from zoo.specs.families import TaskSpec
from zoo.tasks.base import Task

ROUNDS = 64
"""Batches that are drawn at most in search of examples that differ."""


def points(spec: TaskSpec, split: str, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Up to ``count`` examples of a batch, each once: inputs ``[example, feature]`` and targets at the last
    step that counts ``[example, output]``, float64.

    Raises :class:`SpecError` for a split that the task does not have.
    """
    task: Task = registry.implementation("tasks", spec.kind)(spec)
    return _once(*_batch(task, split, seed, 0, count))


def different(spec: TaskSpec, split: str, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Exactly ``count`` examples that differ. Raises :class:`AnalysisError` where there are fewer."""
    task: Task = registry.implementation("tasks", spec.kind)(spec)
    x, y = _once(*_batch(task, split, seed, 0, count))
    for step in range(1, ROUNDS):
        if len(x) >= count:
            break
        more = _batch(task, split, seed, step, count)
        x, y = _once(torch.cat([x, more[0]]), torch.cat([y, more[1]]))
    if len(x) < count:
        raise AnalysisError(
            f"the split {split!r} of the task {spec.kind!r} has {len(x)} different examples or little more, "
            f"and {count} are asked for. Ask for fewer."
        )
    return x[:count], y[:count]


def _batch(task: Task, split: str, seed: int, step: int, count: int) -> tuple[Tensor, Tensor]:
    batch = task.batch(split, seed, step, count)
    steps = torch.arange(batch.mask.shape[1])
    last = torch.where(batch.mask > 0, steps, 0).argmax(1)
    return batch.x.double().flatten(1), batch.y[torch.arange(len(batch.y)), last].double()


def _once(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Without repeats of the same inputs, in the order in which they come first."""
    _, which = torch.unique(x, dim=0, return_inverse=True)
    first = torch.full((int(which.max()) + 1,), len(x)).scatter_reduce(0, which, torch.arange(len(x)), "amin")
    kept = first.sort().values
    return x[kept], y[kept]
