"""Fixed and slow points of a network's step, their stability, and a picture of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.dynamics.resting import Resting, Search, distinct, resting_points
from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import double, step_jacobians
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.dynamics import Dynamics
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import MeasurementSpec, ObservationSpec
from zoo.specs.analyses.network import FixedPointsSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

PATHS, LEADING, PAIRS = 32, 8, 2048
"""Trials that are drawn, eigenvectors that are kept of each point, pairs that a round begins between."""


class FixedPoints(Measurement[FixedPointsSpec]):
    """All at once, from many states; then from between those found.

    Numbers: ``fixed`` points, ``slow`` points, and of the fixed ones those that are ``stable`` and those with
    one, two, … unstable directions (``saddle-1``, …); ``speed``, the largest of a fixed point; and ``index``,
    the sum of sign det(1 - ∂F/∂h), which is 1 where none is missing and F takes some ball into itself
    (Lefschetz 1926).

    Arrays, over points in the order of their speed: ``points`` ``[point, unit]``, ``speeds``, ``unstable``
    (directions), ``eigenvalues`` ``[point, unit]`` of the Jacobian of the step, the largest first, and
    ``eigenvectors`` of the leading ones ``[point, unit, vector]``; ``outputs`` ``[point, output]``;
    ``input``; and for the picture ``centre``, ``plane`` ``[3, unit]`` and ``paths`` ``[trial, time, 3]``.
    """

    requires = frozenset({"step", "derivative"})

    @property
    def enough(self) -> float:
        """Speed at which a search ends."""
        return self.spec.tolerance

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, name = self.spec, calling(run.name)
        run, model = whole_states(network, spec), double(network)
        states = run.states.double()
        u = constant_input(spec.input, run, model, name)
        visited = states.flatten(0, 1)
        generator = torch.Generator(states.device).manual_seed(spec.seed)
        starts = _starts(visited, spec, generator)
        centre = visited.mean(0)
        radius = float((visited - centre).norm(dim=1).max())
        worth, within, apart = max(spec.tolerance, spec.slow), spec.within * radius, spec.apart * radius
        # Slow points lie along lines, on which those that are taken together would leave gaps.
        together = 0.0 if spec.slow else apart
        search = Search(self.enough, spec.steps, worth, (centre, within), together)
        found = Resting.none(model.units, visited)
        for number in range(spec.rounds + 1):
            near = resting_points(model, starts, u, search)
            near = near[(near.points - centre).norm(dim=1) <= within]
            near = near[near.speeds <= worth]
            before = len(found.points)
            found = distinct(found.joined(near), apart)
            if number == spec.rounds or len(found.points) == before:
                break
            starts = _between(found.points, generator)
        return self._described(found, model, u, visited, states, spec)

    @staticmethod
    def _described(
        found: Resting, model: Dynamics, u: Tensor, visited: Tensor, states: Tensor, spec: FixedPointsSpec
    ) -> Found:
        points = found.points
        jacobians = step_jacobians(model, points, u.expand(len(points), -1))
        values, vectors = torch.linalg.eig(jacobians)
        order = values.abs().argsort(dim=1, descending=True)
        values = values.gather(1, order)
        leading = order[:, None, :LEADING].expand(-1, points.shape[1], -1)
        unstable = (values.abs() > 1 + 1e-6).sum(1)
        fixed = found.speeds <= spec.tolerance
        numbers: dict[str, float] = {
            "fixed": float(fixed.sum()),
            "slow": float((~fixed).sum()),
            "stable": float((fixed & (unstable == 0)).sum()),
            "index": float(torch.linalg.det(_eye(jacobians) - jacobians[fixed]).sign().sum()),
            "speed": float(found.speeds[fixed].max()) if fixed.any() else 0.0,
        }
        most = int(unstable[fixed].max()) if fixed.any() else 0
        for count in range(1, most + 1):
            numbers[f"saddle-{count}"] = float((fixed & (unstable == count)).sum())
        centre = visited.mean(0)
        plane = torch.linalg.svd(visited - centre, full_matrices=False).Vh[:3]
        arrays = {
            "points": points,
            "speeds": found.speeds,
            "unstable": unstable,
            "eigenvalues": values,
            "eigenvectors": vectors.gather(2, leading),
            "outputs": model.readout(points),
            "input": u,
            "centre": centre,
            "plane": plane,
            "paths": ((states[:PATHS] - centre) @ plane.T).float(),
        }
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """Points over trajectories in their principal plane, and the eigenvalues of their Jacobians."""
        from zoo.analysis.dynamics.fixed_points_figure import fixed_points_figure

        return fixed_points_figure(finding, self.spec.tolerance)


def whole_states(network: Network, spec: MeasurementSpec) -> Trajectories:
    """Trajectories of the whole state. Raises :class:`AnalysisError` where only a part of it is asked for."""
    sites = network.model.sites
    whole = "state" if "state" in sites else network.model.exposed
    if spec.site not in (None, whole) or spec.observe != ObservationSpec():
        raise AnalysisError(
            f"{spec.kind} steps the network, which takes its whole state: leave out 'site' and 'observe'."
        )
    return network.trajectories(trials=spec.trials, seed=spec.seed, split=spec.split, site=whole)


def constant_input(given: tuple[float, ...] | str, run: Trajectories, model: Dynamics, name: str) -> Tensor:
    """The input ``[inputs]`` that a spec names. Raises :class:`AnalysisError` for one of the wrong width."""
    like = run.states.double()
    if given == "zero":
        return like.new_zeros(model.inputs)
    if given == "mean":
        assert run.inputs is not None
        return run.inputs.double().mean((0, 1))
    if len(given) != model.inputs:
        raise AnalysisError(f"{len(given)} inputs are given, and {name} takes {model.inputs}.")
    return like.new_tensor([float(value) for value in given])


def _starts(visited: Tensor, spec: FixedPointsSpec, generator: torch.Generator) -> Tensor:
    device = visited.device
    chosen = visited[torch.randint(len(visited), (spec.starts,), generator=generator, device=device)]
    noise = torch.randn(chosen.shape, dtype=chosen.dtype, generator=generator, device=device)
    return chosen + spec.spread * visited.std(0) * noise


def _eye(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)


def _between(points: Tensor, generator: torch.Generator) -> Tensor:
    """Middles of pairs of points: of all, or of as many as are worth it."""
    pairs = torch.combinations(torch.arange(len(points), device=points.device))
    if len(pairs) > PAIRS:
        pairs = pairs[torch.randperm(len(pairs), generator=generator, device=points.device)[:PAIRS]]
    return points[pairs].mean(1)
