"""What single units are selective for: latents alone, and in combination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.geometry.samples import chosen, latent
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.activity import SelectivitySpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Selectivity(Measurement[SelectivitySpec]):
    """Numbers: of each latent, ``share-LATENT``, the share of units that are selective for it, and
    ``variance-LATENT``, the mean ω² over units; ``selective``, the share of units that are for any,
    ``mixed``, for two or more, and ``interaction``, the mean share of the variance that combinations explain
    beyond what adds up (0 with one latent); and ``units``, those that vary.

    Arrays: ``variance`` ``[unit, latent]`` and ``interaction`` ``[unit]``; NaN for units left out.
    """

    requires = frozenset({"latents"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        spec, name = self.spec, calling(run.name)
        keep = chosen(run, spec)
        values = [latent(run, each) for each in spec.latents]
        for each, found in zip(spec.latents, values, strict=True):
            if found.shape != keep.shape[: found.ndim]:
                raise AnalysisError(f"the latent {each!r} of {name} is no number a trial or a sample.")
        if all(found.ndim == 1 for found in values):
            here = keep.any(1)
            weight = keep.to(run.states.dtype)[..., None]
            samples = ((run.states * weight).sum(1) / weight.sum(1).clamp_min(1))[here]
            values = [found[here] for found in values]
        else:
            samples = run.states[keep]
            values = [(v if v.ndim > 1 else v[:, None].expand_as(keep))[keep] for v in values]
        groups = [self._groups(found, each, name) for each, found in zip(spec.latents, values, strict=True)]
        centred = samples - samples.mean(0)
        spread = centred.square().sum(0)
        varies = spread > spec.varies * spread.mean()
        if not bool(varies.any()):
            raise AnalysisError(f"no unit of {name} varies. Look at other samples, or at another site.")
        centred = centred[:, varies]
        shares = torch.stack([_omega(centred, _means(one)) for one in groups], 1)
        cells = torch.stack(groups, 1).unique(dim=0, return_inverse=True)[1]
        if int(cells.max()) + 1 >= len(cells):
            raise AnalysisError(
                f"{len(cells)} samples of {name} are too few for {int(cells.max()) + 1} combinations of "
                f"{', '.join(spec.latents)}. Ask for more trials, or lower 'bins'."
            )
        several = len(groups) > 1
        beyond = _omega(centred, _means(cells), _sums(groups)) if several else torch.zeros_like(shares[:, 0])
        above = shares >= spec.least
        numbers: dict[str, float | Tensor] = {
            "selective": above.any(1).double().mean(),
            "mixed": (above.sum(1) > 1).double().mean(),
            "interaction": beyond.mean(),
            "units": varies.sum(),
        }
        for number, each in enumerate(spec.latents):
            numbers[f"share-{each}"] = above[:, number].double().mean()
            numbers[f"variance-{each}"] = shares[:, number].mean()
        arrays = {"variance": _all(shares, varies), "interaction": _all(beyond, varies)}
        return Found(numbers, arrays)

    def _groups(self, values: Tensor, called: str, name: str) -> Tensor:
        """Which value, or which part of the values, each sample has: whole numbers from 0 on."""
        kinds, which = values.unique(return_inverse=True)
        if values.is_floating_point() and len(kinds) > self.spec.bins:
            inner = np.linspace(0, 1, self.spec.bins + 1)[1:-1]
            edges = torch.from_numpy(np.quantile(values.double().cpu().numpy(), inner)).to(values.device)
            kinds, which = torch.bucketize(values.double(), edges).unique(return_inverse=True)
        if len(kinds) < 2:
            raise AnalysisError(
                f"all samples of {name} have the same {called!r}, for which no unit can be selective. Look "
                "at other samples, or ask for more trials."
            )
        return which

    def figure(self, finding: Finding) -> Figure:
        """The variance that each latent explains, a row a latent and a column a unit, the most selective
        first; or of two latents, one against the other."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(5.2, 3.8), layout="constrained")
        axes, names = figure.subplots(), self.spec.latents
        shares = finding["variance"]
        shares = shares[~np.isnan(shares[:, 0])]
        if len(names) == 2:
            axes.scatter(shares[:, 0], shares[:, 1], s=16, color=COLOURS[0], linewidths=0, alpha=0.8)
            for line in (axes.axvline, axes.axhline):
                line(self.spec.least, color=FAINT, linewidth=0.8, linestyle="--")
            axes.set(xlabel=f"variance by {names[0]}", ylabel=f"variance by {names[1]}")
        else:
            for number, called in enumerate(names):
                ranked = np.sort(shares[:, number])[::-1]
                axes.plot(np.arange(1, len(ranked) + 1), ranked, color=COLOURS[number], label=called)
            axes.axhline(self.spec.least, color=FAINT, linewidth=0.8, linestyle="--")
            axes.set(xlabel="unit, by rank", ylabel="share of its variance")
            axes.legend(frameon=False, fontsize=8)
        mixed = finding.numbers["mixed"]
        axes.set_title(f"{finding.name}: {mixed:.0%} of units mixed", color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def _means(groups: Tensor) -> Tensor:
    """Orthonormal columns ``[sample, group]`` that span what is constant within groups."""
    hot = torch.nn.functional.one_hot(groups).double()
    return hot / hot.sum(0).sqrt()


def _sums(groups: list[Tensor]) -> Tensor:
    """Orthonormal columns ``[sample, factor]`` that span sums of what is constant within each grouping."""
    u, s, _ = torch.linalg.svd(torch.cat([_means(each) for each in groups], 1), full_matrices=False)
    return u[:, s > 1e-8 * s[0]]


def _omega(centred: Tensor, full: Tensor, less: Tensor | None = None) -> Tensor:
    """ω² ``[unit]`` of what ``full`` explains, beyond what ``less`` does where that is given.

    (S - d E) / (T + E): S what is explained with d degrees of freedom, E the mean square that ``full``
    leaves, and T the total (Hays 1963). It can be below 0, by chance.
    """
    total = centred.square().sum(0)
    explained = (full.T @ centred).square().sum(0)
    within = (total - explained) / (len(centred) - full.shape[1])
    before, degrees = centred.new_zeros(centred.shape[1]), full.shape[1] - 1
    if less is not None:
        before, degrees = (less.T @ centred).square().sum(0), full.shape[1] - less.shape[1]
    return (explained - before - degrees * within) / (total + within)


def _all(values: Tensor, varies: Tensor) -> Tensor:
    """Of all units, NaN where they do not vary."""
    found = values.new_full((len(varies), *values.shape[1:]), float("nan"))
    found[varies] = values
    return found
