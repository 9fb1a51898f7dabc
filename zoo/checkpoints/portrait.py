"""The portrait of a checkpoint: how it was trained, and how its states move, in one small picture.

At the left the validation of every member over its training, where there was any. At the right the hidden
states of a few trials of a few members, in their first principal components, turned onto those of the first
member where the trials are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zoo.checkpoints.portrait_figure import Line, Shade, View, draw
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.checkpoints.folder import CheckpointFolder
    from zoo.network import Network

TRIALS, STEPS = 8, 1000
"""Trials that are run, and steps of each at most."""
LENGTH, FEWEST = 45.0, 2
"""How long the lines of a panel are at most, in widths of what they fill: there are fewer trials, down to so
many, and then fewer steps, where they would be longer."""
BESIDE, ALONE = 3, 5
"""Members that are drawn beside a training curve, and without one."""
METRICS = 2
"""Metrics whose training is drawn: the loss, and another."""
GROUPS = 4
"""Up to so many places on a grid have a colour each in the training curve."""
DISTINCT = 8
"""A latent with up to so many values has a colour for each."""
NEGLIGIBLE = 0.05
"""A third component with less of the variance than this is not drawn."""


def portrait(record: Record, experiment: ExperimentSpec, network: Callable[[int], Network]) -> bytes | None:
    """The picture as a PNG file, the same bytes for the same checkpoint; none where no state is finite.

    ``network`` gives a member by its number. Raises :class:`MissingDependencyError` without matplotlib.
    """
    from zoo.extras import need

    need("matplotlib", "viz", "Drawing a portrait")
    names = [_name(record, experiment, index) for index in range(record.members or 1)]
    lines = _training(record, names)
    runs = {
        names[index]: _run(network(index), experiment)
        for index in _shown(record, experiment, BESIDE if lines else ALONE)
    }
    runs = {name: run for name, run in runs.items() if np.isfinite(run.states).all()}
    if not runs:
        return None
    views, shade = _views(runs), _shade(next(iter(runs.values())))
    return draw(lines, *_legible(views, shade))


def portrait_of(folder: CheckpointFolder) -> bytes | None:
    """The same, of a checkpoint that has been written. Raises :class:`CheckpointError` too."""
    from zoo.checkpoints.network import load_network

    record = folder.record
    return portrait(record, folder.experiment, lambda index: load_network(folder, index))


# Which members, and what they are called ----------------------------------------------------------


def _shown(record: Record, experiment: ExperimentSpec, most: int) -> list[int]:
    """Numbers of the members that are drawn: evenly over the combinations, or else the first."""
    count, population = record.members or 1, experiment.population
    combinations = range(0, count, population.members if population is not None else 1)
    if population is None or len(combinations) < 2:
        return list(range(min(count, most)))
    places = np.linspace(0, len(combinations) - 1, min(most, len(combinations))).round()
    return [combinations[int(place)] for place in places]


def _name(record: Record, experiment: ExperimentSpec, index: int) -> str:
    """What a member is called: what varies, where that is one word or number, or else its own number."""
    if record.members is None:
        return ""
    population = experiment.population
    if population is None or len(population.paths) != 1:
        return f"member {index}"
    (path,) = population.paths
    value = population.variation(index, 0)[path]
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return f"{path.rpartition('.')[2]} {value:g}"
    return f"member {index}"


def _training(record: Record, names: list[str]) -> list[Line]:
    """The validation of each member, where there is more than one; grouped by name, where names are few."""
    curves = [curve for curve in record.curve if len(curve.steps) > 1]
    if not curves or len(curves) != len(names):
        return []
    few = len(set(names)) <= min(GROUPS, len(names) - 1)
    metrics = [metric for metric in curves[0].values if all(metric in curve.values for curve in curves)]
    return [
        Line(
            name if few else "",
            metric,
            np.array(curve.steps, float),
            np.array([np.nan if value is None else value for value in curve.values[metric]]),
        )
        for metric in metrics[:METRICS]
        for name, curve in zip(names, curves, strict=True)
        if len(curve.values[metric]) == len(curve.steps)
    ]


# What they do -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What a member did on a few trials."""

    states: np.ndarray
    """``[trial, time, unit]``."""
    target: np.ndarray | None
    """``[trial, time]``: the first, if there is one."""
    latents: Mapping[str, np.ndarray]
    """``[trial, time]`` each."""


