"""Forecasts of a network that is fed its own outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.base import Model
from zoo.models.dynamics import Dynamics
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.unfolding import ForecastErrorSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class ForecastError(Measurement[ForecastErrorSpec]):
    """Numbers: ``mase``, the absolute error over that of the last value seen, each summed over the forecast;
    the same of its ``first`` and ``last`` step; and ``steps``, how many pass before it exceeds 1.

    Arrays: ``error``, ``naive`` and ``relative`` ``[step]``, ``forecast`` and ``truth`` ``[trial, step,
    variable]``.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One that says its next input."""
        model = network.model
        if model.inputs != model.outputs or getattr(network.task.spec, "horizon", None) != 1:
            raise AnalysisError(
                f"the outputs of {name} are not the inputs of the next step, so that it cannot be fed with "
                "them. Ask a network that was trained to say the next input, such as lorenz-gru."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, model, name = self.spec, network.model, calling(run.name)
        x = network.batch(spec.split, spec.seed, 0, spec.trials).x
        if x.shape[1] < spec.warmup + spec.steps:
            raise AnalysisError(
                f"trials of {name} have {x.shape[1]} steps, and {spec.warmup} + {spec.steps} are needed. "
                "Lower 'warmup' or 'steps', or choose a split with longer trials."
            )
        seen, truth = x[:, : spec.warmup], x[:, spec.warmup : spec.warmup + spec.steps]
        was_training = network.training
        network.eval()
        try:
            forecast = continued(model, seen, spec.steps)
        finally:
            network.train(was_training)
        error = (forecast - truth).abs().double().mean((0, 2))
        naive = (seen[:, -1:] - truth).abs().double().mean((0, 2))
        if not bool((naive > 0).all()):
            raise AnalysisError(f"the inputs of {name} do not change after the warm-up: nothing is forecast.")
        relative = error / naive
        numbers = {
            "mase": error.sum() / naive.sum(),
            "first": relative[0],
            "last": relative[-1],
            "steps": (relative <= 1).long().cumprod(0).sum(),
        }
        arrays = {"error": error, "naive": naive, "relative": relative, "forecast": forecast, "truth": truth}
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The relative error at each step of the forecast."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.2), layout="constrained")
        axes = figure.subplots()
        relative = finding["relative"]
        axes.plot(range(1, len(relative) + 1), relative, color=COLOURS[0])
        axes.axhline(1.0, color=FAINT, linewidth=0.8, linestyle="--")
        axes.set(xlabel="steps ahead", ylabel="error / that of no change", ylim=(0, None))
        axes.locator_params(axis="x", integer=True)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def continued(model: Model, seen: Tensor, steps: int) -> Tensor:
    """What a model says next, ``[batch, steps, output]``, after ``seen`` ``[batch, time, input]``."""
    found: list[Tensor] = []
    if isinstance(model, Dynamics):
        h = model.rollout(model.initial_state(len(seen)), seen)[:, -1]
        for _ in range(steps):
            if found:
                h = model.step(h, found[-1])
            found.append(model.readout(h))
    else:
        for _ in range(steps):
            found.append(model(seen).y[:, -1])
            seen = torch.cat([seen, found[-1][:, None]], 1)
    return torch.stack(found, 1)
