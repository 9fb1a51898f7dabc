"""A picture of example trials of a task: what goes in, and what is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.figures import save as save_figure
from zoo.extras import need
from zoo.specs.families import TaskSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.tasks.base import Batch, Task

LINES = 6
"""Up to so many channels are lines, where they are not symbols; more are an image, a row each."""
WIDTH, HEIGHT = 2.6, 1.25
"""Of a panel, in inches."""


def trials_figure(task: Task, split: str = "test", seed: int = 0, trials: int = 3, title: str = "") -> Figure:
    """Inputs above and targets below, a column a trial; grey where the target does not count, and faint lines
    where a period begins, if the task has periods.

    Raises :class:`SpecError` for a split that the task does not have.
    """
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    batch = task.batch(split, seed, 0, trials)
    size = (WIDTH * max(len(batch.x), 2) + 0.4, 2 * HEIGHT + 0.6)
    figure: Figure = figures.Figure(figsize=size, layout="constrained")
    axes = figure.subplots(2, len(batch.x), sharex=True, squeeze=False)
    for number in range(len(batch.x)):
        _draw(axes[:, number], task.spec, batch, number)
    for panel, name in zip(axes[:, 0], ("input", "target"), strict=True):
        panel.set_ylabel(name, color=INK, fontsize=8)
    if title:
        figure.suptitle(title, color=INK, fontsize=9)
    return figure


def draw_trial(axes: Iterable[Axes], task: Task, split: str, seed: int) -> None:
    """One trial into two panels, inputs and targets."""
    _draw(axes, task.spec, task.batch(split, seed, 0, 1), 0)


def save(
    task: Task, path: Path, split: str = "test", seed: int = 0, trials: int = 3, title: str = ""
) -> Path:
    """Write the picture: .png, .svg or .pdf. Raises :class:`AnalysisError` for other suffixes."""
    return save_figure(lambda: trials_figure(task, split, seed, trials, title), path)


def describe(spec: TaskSpec) -> dict[str, Any]:
    """What a task gives a network: widths, length, loss, splits, names of its metrics and latents."""
    from zoo import registry

    task: Task = registry.implementation("tasks", spec.kind)(spec)
    batch = task.batch("test", 0, 0, 2)
    return {
        "inputs": spec.inputs,
        "outputs": spec.outputs,
        "steps": batch.x.shape[1],
        "loss": spec.loss,
        "splits": list(spec.split_names()),
        "metrics": list(task.metrics(batch.y, batch)),
        "latents": {name: list(value.shape[1:]) for name, value in batch.latents.items()},
    }


def _draw(axes: Iterable[Axes], spec: TaskSpec, batch: Batch, number: int) -> None:
    """A trial of a batch into two panels, over seconds where a step has a duration."""
    dt = getattr(spec, "dt", None)
    step = dt if isinstance(dt, float) else 1.0
    lines = LINES if spec.loss == "mse" else 1
    above, below = axes
    for panel, values in ((above, batch.x), (below, batch.y)):
        _panel(panel, values[number].double().numpy(), step, lines)
        if "epoch" in batch.latents:
            for begins in np.flatnonzero(np.diff(batch.latents["epoch"][number].numpy())):
                panel.axvline((begins + 0.5) * step, color=FAINT, linewidth=0.5)
    _ignored(below, batch.mask[number].numpy(), step)
    below.set_xlabel("step" if step == 1 else "time", color=INK, fontsize=8)


def _panel(panel: Axes, values: np.ndarray, step: float, lines: int) -> None:
    """Channels ``[time, channel]`` as lines or as an image."""
    steps, channels = values.shape
    time = np.arange(steps) * step
    panel.tick_params(labelsize=7, colors=INK, length=2)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    if channels > lines:
        extent = (-0.5 * step, (steps - 0.5) * step, channels - 0.5, -0.5)
        panel.imshow(values.T, aspect="auto", cmap="Greys", interpolation="nearest", extent=extent)
        return
    for channel, colour in zip(range(channels), COLOURS, strict=False):
        marker = "." if steps <= 25 else ""
        panel.plot(time, values[:, channel], color=colour, linewidth=1, marker=marker, markersize=3)


def _ignored(panel: Axes, mask: np.ndarray, step: float) -> None:
    """Grey where the mask is 0."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask == 0, [0]]).astype(int)))
    for start, end in edges.reshape(-1, 2):
        panel.axvspan((start - 0.5) * step, (end - 0.5) * step, color=FAINT, alpha=0.25, linewidth=0)
