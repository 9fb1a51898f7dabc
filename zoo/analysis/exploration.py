"""How agents explored, and what their memory of it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Calculation, Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.hub.load import load
from zoo.learners.exploration import MEASURED
from zoo.models.maps import MapMemory
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.exploration import ExplorationRatioSpec, ExplorationSpec
from zoo.specs.learners.exploration import ExplorerSpec
from zoo.specs.tasks.exploration import UNSEEN
from zoo.tasks.exploration import GridExploration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.network import Network

SOLID = "#D9D9D9"
"""Walls that were never seen."""


class Exploration(Measurement[ExplorationSpec]):
    """Numbers, as means over worlds: ``coverage`` in the last moves and ``auc`` over all of them; share of
    worlds ``covered``; ``active`` and ``total`` memory over all moves, and ``economy``, ``auc`` for each unit
    of ``active``; ``maps``, ``recalls`` and ``walks`` to doors.

    Arrays: ``coverage``, ``active`` and ``total`` ``[step, world]``. Of the drawn world: its ``walls``
    ``[row, column]``; ``first``, the number of the first map that holds each cell (-1: none does); ``doors``
    ``[door, 4]``: older map, newer map, row, column.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One that explored, and holds maps."""
        walked(network)
        if not isinstance(network.model, MapMemory) or not isinstance(network.task, GridExploration):
            raise AnalysisError(f"{name} holds no maps; ask an agent that explored.")

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model, task = network.model, network.task
        assert isinstance(model, MapMemory)
        assert isinstance(task, GridExploration)
        kept = walked(network)
        if self.spec.world >= task.spec.worlds:
            raise AnalysisError(
                f"{calling(run.name)} explored {task.spec.worlds} worlds, from 0 on; there is no world "
                f"{self.spec.world}."
            )
        by_name = dict(zip(MEASURED, kept.unbind(-1), strict=True))
        coverage, active, total = (by_name[name] for name in ("coverage", "active", "total"))
        walls = task.worlds()[self.spec.world]
        first = np.full(walls.shape, -1)
        parts = model.fragments(self.spec.world)
        for number, part in reversed(list(enumerate(parts))):
            rows, columns = np.nonzero(part.codes != UNSEEN)
            first[rows + part.top, columns + part.left] = number
        doors = [[door.older, door.newer, door.row, door.column] for door in model.graph(self.spec.world)]
        numbers: dict[str, float | Tensor] = {
            "coverage": coverage[-1].mean(),
            "covered": (coverage[-1] >= self.spec.covered).double().mean(),
            "auc": coverage.mean(),
            "active": active.mean(),
            "total": total.mean(),
            "economy": (coverage.mean(0) / active.mean(0)).mean(),
            **{name: by_name[name][-1].mean() for name in ("maps", "recalls", "walks")},
        }
        arrays = {"coverage": coverage, "active": active, "total": total}
        world = {"walls": walls, "first": first, "doors": np.array(doors, dtype=int).reshape(-1, 4)}
        return Found(numbers, {**arrays, **world})

    def figure(self, finding: Finding) -> Figure:
        """The maps and doors of a world, and coverage and memory over the moves, as means over worlds."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(8.4, 3.6), layout="constrained")
        shown, curves = figure.subplots(1, 2)
        draw_maps(shown, finding["walls"], finding["first"], finding["doors"])
        shown.set_title(f"{finding.name}, world {self.spec.world}", color=INK, fontsize=9)
        for name, colour in zip(("coverage", "active", "total"), COLOURS, strict=False):
            mean = finding[name].mean(1)
            label = name if name == "coverage" else f"{name} memory"
            curves.plot(np.arange(1, len(mean) + 1), mean, color=colour, linewidth=1.2, label=label)
        curves.set(xlabel="steps of training", ylabel="share of the world", ylim=(0, None))
        curves.legend(frameon=False, fontsize=8)
        curves.spines[["top", "right"]].set_visible(False)
        return figure


def draw_maps(axes: Axes, walls: np.ndarray, first: np.ndarray, doors: np.ndarray) -> None:
    """Each map in its colour over the walls of the world, and the graph: a circle at the middle of each map,
    joined through the doors."""
    colors: Any = need("matplotlib.colors", "viz", "Drawing a figure")
    image = np.ones((*walls.shape, 3))
    for number in range(first.max() + 1):
        image[first == number] = 0.55 * np.array(colors.to_rgb(COLOURS[number % len(COLOURS)])) + 0.45
    image[walls] *= 0.45
    image[walls & (first < 0)] = colors.to_rgb(SOLID)
    axes.imshow(image, interpolation="nearest")
    middle = {}
    for number in np.unique(first[first >= 0]).tolist():
        rows, columns = np.nonzero((first == number) & ~walls)
        if len(rows):
            middle[number] = (rows.mean(), columns.mean())
    for older, newer, row, column in doors.tolist():
        for end in (older, newer):
            if end in middle:
                axes.plot([middle[end][1], column], [middle[end][0], row], color=INK, linewidth=0.9)
        axes.plot([column], [row], marker="s", markersize=3, color=INK)
    for number, (row, column) in middle.items():
        axes.plot([column], [row], "o", markersize=9, color="white", markeredgecolor=INK, markeredgewidth=0.8)
        axes.text(column, row, str(number), ha="center", va="center", fontsize=6, color=INK)
    axes.set(xticks=[], yticks=[])


class ExplorationRatio(Calculation[ExplorationRatioSpec]):
    """Numbers, each the median over worlds of a ratio: of the ``active`` and the ``total`` memory, and of the
    ``auc`` of coverage.

    Arrays: the ratios ``[world]``.
    """

    def find(self) -> Found:
        one, other = (load(f"{name}/{self.spec.seed}") for name in (self.spec.explorer, self.spec.against))
        if one.experiment.task.digest() != other.experiment.task.digest():
            raise AnalysisError(
                f"{self.spec.explorer} and {self.spec.against} explored other worlds. Name two that explored "
                "the same."
            )
        kept, beside = (walked(network) for network in (one, other))
        if len(kept) != len(beside):
            raise AnalysisError(
                f"{self.spec.explorer} and {self.spec.against} have {len(kept)} and {len(beside)} steps. "
                "Name two that explored equally long."
            )
        ratios = kept.mean(0) / beside.mean(0)
        found = {
            name: ratios[:, MEASURED.index(part)]
            for name, part in {"active": "active", "total": "total", "auc": "coverage"}.items()
        }
        return Found({name: float(np.median(value)) for name, value in found.items()}, found)


def walked(network: Network) -> Tensor:
    """What the learner of an agent kept, ``[step, world, measured]`` in double precision.

    Raises :class:`AnalysisError` where there is nothing of the kind.
    """
    kept = dict(network.owned()) if network.owned is not None else {}
    explored = isinstance(network.experiment.learner, ExplorerSpec)
    if not explored or "walked" not in kept or network.batches_seen == 0:
        raise AnalysisError(
            f"{calling(network.name)} has explored nothing. Ask an agent that was trained by 'farmap' or "
            "'frontier-explorer'."
        )
    return kept["walked"][: network.batches_seen].to(torch.float64)
