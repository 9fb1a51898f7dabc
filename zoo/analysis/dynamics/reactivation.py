"""Quiescence: what a network that integrates holds when nothing comes in but noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import double
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.dynamics import Dynamics
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import ObservationSpec
from zoo.specs.analyses.reactivation import ReactivationSpec
from zoo.tasks.navigation import HeadDirection, PathIntegration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

PATHS, HALF = 12, 0.5
"""Trials that are drawn, and what is added to each count: no bin is impossible."""


class Reactivation(Measurement[ReactivationSpec]):
    """Numbers: ``kl``, the Kullback–Leibler divergence in nats of what is held in quiescence from what is
    held awake (or from where trials ``against`` which it is measured are), over bins, and ``kl-uniform``,
    that of an even spread from the latter; ``spread``, the
    variance over time of what is held in quiescence (of cosine and sine of directions, or of positions in
    m²), the mean over trials; ``step``, how far it moves at a step, in radians or metres, and
    ``step-awake``; and ``overlap``, the share of the variance of states in quiescence that lies in the
    components that hold most of it awake.

    Arrays: ``awake`` (or of the trials ``against`` which it is measured) and ``quiescent``, shares of
    samples ``[bin]`` or ``[bin, bin]``; ``paths`` ``[trial, time, dimension]``, what is held in quiescence;
    and ``components`` ``[component, 2]``, the cumulative share of the variance awake and in quiescence in
    the principal components of either.
    """

    requires = frozenset({"network", "step"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One that integrates directions or positions."""
        if not isinstance(network.task, HeadDirection | PathIntegration):
            raise AnalysisError(
                "reactivation needs a network of head-direction or path-integration, and the task of "
                f"{name} is {network.task.spec.kind!r}."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, name, task = self.spec, calling(run.name), network.task
        assert isinstance(task, HeadDirection | PathIntegration)
        if spec.observe != ObservationSpec() or spec.site is not None:
            raise AnalysisError(f"{spec.kind} steps the network: leave out 'site' and 'observe'.")
        noise = spec.noise or float(getattr(network.experiment.model, "noise", 0.0) or 0.0)
        if not noise:
            raise AnalysisError(f"{name} has no noise of its own; say how much, with 'noise'.")
        model = double(network)
        x = network.batch(spec.split, spec.seed, 0, spec.trials).x.double()
        generator = torch.Generator(x.device).manual_seed(spec.seed)
        awake = noisy_states(model, model.initial_state(len(x)), x, noise, generator)
        still = x.new_zeros(len(x), 1, model.inputs).expand(-1, spec.steps, -1)
        asleep = noisy_states(model, awake[:, -1], still, noise * math.sqrt(spec.factor), generator)
        held, dreamt = (task.held(model.readout(states)) for states in (awake, asleep))
        box = None if isinstance(task, HeadDirection) else task.spec.box
        known = held
        if spec.against is not None:
            known = task.true(network.batch(spec.against, spec.seed, 0, spec.trials)).double()
        before, after = (_histogram(values, spec.bins, box) for values in (known, dreamt))
        numbers = {
            "kl": _divergence(after, before),
            "kl-uniform": _divergence(torch.ones_like(before), before),
            "spread": (dreamt if box else _circle(dreamt)).var(1, correction=0).sum(-1).mean(),
            "step": _moves(dreamt, box).mean(),
            "step-awake": _moves(held, box).mean(),
        }
        own, other, shared = _components(awake, asleep)
        wide = int((own < spec.variance).sum()) + 1
        numbers["overlap"] = shared[min(wide, len(shared)) - 1]
        arrays = {
            "awake": before / before.sum(),
            "quiescent": after / after.sum(),
            "paths": dreamt[:PATHS].float(),
            "components": torch.stack([own, other], 1),
        }
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """What is held awake and in quiescence, and how it moves there."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(8.6, 3.4), layout="constrained")
        panels = figure.subplots(1, 3)
        flat, paths = finding["awake"].ndim == 1, finding["paths"]
        if flat:
            centres = (torch.arange(self.spec.bins) + HALF) * 2 * math.pi / self.spec.bins - math.pi
            for number, name in enumerate(("awake", "quiescent")):
                panels[number].bar(
                    centres, finding[name], 2 * math.pi / self.spec.bins, color=COLOURS[number]
                )
                panels[number].set(xlabel="direction (rad)", ylabel="share of samples")
            for path in paths:
                panels[2].plot(path[:, 0], ".", markersize=1)
            panels[2].set(xlabel="step of quiescence", ylabel="direction (rad)")
        else:
            for number, name in enumerate(("awake", "quiescent")):
                panels[number].imshow(finding[name].T, origin="lower", cmap="viridis")
                panels[number].set(xticks=[], yticks=[])
            for path in paths:
                panels[2].plot(path[:, 0], path[:, 1], linewidth=0.6)
            panels[2].set(xlabel="x (m)", ylabel="y (m)", aspect="equal")
        known = "awake" if self.spec.against is None else f"trials: {self.spec.against}"
        for axes, title in zip(panels, (known, "quiescent", "paths in quiescence"), strict=True):
            axes.set_title(title, color=INK, fontsize=10)
        figure.suptitle(f"{finding.name}: {finding.numbers['kl']:.3f} nats apart", color=INK, fontsize=10)
        return figure


def noisy_states(
    model: Dynamics, h: Tensor, u: Tensor, deviation: float, generator: torch.Generator
) -> Tensor:
    """States ``[batch, steps, unit]`` that follow ``h`` under inputs ``[batch, steps, input]`` and private
    Gaussian noise; it is drawn step by step, so that long runs need no memory for it."""
    states = []
    for t in range(u.shape[1]):
        drawn = torch.randn(h.shape, dtype=h.dtype, device=h.device, generator=generator)
        h = model.step(h, u[:, t], deviation * drawn)
        states.append(h)
    return torch.stack(states, 1)


def _histogram(held: Tensor, bins: int, box: float | None) -> Tensor:
    """Counts of directions ``[trial, time, 1]`` around the circle, or of positions ``[trial, time, 2]``."""
    low, width = (-math.pi, 2 * math.pi) if box is None else (-box / 2, box)
    cells = ((held - low) / width * bins).floor().long().clamp(0, bins - 1).flatten(0, 1)
    sides = cells.shape[1]
    number = (cells * bins ** torch.arange(sides - 1, -1, -1, device=cells.device)).sum(1)
    return torch.bincount(number, minlength=bins**sides).double().view(*[bins] * sides)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Of shares p from shares q in nats, both from counts."""
    p, q = ((each + HALF) / (each + HALF).sum() for each in (p, q))
    return (p * (p / q).log()).sum()


def _circle(angles: Tensor) -> Tensor:
    return torch.cat([angles.cos(), angles.sin()], -1)


def _moves(held: Tensor, box: float | None) -> Tensor:
    """How far what is held moves at each step ``[trial, time - 1]``."""
    moved = held.diff(dim=1)
    return moved.norm(dim=-1) if box else torch.atan2(moved.sin(), moved.cos()).abs()[..., 0]


def _components(awake: Tensor, asleep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cumulative shares of the variance ``[component]``: awake and in quiescence, each in its own principal
    components, and in quiescence in those of awake states."""
    flat = [each.flatten(0, 1) - each.flatten(0, 1).mean(0) for each in (awake, asleep)]
    covariances = [each.T @ each for each in flat]
    (mine, axes), (its, _) = (torch.linalg.eigh(each) for each in covariances)
    through = (axes.T @ covariances[1] @ axes).diagonal()
    shares = [each.flip(0).clamp_min(0).cumsum(0) for each in (mine, its, through)]
    own, other, shared = (each / each[-1].clamp_min(1e-300) for each in shares)
    return own, other, shared
