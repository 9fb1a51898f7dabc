"""Learning in deep linear networks, beside the exact course."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.hub.load import load
from zoo.hub.reference import Reference
from zoo.models.feedforward import MLP
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.learning import LinearDynamicsSpec
from zoo.specs.learners.backprop import BackpropSpec, ConstantSchedule, SGDSpec
from zoo.tasks.regression import LinearMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class LinearDynamics(Measurement[LinearDynamicsSpec]):
    """Numbers: ``error``, the largest distance of a snapshot's product from the exact course, as a share of
    the map's norm (Frobenius); ``imbalance``, how far the first matrices are from being balanced, which the
    course assumes, as a share of their size; ``rest``, what is not learned at the end, as a share; and
    ``first`` and ``last``, the steps at which the strongest and the weakest mode are half learned (between
    snapshots by a straight line; the last step, where it is never).

    Arrays: ``steps``, ``modes`` and ``exact`` ``[snapshot, mode]``, uᵀ W v of each mode of the map.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One whose exact course is known."""
        experiment, model, wrong = network.experiment, network.model, ""
        learner = experiment.learner
        if not isinstance(network.task, LinearMap) or (learner.loss or "mse") != "mse":
            wrong = "does not learn a linear-map by its squared error"
        elif not isinstance(model, MLP) or model.spec.nonlinearity != "linear" or model.spec.norm != "none":
            wrong = "is no linear mlp"
        elif model.spec.bias or model.spec.noise is not None or model.spec.penalty.any:
            wrong = "has biases, noise or penalties"
        elif not _is_plain(learner):
            wrong = "does not learn by plain gradient descent at a constant rate"
        elif experiment.train.batch_size % experiment.task.inputs:
            wrong = f"learns from batches that are not white (a multiple of {experiment.task.inputs} is)"
        elif max(model.scales) - min(model.scales) > 1e-12:
            wrong = "has layers that learn at different rates"
        elif network.record is None or not network.record.series:
            wrong = "was published without snapshots"
        if wrong:
            raise AnalysisError(
                f"{name} {wrong}, so that no exact course of it is known; "
                "see specs/deep-linear for one that has."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        steps, chains, rate = self._series(network)
        assert isinstance(network.task, LinearMap)
        left, strengths, right = network.task.factors()
        target = left * strengths @ right.mT
        products = torch.stack([reduce(lambda below, above: above @ below, chain) for chain in chains])
        times = rate * torch.tensor(steps, dtype=torch.float64)
        exact = course(products[0], target, len(chains[0]), times, self.spec.points)
        error = torch.linalg.matrix_norm(products - exact).max() / target.norm()
        known = strengths > 0
        modes = torch.einsum("im,sij,jm->sm", left, products, right)[:, known]
        shown = torch.einsum("im,sij,jm->sm", left, exact, right)[:, known]
        halves = [_half(steps, modes[:, k], strength) for k, strength in enumerate(strengths[known].tolist())]
        numbers = {
            "error": error,
            "imbalance": imbalance(chains[0]),
            "rest": (products[-1] - target).norm() / target.norm(),
            "first": halves[int(strengths[known].argmax())],
            "last": halves[int(strengths[known].argmin())],
        }
        return Found(numbers, {"steps": torch.tensor(steps), "modes": modes, "exact": shown})

    def figure(self, finding: Finding) -> Figure:
        """The strength of each mode over the steps, and the exact course."""
        from zoo.analysis.learning.figures import modes_figure

        return modes_figure(finding)

    def _series(self, network: Network) -> tuple[list[int], list[list[Tensor]], float]:
        """Steps of the snapshots, their matrices in double precision, and how much time a step takes."""
        experiment, model = network.experiment, network.model
        learner = experiment.learner
        assert network.record is not None
        assert isinstance(model, MLP)
        assert isinstance(learner, BackpropSpec)
        reference = Reference.parse(network.reference)
        steps = list(network.record.series[reference.member if isinstance(reference.member, int) else 0])
        chains = [_matrices(load(replace(reference, step=step)).model) for step in steps]
        rate = learner.optimizer.lr * model.scales[0] ** 2 * 2 / experiment.task.inputs
        return steps, chains, rate


def course(start: Tensor, target: Tensor, depth: int, times: Tensor, points: int) -> Tensor:
    """The product ``[time, out, in]`` of ``depth`` balanced matrices under gradient flow on |W - target|²/2,
    from white inputs, at ascending times, the first of which is that of ``start``.

    dW/dt = -Σ_j (W Wᵀ)^((N-j)/N) (W - target) (Wᵀ W)^((j-1)/N) (Arora, Cohen & Hazan 2018, theorem 1), by the
    classical Runge–Kutta method in about ``points`` steps.
    """

    def slope(product: Tensor) -> Tensor:
        u, s, v = torch.linalg.svd(product)
        size = torch.zeros(depth, len(s), len(s), dtype=s.dtype)
        for j in range(depth):
            size[j] = s[:, None] ** (2 * (depth - 1 - j) / depth) * s[None] ** (2 * j / depth)
        return -u @ (size.sum(0) * (u.mT @ (product - target) @ v.mT)) @ v

    found, now, total = [start], start, float(times[-1] - times[0])
    for before, after in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        count = max(1, math.ceil(points * (after - before) / total))
        h = (after - before) / count
        for _ in range(count):
            a = slope(now)
            b = slope(now + h / 2 * a)
            c = slope(now + h / 2 * b)
            now = now + h / 6 * (a + 2 * b + 2 * c + slope(now + h * c))
        found.append(now)
    return torch.stack(found)


def imbalance(chain: list[Tensor]) -> Tensor:
    """The largest |Wᵀ_(l+1) W_(l+1) - W_l W_lᵀ|, as a share of the largest |W_l W_lᵀ| (Frobenius)."""
    inner = [below @ below.mT for below in chain[:-1]]
    outer = [above.mT @ above for above in chain[1:]]
    apart = torch.stack([(a - b).norm() for a, b in zip(inner, outer, strict=True)]).max()
    return apart / torch.stack([each.norm() for each in inner]).max().clamp_min(1e-300)


def _matrices(model: Any) -> list[Tensor]:
    tensors = model.state_dict()
    return [layer.scale * tensors[layer.weight].double() for layer in model.layers_in_chain()]


def _is_plain(learner: Any) -> bool:
    if not isinstance(learner, BackpropSpec) or not isinstance(learner.optimizer, SGDSpec):
        return False
    optimizer = learner.optimizer
    changed = optimizer.momentum or optimizer.weight_decay or learner.clip_norm or learner.activity_penalty
    return not changed and learner.schedule == ConstantSchedule()


def _half(steps: list[int], values: Tensor, strength: float) -> float:
    """The step at which values first reach half of a strength."""
    there = (values >= strength / 2).nonzero()
    if not len(there):
        return float(steps[-1])
    k = int(there[0])
    if k == 0:
        return float(steps[0])
    low, high = float(values[k - 1]), float(values[k])
    return steps[k - 1] + (strength / 2 - low) / (high - low) * (steps[k] - steps[k - 1])
