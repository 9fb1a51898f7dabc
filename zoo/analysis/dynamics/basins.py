"""Basins of attraction in a plane: where the states of a grid come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.dynamics.fixed_points import constant_input, whole_states
from zoo.analysis.dynamics.resting import Resting, Search, distinct, resting_points
from zoo.analysis.figures import COLOURS, GRID, INK
from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import double
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.dynamics import Dynamics
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.landscape import BasinsSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

PATHS = 32
"""Trials that are drawn."""
EVERY = 10
"""Steps between looks at which states have come to rest."""
POLISH = 50
"""Gauss–Newton steps from where states have come to rest."""


class Basins(Measurement[BasinsSpec]):
    """All states of the grid at once; those at rest are stepped no further.

    Numbers: ``attractors`` that were reached, the share of the grid that is ``settled``, the share of the
    ``largest`` basin, the ``effective`` number of basins (the exponential of the entropy of their shares),
    and ``boundary``, the share of the grid with a neighbour in another basin.

    Arrays: ``basins`` ``[side, side]``, for each initial state the attractor that it reaches, -1 for those
    that do not come to rest; the first axis is the second component; ``steps`` that this takes ``[side,
    side]``; ``points`` ``[attractor, unit]`` in the order of their ``shares``; ``axis`` ``[side]``, places
    along either component; ``plane`` ``[2, unit]``, ``centre`` ``[unit]``, ``input``, and ``paths``
    ``[trial, time, 2]``.
    """

    requires = frozenset({"step"})

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, name = self.spec, calling(run.name)
        run, model = whole_states(network, spec), double(network)
        states = run.states.double()
        u = constant_input(spec.input, run, model, name)
        visited = states.flatten(0, 1)
        centre = visited.mean(0)
        if max(spec.components) >= min(visited.shape):
            raise AnalysisError(
                f"{name} has {min(visited.shape)} principal components, counted from 0; choose 'components' "
                "among them."
            )
        plane = torch.linalg.svd(visited - centre, full_matrices=False).Vh[list(spec.components)]
        seen = (visited - centre) @ plane.T
        axis = spec.extent * seen.norm(dim=1).max() * torch.linspace(-1, 1, spec.side).to(centre)
        second, first = torch.meshgrid(axis, axis, indexing="ij")
        grid = centre + torch.stack([first.flatten(), second.flatten()], 1) @ plane
        ends, steps = _settle(model, grid, u, spec.steps, spec.tolerance)
        radius = float((visited - centre).norm(dim=1).max())
        basins, points = _attractors(model, ends, steps >= 0, u, spec.tolerance, spec.apart * radius)
        shares = torch.bincount(basins[basins >= 0], minlength=len(points)).double() / len(basins)
        order = shares.argsort(descending=True, stable=True)
        if len(order):
            basins = torch.where(basins >= 0, order.argsort()[basins], basins)
        basins = basins.view(spec.side, spec.side)
        shares = shares[order]
        numbers: dict[str, float | Tensor] = {
            "attractors": float(len(points)),
            "settled": shares.sum(),
            "largest": shares[0] if len(shares) else 0.0,
            "effective": torch.exp(torch.special.entr(shares / shares.sum()).sum()) if len(shares) else 0.0,
            "boundary": _boundary(basins),
        }
        arrays = {
            "basins": basins,
            "steps": steps.view(spec.side, spec.side),
            "points": points[order],
            "shares": shares,
            "axis": axis,
            "plane": plane,
            "centre": centre,
            "input": u,
            "paths": seen.view(*states.shape[:2], 2)[:PATHS].float(),
        }
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The map, a colour a basin, with attractors and trajectories as they look in the plane."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        colors = need("matplotlib.colors", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(5.6, 4.8), layout="constrained")
        axes = figure.subplots()
        basins, axis = finding["basins"], finding["axis"]
        # Basins beyond the colours begin with the first again; where states do not rest, it stays white.
        shown = [colors.to_rgba("white"), *(colors.to_rgba(each, 0.45) for each in COLOURS)]
        picture = colors.ListedColormap(shown)
        cells = [[0 if each < 0 else each % len(COLOURS) + 1 for each in row] for row in basins.tolist()]
        axes.pcolormesh(axis, axis, cells, cmap=picture, vmin=0, vmax=len(shown) - 1, rasterized=True)
        for path in finding["paths"]:
            axes.plot(path[:, 0], path[:, 1], color=INK, linewidth=0.4, alpha=0.5)
        where = (finding["points"] - finding["centre"]) @ finding["plane"].T
        for number, (x, y) in enumerate(where):
            axes.plot(x, y, "o", color=COLOURS[number % len(COLOURS)], markeredgecolor="white", markersize=8)
        axes.set(xlim=(axis[0], axis[-1]), ylim=(axis[0], axis[-1]), facecolor=GRID, aspect="equal")
        first, second = (each + 1 for each in self.spec.components)
        axes.set(xlabel=f"principal component {first}", ylabel=f"principal component {second}")
        axes.set_title(
            f"{finding.name}: {finding.numbers['attractors']:.0f} basins in a plane", color=INK, fontsize=10
        )
        return figure


def _settle(model: Dynamics, h: Tensor, u: Tensor, steps: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Where states ``[state, unit]`` end, and after how many steps each rests, -1 for those that do not."""
    ends, took = h.clone(), torch.full((len(h),), -1, device=h.device)
    moving = torch.arange(len(h), device=h.device)
    for step in range(0, steps, EVERY):
        now = ends[moving]
        for _ in range(min(EVERY, steps - step)):
            before, now = now, model.step(now, u.expand(len(now), -1))
        ends[moving] = now
        rests = (now - before).norm(dim=1) <= tolerance
        took[moving[rests]] = min(step + EVERY, steps)
        moving = moving[~rests & now.isfinite().all(1)]
        if not len(moving):
            break
    return ends, took


def _attractors(
    model: Dynamics, ends: Tensor, rests: Tensor, u: Tensor, tolerance: float, apart: float
) -> tuple[Tensor, Tensor]:
    """The attractor of each state ``[state]``, -1 for those that do not rest, and the attractors
    ``[attractor, unit]``."""
    basins = torch.full((len(ends),), -1, device=ends.device)
    resting = ends[rests]
    if not len(resting):
        return basins, resting
    some = distinct(Resting(resting, torch.zeros_like(resting[:, 0])), apart)
    exact = resting_points(model, some.points, u, Search(tolerance / 1e4, POLISH))
    # Polishing must not lead away from where the states came to rest, as it might at a slow saddle.
    near = (exact.points - some.points).norm(dim=1) <= apart
    points = torch.where(near[:, None], exact.points, some.points)
    points = distinct(Resting(points, exact.speeds), apart).points
    basins[rests] = torch.cdist(resting, points).argmin(1)
    return basins, points


def _boundary(basins: Tensor) -> float:
    """Share of the grid with another basin above, below, left or right of it."""
    edge = torch.zeros_like(basins, dtype=torch.bool)
    across, along = basins[:, 1:] != basins[:, :-1], basins[1:] != basins[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= along
    edge[:-1] |= along
    return float(edge.double().mean())
