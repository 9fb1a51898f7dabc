"""Line attractors, and the input that is integrated along them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.analysis.dynamics.fixed_points import FixedPoints
from zoo.analysis.jacobians import double, input_jacobians, step_jacobians
from zoo.analysis.measure import Found
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.network import SelectionSpec

if TYPE_CHECKING:
    from zoo.network import Network

FEWEST = 3


class Selection(FixedPoints):
    """What :class:`FixedPoints` finds, and medians over the points: ``slowest`` and ``next``, the largest
    two absolute eigenvalues; ``line``, the share of the points' variance along their first principal
    component; ``tangent``, the cosine between that and the slowest right eigenvector; and ``input-1``,
    ``input-2``, …, how far a unit of each input moves the state along the attractor (the absolute overlap of
    ∂F/∂u with the left eigenvector, scaled so that its overlap with the right one of length 1 is 1). Array:
    ``selection`` ``[point, unit]``."""

    spec: SelectionSpec

    @property
    def enough(self) -> float:
        """A search ends where it is slow: else it would go on, along the attractor, to its ends."""
        return max(self.spec.slow, self.spec.tolerance)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        found = super().find(run, network)
        points, u = (torch.as_tensor(found.arrays[name]) for name in ("points", "input"))
        if len(points) < FEWEST:
            raise AnalysisError(
                f"{len(points)} resting points of {calling(run.name)} are too few for a line; "
                f"{FEWEST} are needed. Raise 'slow' or 'starts', or lower 'apart'."
            )
        model = double(network)
        inputs = u.expand(len(points), -1)
        values, right = torch.linalg.eig(step_jacobians(model, points, inputs))
        order = values.abs().argsort(dim=1, descending=True)
        slowest = order[:, :1]
        left = torch.linalg.inv(right).gather(1, slowest[..., None].expand(-1, 1, points.shape[1]))[:, 0]
        along = right.gather(2, slowest[:, None].expand(-1, points.shape[1], 1))[..., 0]
        moves = (left[:, None] @ input_jacobians(model, points, inputs).to(left))[:, 0].abs()
        centred = points - points.mean(0)
        _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
        sizes = values.abs().gather(1, order)
        numbers = {
            **found.numbers,
            "slowest": sizes[:, 0].median(),
            "next": sizes[:, 1].median() if sizes.shape[1] > 1 else 0.0,
            "line": singular[0].square() / singular.square().sum(),
            "tangent": (along.real @ directions[0]).abs().median(),
        }
        numbers |= {f"input-{k + 1}": moves[:, k].median() for k in range(moves.shape[1])}
        return Found(numbers, {**found.arrays, "selection": left.real})
