"""Loops that a network's resting points lie on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.analysis.dynamics.fixed_points import FixedPoints
from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.homology import landmarks, loops
from zoo.analysis.measure import Found
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.landscape import LoopsSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

FEWEST, SHOWN = 8, 12
"""Points below which there is no loop to speak of, and loops that are drawn."""


class Loops(FixedPoints):
    """What :class:`FixedPoints` finds, and of the points that are kept: ``points``, their number; ``loops``
    that last, ``first``, ``second`` and ``third``: the ratio of death to birth of the three that last longest
    (1 where there is none); ``neutral``, the median number of directions along which the state stays where it
    is put, the dimension of a continuous attractor; and ``drift``, the median speed. Further arrays: ``bars``
    ``[loop, 2]``, birth and death, ``landmarks``, rows of ``points``, and ``kept``."""

    spec: LoopsSpec

    @property
    def enough(self) -> float:
        """A search ends where it is slow: else it would go on, along the attractor, to its ends."""
        return max(self.spec.slow, self.spec.tolerance)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        found, spec = super().find(run, network), self.spec
        points, sizes = (np.asarray(found.arrays[name]) for name in ("points", "eigenvalues"))
        sizes = np.abs(sizes)
        kept = (sizes < 1 + spec.neutral).all(1) if spec.attracting else np.ones(len(points), dtype=bool)
        if kept.sum() < FEWEST:
            raise AnalysisError(
                f"{kept.sum()} resting points of {calling(run.name)} are too few to see loops; {FEWEST} are "
                "needed. Raise 'slow' or 'starts', or lower 'apart'."
            )
        rows = np.flatnonzero(kept)[landmarks(points[kept], spec.landmarks)]
        bars = loops(points[rows])
        ratios = np.sort(bars[:, 1] / bars[:, 0])[::-1]
        longest = np.concatenate([ratios, np.ones(3)])[:3]
        numbers = {
            **found.numbers,
            "points": float(kept.sum()),
            "loops": float((ratios >= spec.lasting).sum()),
            "first": float(longest[0]),
            "second": float(longest[1]),
            "third": float(longest[2]),
            "neutral": float(np.median((np.abs(sizes[kept] - 1) < spec.neutral).sum(1))),
            "drift": float(torch.as_tensor(found.arrays["speeds"])[torch.as_tensor(kept)].median()),
        }
        return Found(numbers, {**found.arrays, "bars": bars, "landmarks": rows, "kept": kept})

    def figure(self, finding: Finding) -> Figure:
        """The landmarks in the principal plane of the trajectories, and how long each loop lasts."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(8.6, 4.0), layout="constrained")
        plane, bars = figure.subplots(1, 2)
        where = (finding["points"] - finding["centre"]) @ finding["plane"].T
        plane.scatter(where[:, 0], where[:, 1], s=6, color=FAINT, linewidths=0)
        chosen = where[finding["landmarks"]]
        plane.scatter(chosen[:, 0], chosen[:, 1], s=22, color=COLOURS[0], linewidths=0)
        plane.set(xlabel="first principal component", ylabel="second", aspect="equal")
        plane.set_title(f"{finding.name}: points where it rests", color=INK, fontsize=10)
        for rank, (birth, death) in enumerate(finding["bars"][:SHOWN]):
            lasts = death >= self.spec.lasting * birth
            bars.plot([birth, death], [rank, rank], color=COLOURS[0] if lasts else FAINT, linewidth=4)
        bars.invert_yaxis()
        bars.set(xlabel="distance", yticks=[])
        bars.set_title(f"{finding.numbers['loops']:.0f} loops that last", color=INK, fontsize=10)
        for axes in (plane, bars):
            axes.spines[["top", "right"]].set_visible(False)
        return figure
