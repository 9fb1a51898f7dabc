"""Scores that several tasks share, one number an example."""

from __future__ import annotations

from torch import Tensor

from zoo.tasks.base import Batch


def mean_over_time(values: Tensor, batch: Batch) -> Tensor:
    """Mean of ``[example, time]`` over the steps that count, ``[example]``."""
    return (values * batch.mask).sum(1) / batch.mask.sum(1)


def r2(y: Tensor, batch: Batch) -> Tensor:
    """Share of the variance of the target over the steps that count that is explained, ``[example]``."""
    mean = ((batch.y * batch.mask[..., None]).sum(1) / batch.mask.sum(1)[:, None])[:, None]
    error = mean_over_time((y - batch.y).square().sum(-1), batch)
    return 1 - error / mean_over_time((batch.y - mean).square().sum(-1), batch)


def accuracies(y: Tensor, batch: Batch) -> dict[str, Tensor]:
    """How often the largest output is the right one: ``accuracy`` at the steps that count,
    ``final_accuracy`` at the last step of the sequence."""
    right = (y.argmax(-1) == batch.y.argmax(-1)).to(y.dtype)
    return {"accuracy": mean_over_time(right, batch), "final_accuracy": right[:, -1]}
