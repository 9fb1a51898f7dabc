"""A copy of a network that does the same, with the CKA between its layers as one likes."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.analysis.figures import INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.models.layered import Layered
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.reliability import CKAMapAttackSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

RATE, LEAST, MOST = 1.02, 1e-2, 1e3
"""Factor by which the weight of the map changes at a step, and its bounds as shares of the first."""


class CKAMapAttack(Measurement[CKAMapAttackSpec]):
    """Numbers: ``gap``, the mean distance of the CKA of each two layers from its target, and ``gap-before``;
    ``accuracy`` of the copy and ``accuracy-before`` of the network, the share of samples on which the largest
    output is that of the task; ``drop``, how much of it was lost; and ``same``, the share of the samples that
    both answer alike.

    Arrays: ``before``, ``after`` and ``target`` ``[layer, layer]``; and ``course`` ``[step, 2]``: the gap
    on the batch, and the share that is answered otherwise.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """Layers whose map can be made another."""
        if not isinstance(network.model, Layered) or len(network.model.hidden) < 2:
            raise AnalysisError(
                f"cka-map-attack needs a network of two hidden layers or more, and {name} is none."
            )

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, model = self.spec, network.model
        assert isinstance(model, Layered)
        target = self._target(len(model.hidden)).to(run.states.device)
        test = network.batch(spec.split, spec.seed, 0, spec.trials)
        right = test.y.argmax(-1)
        with torch.no_grad():
            answers, before = _answers_and_map(model, test.x)
        attacked, course = self._attack(network, model, target)
        with torch.no_grad():
            said, after = _answers_and_map(attacked, test.x)
        accuracy, was = (float((each.argmax(-1) == right).double().mean()) for each in (said, answers))
        numbers: dict[str, float | Tensor] = {
            "gap": _gap(after, target),
            "gap-before": _gap(before, target),
            "accuracy": accuracy,
            "accuracy-before": was,
            "drop": was - accuracy,
            "same": (said.argmax(-1) == answers.argmax(-1)).double().mean(),
        }
        return Found(numbers, {"before": before, "after": after, "target": target, "course": course})

    @torch.enable_grad()
    def _attack(self, network: Network, model: Layered, target: Tensor) -> tuple[Layered, Tensor]:
        """The copy, and its course."""
        spec = self.spec
        attacked = copy.deepcopy(model).eval().requires_grad_(True)
        optimizer = torch.optim.Adam(attacked.parameters(), spec.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, spec.steps)
        weight, course = spec.weight, []
        for step in range(spec.steps):
            x = network.batch("train", spec.seed, step, spec.batch_size).x
            with torch.no_grad():
                asked = model(x).y
            y, found = _answers_and_map(attacked, x)
            apart = _off_diagonal(found - target)
            loss = F.kl_div(y.log_softmax(-1), asked.log_softmax(-1), log_target=True, reduction="batchmean")
            loss = loss / y.shape[1] + weight * _log_cosh(apart).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            otherwise = float((y.argmax(-1) != asked.argmax(-1)).double().mean())
            weight = weight / RATE if otherwise > spec.band else weight * RATE
            weight = min(max(weight, LEAST * spec.weight), MOST * spec.weight)
            course.append((float(apart.detach().abs().mean()), otherwise))
        return attacked.requires_grad_(False), torch.tensor(course)

    def _target(self, layers: int) -> Tensor:
        """``[layer, layer]``; a layer is like itself."""
        spec, number = self.spec, torch.arange(layers)
        even = (number[:, None] + number) % 2 == 0
        high = {"alike": torch.ones_like(even), "unlike": torch.zeros_like(even), "checkerboard": even}
        target = spec.low + (spec.high - spec.low) * high[spec.target].double()
        return target.fill_diagonal_(1)

    def figure(self, finding: Finding) -> Figure:
        """The map before and after, and the target."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(8.6, 3.2), layout="constrained")
        panels = figure.subplots(1, 3)
        for axes, name in zip(panels, ("before", "after", "target"), strict=True):
            picture = axes.imshow(finding[name], vmin=0, vmax=1, cmap="viridis")
            axes.set_title(name, color=INK, fontsize=10)
            ticks = range(len(finding[name]))
            axes.set_xticks(ticks, [str(each + 1) for each in ticks])
            axes.set_yticks(ticks, [str(each + 1) for each in ticks])
            axes.set_xlabel("layer")
        figure.colorbar(picture, ax=panels, label="CKA")
        figure.suptitle(
            f"{finding.name}: accuracy {finding.numbers['accuracy-before']:.3f}, then "
            f"{finding.numbers['accuracy']:.3f}",
            color=INK,
            fontsize=10,
        )
        return figure


def _answers_and_map(model: Layered, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs ``[batch, time, output]``, and the linear CKA between hidden layers ``[layer, layer]``."""
    output = model(x)
    shapes = []
    for site in model.hidden:
        samples = output.states[site].flatten(0, 1).double()
        samples = samples - samples.mean(0)
        shapes.append(samples / torch.linalg.norm(samples.T @ samples).clamp_min(1e-30).sqrt())
    rows = [torch.stack([(a.T @ b).square().sum() for b in shapes]) for a in shapes]
    return output.y, torch.stack(rows)


def _off_diagonal(values: Tensor) -> Tensor:
    above = torch.triu_indices(len(values), len(values), 1)
    return values[above[0], above[1]]


def _gap(found: Tensor, target: Tensor) -> float:
    return float(_off_diagonal(found - target).abs().mean())


def _log_cosh(x: Tensor) -> Tensor:
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)
