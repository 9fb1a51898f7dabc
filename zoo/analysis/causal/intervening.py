"""What analyses that intervene have in common: sites, passes, windows, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, INK
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.base import Intervention
from zoo.specs.analyses.causal import InterventionSpec
from zoo.tasks.base import Batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Passes:
    """The passes of one network over the same trials, in eval mode and without noise."""

    def __init__(self, network: Network, spec: InterventionSpec) -> None:
        self.network, self.spec = network, spec
        self.batch = network.batch(spec.split, spec.seed, 0, spec.trials)
        if len(self.batch.x) < 2:
            raise AnalysisError(
                f"{spec.kind} takes at least two trials of {calling(network.name)}; raise 'trials'."
            )
        self.sites = sites_of(network, spec)
        with network.model.intervene({}):  # what cannot be intervened in says so
            self.y, self.held = self.run(capture=self.sites)
        for site, value in self.held.items():
            if spec.units is not None and spec.units[1] > value.shape[-1]:
                raise AnalysisError(
                    f"the site {site!r} of {calling(network.name)} has {value.shape[-1]} units, and those up "
                    f"to {spec.units[1]} should be changed. Give 'units' within it, or name one site."
                )
        steps = self.batch.x.shape[1]
        if spec.windows > steps:
            raise AnalysisError(
                f"the trials of {calling(network.name)} have {steps} steps, which make no {spec.windows} "
                "windows. Lower 'windows'."
            )
        self.edges = torch.linspace(0, steps, spec.windows + 1).round().long().tolist()

    @torch.no_grad()
    def run(
        self, changes: Mapping[str, Intervention] | None = None, capture: Sequence[str] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The output ``[trial, time, output]``, and what sites hold, ``[trial, time, unit]``."""
        model = self.network.model
        with evaluating(self.network), ExitStack() as held:
            if changes:
                held.enter_context(model.intervene(changes))
            seen = held.enter_context(model.capture(capture))
            return self.network(self.batch.x).y, seen

    def windows(self) -> list[tuple[int, int]]:
        """First step and the one after the last: of the whole trial, and of windows if there are several."""
        whole = [(0, self.edges[-1])]
        return whole + list(zip(self.edges, self.edges[1:], strict=False)) * (self.spec.windows > 1)

    def put(self, site: str, values: Tensor, window: tuple[int, int], units: Tensor) -> Tensor:
        """The output when ``values`` ``[trial, time, unit]`` stand at a site within a window, in the units of
        the mask ``[unit]``."""

        def change(now: Tensor, t: int) -> Tensor:
            return torch.where(units, values[:, t], now) if window[0] <= t < window[1] else now

        return self.run({site: change})[0]

    def units(self, site: str) -> Tensor:
        """Which units of a site may be changed, ``[unit]``."""
        width = self.held[site].shape[-1]
        first, last = self.spec.units or (0, width)
        number = torch.arange(width, device=self.y.device)
        return (number >= first) & (number < last)

    def scores(self, y: Tensor, batch: Batch) -> dict[str, float]:
        """Mean loss and metrics of an output for a batch."""
        found = {"loss": self.network.losses(y, batch), **self.network.task.metrics(y, batch)}
        return {name: float(value.double().mean()) for name, value in found.items()}


def sites_of(network: Network, spec: InterventionSpec) -> tuple[str, ...]:
    """The sites that are asked for, or all but the output; a model that lacks one refuses it."""
    if spec.sites or spec.site is not None:
        return spec.sites or (str(spec.site),)
    return tuple(site for site in network.model.sites if site != "output")


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Eval mode while it lasts."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def heat(values: np.ndarray, sites: Sequence[str], edges: np.ndarray, label: str, title: str) -> Figure:
    """``values`` ``[site, window]`` as a picture; bars, where there is one window."""
    figures = need("matplotlib.figure", "viz", "Drawing a figure")
    need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
    figure: Figure = figures.Figure(figsize=(5.2, 0.9 + 0.36 * max(3, len(sites))), layout="constrained")
    axes: Any = figure.subplots()
    if values.shape[1] == 1:
        axes.barh(range(len(sites)), values[:, 0], color=COLOURS[0], height=0.6)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.invert_yaxis()
    else:
        low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
        mesh = axes.pcolormesh(
            edges, np.arange(len(sites) + 1) - 0.5, values, cmap="viridis", vmin=low, vmax=high
        )
        figure.colorbar(mesh, ax=axes, label=label)
        axes.set_xlabel("time step")
        axes.invert_yaxis()
    axes.set_yticks(range(len(sites)), sites)
    axes.set_title(title, color=INK, fontsize=10)
    return figure
