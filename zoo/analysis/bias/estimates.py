"""The difficulty of a task's examples, whose intrinsic dimension and margin are estimated."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.analysis.bias.difficulty import classification
from zoo.analysis.bias.examples import points
from zoo.analysis.measure import Calculation, Found
from zoo.errors import AnalysisError
from zoo.specs.analyses.bias import ClassificationSpec, TaskDifficultySpec
from zoo.tasks.base import derive_seed

BLOCK = 2**24
"""Distances that are held at once."""


class TaskDifficulty(Calculation[TaskDifficultySpec]):
    """Numbers: those of ``difficulty``, and ``examples`` that differ, ``dimension``, ``radius``, ``margin``
    and ``classes``, from which they follow."""

    def find(self) -> Found:
        spec = self.spec
        if spec.task.loss != "cross-entropy":
            raise AnalysisError(
                f"task-difficulty is of tasks with classes, and the targets of {spec.task.kind!r} are "
                "numbers. Ask it of one such as 'digits', or give the formula its numbers: difficulty."
            )
        x, y = points(spec.task, spec.split, spec.seed, spec.examples)
        labels = y.argmax(1)
        classes = len(labels.unique())
        if classes < 2:
            raise AnalysisError(f"all {len(x)} examples are of one class; draw more.")
        dimension = spec.dimension or intrinsic_dimension(x, spec.neighbours)
        if dimension <= 1:
            raise AnalysisError(
                f"the dimension of the examples is estimated as {dimension:.2f}; the formula is of spheres "
                "and needs more than 1. Give task-difficulty.dimension."
            )
        margin = least_margin(x, labels)
        if spec.margin == "extreme":
            generator = torch.Generator().manual_seed(derive_seed("pairs", spec.seed))
            margin = min(margin, extreme_margin(x, labels, spec.pairs, spec.tail, generator))
        if not margin > 0:
            raise AnalysisError("examples of different classes are the same point: there is no margin.")
        radius = float(x.norm(dim=1).max())
        problem = ClassificationSpec(
            examples=len(x), dimension=dimension, radius=radius, margin=margin, classes=classes
        )
        own = {"examples": len(x), "dimension": dimension, "radius": radius, "margin": margin}
        return Found({**classification(problem, spec.error), **own, "classes": classes})


def intrinsic_dimension(x: Tensor, neighbours: int) -> float:
    """Levina & Bickel's estimate, with the mean over points before the inverse (MacKay & Ghahramani 2005).

    ``x`` is ``[point, feature]``, of points that differ. Raises :class:`AnalysisError` for too few.
    """
    if len(x) <= neighbours:
        raise AnalysisError(f"{len(x)} examples have no {neighbours} neighbours each; draw more.")
    ratios = []
    for rows in x.split(max(1, BLOCK // len(x))):
        near = torch.cdist(rows, x, compute_mode="donot_use_mm_for_euclid_dist")
        near = near.topk(neighbours + 1, largest=False, sorted=True).values[:, 1:].log()
        ratios.append((near[:, -1:] - near[:, :-1]).mean(1))
    mean = float(torch.cat(ratios).mean())
    if not mean > 0:
        raise AnalysisError("neighbours are all equally far: the examples have no dimension to estimate.")
    return 1 / mean


def least_margin(x: Tensor, labels: Tensor) -> float:
    """The distance of the nearest points of different classes."""
    nearest = []
    for rows, own in zip(*(each.split(max(1, BLOCK // len(x))) for each in (x, labels)), strict=True):
        apart = torch.cdist(rows, x, compute_mode="donot_use_mm_for_euclid_dist")
        nearest.append(apart.masked_fill(own[:, None] == labels, torch.inf).min())
    return float(torch.stack(nearest).min())


def extreme_margin(x: Tensor, labels: Tensor, pairs: int, tail: int, generator: torch.Generator) -> float:
    """The margin of all pairs, from the tail of inverse distances of some (Dekkers et al. 1989)."""
    if tail >= pairs // 2:
        raise AnalysisError(f"a tail of {tail} pairs of {pairs} is no tail; draw more pairs.")
    first, second = torch.randint(len(x), (2, 2 * pairs), generator=generator)
    differ = labels[first] != labels[second]
    first, second = first[differ][:pairs], second[differ][:pairs]
    distances = (x[first] - x[second]).norm(dim=1)
    distances = distances[distances > 0]
    if len(distances) <= tail:
        raise AnalysisError(f"there are {len(distances)} pairs, and {tail} in their tail; draw more pairs.")
    top = (1 / distances).sort().values[-tail - 1 :]
    order, logs = float(top[0]), (top[1:] / top[0]).log()
    one, two = float(logs.mean()), float(logs.square().mean())
    index = one + 1 - 0.5 / (1 - one**2 / two)
    everything = len(x) ** 2 * (1 - float((labels.bincount() / len(x)).square().sum()))
    share = tail / len(distances) * everything
    beyond = (share**index - 1) / index if abs(index) > 1e-9 else torch.tensor(share).log().item()
    return min(1 / (order * (1 + beyond * one)), float(distances.min()))
