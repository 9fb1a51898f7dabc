"""A network's trajectories, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zoo.analysis.embedding import classical_scaling
from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.geometry.samples import chosen, latent
from zoo.analysis.measure import Found, Measurement
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.activity import StateSpaceSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

FEW = 8
"""Values of a latent that have a colour each; more have a scale."""


class StateSpace(Measurement[StateSpaceSpec]):
    """Numbers: ``explained``, the share of the variance in the three components, and that of each.

    Arrays: ``paths`` ``[trial, time, 3]``, NaN where a sample is not looked at (``[trial, 1, 3]`` by
    distances); ``colour`` ``[trial]`` or ``[trial, time]``.
    """

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, keep = self.spec, chosen(run, self.spec)
        if spec.method == "mds":
            whole = torch.where(keep[..., None], run.states, 0.0).flatten(1)
            scaled = classical_scaling(torch.cdist(whole, whole).cpu().numpy(), 3)
            paths, inertia = scaled.points[:, None], scaled.eigenvalues.clip(0)
            shares = inertia[:3] / inertia.sum()
        else:
            samples = run.states[keep]
            centre = samples.mean(0)
            _, singular, directions = torch.linalg.svd(samples - centre, full_matrices=False)
            at = (run.states - centre) @ directions[:3].T
            paths = torch.where(keep[..., None], at, torch.nan).cpu().numpy()
            shares = (singular.square() / singular.square().sum())[:3].cpu().numpy()
        if paths.shape[-1] < 3:
            paths = np.concatenate([paths, np.zeros((*paths.shape[:-1], 3 - paths.shape[-1]))], -1)
        numbers = {"explained": float(shares.sum())}
        numbers |= {f"component-{k + 1}": float(share) for k, share in enumerate(shares)}
        arrays = {"paths": paths}
        if spec.colour is not None:
            arrays["colour"] = latent(run, spec.colour).cpu().numpy()
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The first two components; a point is where a path ends, and all of one that does not move."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 4.2), layout="constrained")
        axes = figure.subplots()
        paths = finding["paths"]
        colours, scale = self._colours(finding)
        for path, colour in zip(paths, colours, strict=True):
            if path.shape[0] == 1 or np.ndim(colour) > 1:
                axes.scatter(path[:, 0], path[:, 1], c=np.atleast_2d(colour), s=9, linewidths=0)
            else:
                axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=0.8, alpha=0.8)
                end = path[np.isfinite(path[:, 0])][-1:]
                axes.plot(end[:, 0], end[:, 1], "o", color=colour, markersize=2.5)
        if scale is not None:
            figure.colorbar(scale, ax=axes, label=self.spec.colour)
        elif self.spec.colour is not None:
            for k, value in enumerate(np.unique(finding["colour"])):
                axes.plot([], [], color=COLOURS[k], label=f"{value:g}")
            axes.legend(frameon=False, fontsize=8, title=self.spec.colour)
        share = [finding.numbers.get(f"component-{k}", 0.0) for k in (1, 2)]
        axes.set(xlabel=f"component 1 ({share[0]:.0%})", ylabel=f"component 2 ({share[1]:.0%})")
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    def page(self, finding: Finding) -> Any:
        """The three components, to be turned with the mouse: a plotly figure."""
        plotly = need("plotly.graph_objects", "viz", "Drawing a page")
        colours, _ = self._colours(finding)
        lines = []
        for number, (path, colour) in enumerate(zip(finding["paths"], colours, strict=True)):
            shown = np.atleast_2d(colour)[:, :3]
            tone = [f"rgb({','.join(str(int(255 * c)) for c in row)})" for row in shown]
            mode = "markers" if len(path) == 1 or len(tone) > 1 else "lines"
            style: dict[str, Any] = {"marker": {"size": 3, "color": tone}} if mode == "markers" else {}
            style |= {"line": {"color": tone[0]}} if mode == "lines" else {}
            x, y, z = path.T
            lines.append(plotly.Scatter3d(x=x, y=y, z=z, mode=mode, name=f"trial {number}", **style))
        figure = plotly.Figure(lines)
        figure.update_layout(title=finding.name, showlegend=False, template="simple_white")
        return figure

    def _colours(self, finding: Finding) -> tuple[list[Any], Any]:
        """Of each trial a colour, or one a sample; and the scale, where there is one."""
        cm = need("matplotlib.cm", "viz", "Drawing a figure")
        colors = need("matplotlib.colors", "viz", "Drawing a figure")
        if self.spec.colour is None:
            return [colors.to_rgba(COLOURS[0])] * len(finding["paths"]), None
        values = finding["colour"]
        kinds = np.unique(values)
        if len(kinds) <= FEW and values.ndim == 1:
            return [colors.to_rgba(COLOURS[int(np.searchsorted(kinds, value))]) for value in values], None
        scale = cm.ScalarMappable(colors.Normalize(float(kinds[0]), float(kinds[-1])), "viridis")
        return list(scale.to_rgba(values.astype(np.float64))), scale