def _run(network: Network, experiment: ExperimentSpec) -> Run:
    """Trials of the test split, or, of what was never trained, the beginning of its longest ones."""
    import torch

    from zoo.models.trajectories import Trajectories

    split, site = "test", network.model.exposed
    if not experiment.learner.learns:
        split = max(experiment.task.split_names(), key=lambda name: _steps(experiment, name))
    batch = network.batch(split, 0, 0, TRIALS)
    with torch.no_grad(), network.model.capture([site]) as seen:
        network(batch.x[:, :STEPS])
    found = Trajectories(seen[site], inputs=batch.x[:, :STEPS], targets=batch.y, latents=batch.latents)
    found = network.model.complete(found)
    shortest = STEPS if found.lengths is None else int(found.lengths.min())
    states = _array(found.states)[:, :shortest]
    latents = {
        name: np.broadcast_to(_array(value).reshape(len(value), -1)[:, : states.shape[1]], states.shape[:2])
        for name, value in found.latents.items()
        if value.shape[1:] in ((), batch.x.shape[1:2])
    }
    target = None if found.targets is None else _array(found.targets)[:, : states.shape[1], 0]
    return Run(states, target, latents)


def _steps(experiment: ExperimentSpec, split: str) -> int:
    return int(getattr(experiment.task.for_split(split), "steps", 0))


def _array(values: Tensor) -> np.ndarray:
    values = values.double() if values.is_floating_point() else values  # numpy has no bfloat16
    array: np.ndarray = values.detach().cpu().numpy()
    return array


def _views(runs: Mapping[str, Run]) -> list[View]:
    """Principal components of each; where trials are alike, turned onto those of the first."""
    found: list[View] = []
    for name, run in runs.items():
        points, shares = _components(run.states.reshape(-1, run.states.shape[-1]))
        if found and found[0].points.size == points.size:
            left, _, right = np.linalg.svd(points.T @ found[0].points.reshape(-1, 3))
            points = points @ left @ right
        found.append(View(name, points.reshape(*run.states.shape[:2], 3), shares))
    keep = 3 if max(view.shares[2] for view in found) > NEGLIGIBLE else 2
    return [View(view.title, view.points[..., :keep], view.shares[:keep]) for view in found]


def _components(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first three principal components of ``[sample, unit]`` in units of the largest deviation, each with
    its farthest point positive, and their shares of the variance; zeros where there are fewer."""
    centred = states - states.mean(0)
    centred = centred / max(float(np.abs(centred).max()), 1e-300)
    _, scales, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:3].T
    farthest = np.take_along_axis(points, np.abs(points).argmax(0)[None], 0)
    points = np.where(farthest < 0, -points, points)
    shares = scales[:3] ** 2 / max(float((scales**2).sum()), 1e-300)
    missing = 3 - points.shape[1]
    return np.pad(points, ((0, 0), (0, missing))), np.pad(shares, (0, missing))


def _shade(run: Run) -> Shade:
    """Colours by a latent with few values, else by one on a scale, else by the target, else by time."""
    shape = run.states.shape[:2]
    several = {name: values for name, values in run.latents.items() if 0 < np.ptp(values) < np.inf}
    for name, values in several.items():
        if values.dtype.kind != "f" and len(np.unique(values)) <= DISTINCT:
            return Shade(name, values, True)
    for name, values in several.items():
        if values.dtype.kind == "f":
            return Shade(name, values, False)
    if run.target is not None and 0 < np.ptp(run.target) < np.inf:
        return Shade("target", run.target, False)
    return Shade("time", np.broadcast_to(np.arange(shape[1], dtype=float), shape), False)


def _legible(views: list[View], shade: Shade) -> tuple[list[View], Shade]:
    """As many trials and steps as can be told apart; of each condition, one trial at least."""
    if shade.jumps:
        return views, shade
    order, fewest = np.arange(len(shade.values)), FEWEST
    if shade.distinct:
        _, first = np.unique(shade.values[:, 0], return_index=True)
        order, fewest = np.concatenate([first, np.delete(order, first)]), max(FEWEST, len(first))
    points = views[0].points[order]
    width = max(float(np.ptp(points, axis=(0, 1)).max()), 1e-300)
    lengths = np.linalg.norm(np.diff(points, axis=1), axis=-1) / width
    trials = max(fewest, int(np.searchsorted(lengths.sum(1).cumsum(), LENGTH)))
    steps = max(2, 1 + int(np.searchsorted(lengths[:trials].sum(0).cumsum(), LENGTH)))
    kept = order[:trials]
    cut = [replace(view, points=view.points[kept, :steps]) for view in views]
    return cut, replace(shade, values=shade.values[kept, :steps])
