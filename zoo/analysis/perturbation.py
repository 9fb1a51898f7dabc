"""What random changes of weights do, and what theory says of learning by them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.learning.curves import curve_of
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.models.perturbed import side_by_side
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.analyses.perturbation import BestOfSpec, ModeModelSpec
from zoo.specs.learners.evolution import EvolutionStrategiesSpec
from zoo.specs.tasks.quadratic import QuadraticSpec
from zoo.tasks.base import Batch
from zoo.tasks.quadratic import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

AT_ONCE = 2**23
"""Numbers of perturbed weights that are held at a time."""


class BestOf(Measurement[BestOfSpec]):
    """Numbers: ``gain/<N>``, of the mean best of N; ``improving``, the share of perturbations that better the
    reward; ``dimension``, 2 mean(s)² / var(s); ``reward`` without any.

    Arrays: ``change`` of reward by each perturbation, and ``curvature`` along it, ``[perturbation]``.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One that has learned weights."""
        if not any(each.requires_grad for each in network.model.parameters()):
            raise AnalysisError(f"best-of-n changes weights, and none of {name} are learned.")

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec = self.spec
        if max(spec.best_of) > spec.perturbations:
            raise AnalysisError(
                f"best-of-n cannot choose {max(spec.best_of)} of {spec.perturbations} perturbations; give "
                "best_of smaller numbers, or more perturbations."
            )
        network.eval()
        batch = network.batch(spec.split, spec.seed, 0, spec.trials)
        weights = network.model.state_dict()
        shapes = {name: each.shape for name, each in network.model.named_parameters() if each.requires_grad}
        begun = self._reward(network, batch, weights)
        generator = torch.Generator().manual_seed(spec.draw)
        most = max(1, AT_ONCE // (2 * sum(map(math.prod, shapes.values()))))
        changes, bends = [], []
        for first in range(0, spec.perturbations, most):
            count = min(most, spec.perturbations - first)
            epsilon = {
                name: spec.sigma * torch.randn(count, *shape, generator=generator, dtype=torch.float64)
                for name, shape in shapes.items()
            }

            def one(step: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
                there, back = (
                    self._reward(
                        network, batch, {**weights, **{k: weights[k] + s * v for k, v in step.items()}}
                    )
                    for s in (1.0, -1.0)
                )
                return there - begun, (there + back) / 2 - begun

            moved = {name: value.to(network.model.like) for name, value in epsilon.items()}
            change, bend = side_by_side(network.model, one, moved)
            changes.append(change.double())
            bends.append(bend.double())
        change, bend = torch.cat(changes), torch.cat(bends)
        numbers: dict[str, Tensor | float] = {f"gain/{n}": best_of(change, n) for n in spec.best_of}
        numbers["improving"] = (change > 0).double().mean()
        numbers["reward"] = begun.double()
        numbers["dimension"] = 2 * bend.mean().square() / bend.var().clamp_min(1e-300)
        return Found(numbers, {"change": change, "curvature": bend})

    def _reward(self, network: Network, batch: Batch, weights: Mapping[str, Tensor]) -> Tensor:
        y = functional_call(network.model, dict(weights), (batch.x,)).y
        name, task = self.spec.reward, network.task
        if name == "loss":
            return -network.losses(y, batch).mean()
        known = task.metrics(y, batch)
        if name not in known:
            raise AnalysisError(
                f"best-of-n has no reward {name!r}: the task {task.spec.kind!r} measures "
                f"{', '.join(['loss', *known])}.{suggest(name, ['loss', *known])}"
            )
        return known[name].mean() * (-1 if name in task.errors else 1)


def best_of(values: Tensor, n: int) -> Tensor:
    """The mean of the largest of ``n`` of the values, over all choices without replacement."""
    count = len(values)
    rank = torch.arange(n, count + 1, dtype=torch.float64)

    def choose(total: Tensor, few: int) -> Tensor:
        few_ = torch.tensor(few, dtype=torch.float64)
        return torch.lgamma(total + 1) - torch.lgamma(few_ + 1) - torch.lgamma(total - few_ + 1)

    share = torch.exp(choose(rank - 1, n - 1) - choose(torch.tensor(count, dtype=torch.float64), n))
    return (values.sort().values[n - 1 :] * share).sum()


class ModeModel(Measurement[ModeModelSpec]):
    """Numbers: ``terminal`` loss, the one ``predicted`` for the same steps, and their ``ratio``; the
    ``lowest`` loss of the course, its ``lowest_step``, and how much it has ``risen`` since.

    Arrays: ``steps``, ``loss`` and ``prediction`` at each validation.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One of which there is a theory."""
        task, learner = network.experiment.task, network.experiment.learner
        if not isinstance(task, QuadraticSpec) or not isinstance(learner, EvolutionStrategiesSpec):
            raise AnalysisError(
                "mode-model is of the task 'quadratic' learned by 'evolution-strategies', and "
                f"{name} has {task.kind!r} and {learner.kind!r}."
            )
        plain = learner.optimizer.kind == "sgd" and not learner.optimizer.momentum
        plain &= learner.schedule.kind == "constant" and not learner.schedule.warmup
        if not plain or learner.clip_norm is not None or learner.shaping == "ranks" or learner.antithetic:
            raise AnalysisError(
                f"mode-model has no theory of {name}: it is of plain steps of one size (sgd, no momentum, no "
                "clip_norm), shaping standardised or centred, and no antithetic samples."
            )
        curve_of(network)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        task, learner = network.experiment.task, network.experiment.learner
        assert isinstance(task, QuadraticSpec)
        assert isinstance(learner, EvolutionStrategiesSpec)
        curve = curve_of(network)
        steps = torch.tensor(curve.steps, dtype=torch.float64)
        loss = torch.tensor(curve.values["validation/loss"], dtype=torch.float64)
        prediction = course(task, learner, steps)
        last = slice(len(steps) - max(1, round(self.spec.last * len(steps))), None)
        terminal, predicted, lowest = loss[last].mean(), prediction[last].mean(), loss.argmin()
        numbers = {
            "terminal": terminal,
            "predicted": predicted,
            "ratio": terminal / predicted,
            "lowest": loss[lowest],
            "lowest_step": steps[lowest],
            "risen": terminal - loss[lowest],
        }
        return Found(numbers, {"steps": steps, "loss": loss, "prediction": prediction})

    def figure(self, finding: Finding) -> Figure:
        """The loss over the steps, and what the model says of its mean."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        shown = np.maximum(finding["steps"], 0.5)  # a logarithm has no room for 0
        axes.plot(shown, finding["loss"], color=COLOURS[0], linewidth=1.2, label="evolution strategies")
        axes.plot(
            shown, finding["prediction"], color=FAINT, linewidth=1.2, linestyle="--", label="mode model"
        )
        axes.set(xlabel="step", ylabel="loss", xscale="log", yscale="log")
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def course(task: QuadraticSpec, learner: EvolutionStrategiesSpec, steps: Tensor) -> Tensor:
    """The mean loss of the mode model after so many steps, in closed form, from outputs of 0.

    ½ Σ λ (m² x₀² + b² (1 - m²) / (1 - c²)) with c = 1 - a λ and m = c^t; and b² t at the end where c is 1.
    """
    curvature, start = spread(task, "curvature"), spread(task, "optimum")
    size, deviation = learner.optimizer.lr, learner.sigma * math.sqrt(curvature.square().sum().item() / 2)
    drift, jitter = size, size / math.sqrt(learner.samples)
    if learner.shaping == "standardised":
        drift = size / max(deviation, 1e-300)
    else:
        jitter *= deviation
    kept = (1 - drift * curvature).square()
    left = kept ** steps[:, None]
    spread_out = torch.where(kept < 1, (1 - left) / (1 - kept).clamp_min(1e-300), steps[:, None])
    return 0.5 * (curvature * (left * start.square() + jitter**2 * spread_out)).sum(1)
