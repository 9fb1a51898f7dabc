"""How far training took a network: its tangent kernel, its states and its weights, then and now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import Differentiable, differentiable
from zoo.analysis.measure import Found, Measurement
from zoo.analysis.observe import observe
from zoo.checkpoints.network import origin
from zoo.errors import AnalysisError
from zoo.hub import fetch
from zoo.hub.load import load
from zoo.hub.reference import Reference
from zoo.models.trajectories import Trajectories
from zoo.network import Network, build
from zoo.specs.analyses.learning import NTKSpec
from zoo.tasks.base import derive_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 4096
"""Rows of a kernel at most: it takes 128 MiB then."""


class NTK(Measurement[NTKSpec]):
    """Numbers, with K and K₀ the kernels now and of what it is held against, θ and θ₀ the weights that match:

    ``alignment``, ⟨K, K₀⟩ / (|K| |K₀|); ``drift``, |K - K₀| / |K₀|; ``growth``, tr K / tr K₀; ``dimension``,
    (tr K)² / |K|². ``representation``, the same alignment of HHᵀ, with states H ``[trial, unit]`` at the last
    step; ``signs``, the share of these that are above 0 both times or neither. ``moved``, |θ - θ₀|, and
    ``share``, over |θ₀|. ``departure``, how far the outputs are from those of the twin that is linearised in
    all weights before, as a share of how far they moved.

    Arrays: ``eigenvalues`` of K; where it looks along the snapshots, ``step`` ``[snapshot]`` and
    ``alignments``, ``drifts`` and ``travels`` (|θ - θ₀|) at each.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One with derivatives."""
        differentiable(network, name)

    @property
    def version(self) -> int:  # type: ignore[override]
        """Goes with the weights of another network that it is held against."""
        if self.spec.against == "initial":
            return 1
        reference = Reference.parse(self.spec.against)
        member = reference.member if isinstance(reference.member, int) else None
        return derive_seed(1, origin(fetch(reference), member, reference.step))

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, other = self.spec, self._other(network)
        now, then = Differentiable(network, spec.weights), Differentiable(other, spec.weights)
        _same_shape(now, then)
        x = network.batch(spec.split, spec.seed, 0, spec.trials).x.double()
        numbers: dict[str, float | Tensor] = {}
        arrays: dict[str, Tensor] = {}
        before = then.flat(then.weights)
        first = self._kernel(then, x) if spec.kernel else None
        if first is not None:
            kernel = self._kernel(now, x)
            numbers |= _between(kernel, first)
            arrays["eigenvalues"] = torch.linalg.eigvalsh(kernel).flip(0)
        beside = other.trajectories(spec.trials, spec.seed, spec.split, spec.site)
        seen = observe(replace(beside, states=beside.states.double()), spec.observe)
        h, h0 = run.states[:, -1].double(), seen.states[:, -1]
        numbers["representation"] = _cosine(h @ h.T, h0 @ h0.T)
        numbers["signs"] = ((h > 0) == (h0 > 0)).double().mean()
        moved = (now.flat(now.weights) - before).norm()
        numbers |= {"moved": moved, "share": moved / before.norm().clamp_min(1e-300)}
        numbers["departure"] = _departure(network, other, x)
        if spec.along:
            arrays |= self._along(network, x, before, first)
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The kernel's spectrum; and how it and the weights moved, snapshot by snapshot, if it looked."""
        from zoo.analysis.learning.figures import kernel_figure

        return kernel_figure(finding)

    def _kernel(self, network: Differentiable, x: Tensor) -> Tensor:
        last = self.spec.steps == "last"
        rows = len(x) * (1 if last else x.shape[1]) * network.network.task.spec.outputs
        if rows > MOST:
            raise AnalysisError(
                f"the kernel of {network.name} over {len(x)} trials would have {rows:,} rows; at most "
                f"{MOST:,} are computed. Ask for fewer trials, or steps=last."
            )
        return network.kernel(x, step=-1 if last else None)

    def _other(self, network: Network) -> Network:
        if self.spec.against != "initial":
            return load(self.spec.against)
        if network.record is not None and network.record.series:
            return load(replace(Reference.parse(network.reference), step=0))
        return build(network.experiment).to(network.model.like.device)

    def _along(self, network: Network, x: Tensor, before: Tensor, first: Tensor | None) -> dict[str, Tensor]:
        if network.record is None or not network.record.series:
            raise AnalysisError(
                f"{network.name} has no snapshots to look along; publish it with record.snapshots, or leave "
                "along out."
            )
        reference = Reference.parse(network.reference)
        steps = network.record.series[reference.member if isinstance(reference.member, int) else 0]
        found: dict[str, list[Tensor]] = {"alignments": [], "drifts": [], "travels": []}
        for step in steps:
            each = Differentiable(load(replace(reference, step=step)), self.spec.weights)
            found["travels"].append((each.flat(each.weights) - before).norm())
            if first is not None:
                between = _between(self._kernel(each, x), first)
                found["alignments"].append(between["alignment"])
                found["drifts"].append(between["drift"])
        kept = {name: torch.stack(values) for name, values in found.items() if values}
        return {"step": torch.tensor(steps), **kept}


def _between(kernel: Tensor, first: Tensor) -> dict[str, Tensor]:
    """Numbers of a kernel beside another."""
    trace, scale = kernel.trace(), first.norm().clamp_min(1e-300)
    return {
        "alignment": _cosine(kernel, first),
        "drift": (kernel - first).norm() / scale,
        "growth": trace / first.trace().clamp_min(1e-300),
        "dimension": trace.square() / kernel.square().sum().clamp_min(1e-300),
    }


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-300)


def _departure(network: Network, other: Network, x: Tensor) -> Tensor:
    now, then = Differentiable(network), Differentiable(other)
    y, y0 = now.output(now.weights, x).y, then.output(then.weights, x).y
    return (y - then.linearised(x, now.weights)).norm() / (y - y0).norm().clamp_min(1e-300)


def _same_shape(one: Differentiable, other: Differentiable) -> None:
    a, b = ({name: tuple(value.shape) for name, value in each.weights.items()} for each in (one, other))
    if a != b:
        name = min(a.items() ^ b.items())[0]
        raise AnalysisError(
            f"{one.name} and {other.name} are not of one shape (see {name}), so that their weights cannot be "
            "held against each other. Name a network of the same model, or a snapshot of this one."
        )
