"""What a site carries: its activity of another trial put in the place of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.causal.intervening import Passes, heat
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.causal import PatchingSpec
from zoo.tasks.base import Batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Patching(Measurement[PatchingSpec]):
    """Numbers of each site, patched at all times: ``effect/<site>``, the share of the way from the output of
    the trial to that of its source (1: all of it; outside 0 to 1 where it overshoots or goes back);
    ``apart/<site>``, the squared distance that is left, as a share; and the task's metrics, judged as the
    source's, ``<metric>/<site>``, beside those of no patch, ``<metric>/none``. Only outputs that the task
    asks for count. Arrays: ``effect`` and ``apart`` ``[site, window]``, the ``sites``, and the ``edges`` of
    the windows."""

    requires = frozenset({"network"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        passes = Passes(network, self.spec)
        source, counts = shifted(passes.batch), (passes.batch.mask > 0)[..., None].to(passes.y.dtype)
        way = (passes.y.roll(-1, 0) - passes.y) * counts
        length = way.square().sum()
        if not bool(length > 0):
            raise AnalysisError(
                f"all trials of {calling(run.name)} have the same output, so that patching cannot move it. "
                "Ask for another split, or a network that was trained."
            )
        numbers = {f"{name}/none": value for name, value in self._scores(passes, passes.y, source).items()}
        effects, rests = [], []
        for site in passes.sites:
            values, units = passes.held[site].roll(-1, 0), passes.units(site)
            found = []
            for at, window in enumerate(passes.windows()):
                y = passes.put(site, values, window, units)
                moved = (y - passes.y) * counts
                effect, rest = (moved * way).sum() / length, (way - moved).square().sum() / length
                found.append(torch.stack([effect, rest]))
                if not at:
                    numbers |= {f"effect/{site}": float(effect), f"apart/{site}": float(rest)}
                    scores = self._scores(passes, y, source)
                    numbers |= {f"{name}/{site}": value for name, value in scores.items()}
            kept = torch.stack(found[1:] or found)
            effects.append(kept[:, 0])
            rests.append(kept[:, 1])
        arrays: dict[str, Tensor | np.ndarray] = {"effect": torch.stack(effects), "apart": torch.stack(rests)}
        return Found(
            numbers, {**arrays, "sites": np.array(passes.sites), "edges": torch.tensor(passes.edges)}
        )

    def _scores(self, passes: Passes, y: Tensor, source: Batch) -> dict[str, float]:
        return {name: value for name, value in passes.scores(y, source).items() if name != "loss"}

    def figure(self, finding: Finding) -> Figure:
        """The effect of each site, by window where there are several."""
        sites = [str(site) for site in finding["sites"]]
        return heat(finding["effect"], sites, finding["edges"], "effect of the patch", finding.name)


def shifted(batch: Batch) -> Batch:
    """A batch in which each trial is the next one."""
    fields = {name: getattr(batch, name).roll(-1, 0) for name in ("x", "y", "mask", "example_id")}
    return replace(
        batch, **fields, latents={name: value.roll(-1, 0) for name, value in batch.latents.items()}
    )
