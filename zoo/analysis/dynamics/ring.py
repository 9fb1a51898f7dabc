"""Whether a network's slow points lie on a closed curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from zoo.analysis.dynamics.fixed_points import FixedPoints
from zoo.analysis.measure import Found
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.network import RingSpec

if TYPE_CHECKING:
    from zoo.network import Network

FEWEST = 8


class Ring(FixedPoints):
    """What :class:`FixedPoints` finds, and of the points that attract: ``points``, the largest ``gap``
    between their angles in radians, the ``variation`` of their distance from the middle (deviation over mean;
    0 is a circle), the ``drift``, their median speed, and ``slowest``, the median of their largest absolute
    eigenvalue, which is 1 along a continuous attractor. Further arrays: ``angles`` of all, and ``kept``."""

    spec: RingSpec

    @property
    def enough(self) -> float:
        """A search ends where it is slow: else it would go on, along the attractor, to its ends."""
        return max(self.spec.slow, self.spec.tolerance)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        found = super().find(run, network)
        points, unstable = (torch.as_tensor(found.arrays[name]) for name in ("points", "unstable"))
        kept = unstable < 2 if self.spec.attracting else torch.ones_like(unstable, dtype=torch.bool)
        if int(kept.sum()) < FEWEST:
            raise AnalysisError(
                f"{int(kept.sum())} resting points of {calling(run.name)} are too few to see a ring; "
                f"{FEWEST} are needed. Raise 'slow' or 'starts', or lower 'apart'."
            )
        centre = points[kept].mean(0)
        plane = torch.linalg.svd(points[kept] - centre, full_matrices=False).Vh[:2]
        x, y = ((points - centre) @ plane.T).unbind(1)
        angles, radius = torch.atan2(y, x), torch.hypot(x, y)[kept]
        sorted_angles = angles[kept].sort().values
        gaps = torch.diff(sorted_angles, append=sorted_angles[:1] + 2 * math.pi)
        speeds = torch.as_tensor(found.arrays["speeds"])[kept]
        leading = torch.as_tensor(found.arrays["eigenvalues"])[kept, 0].abs()
        numbers = {
            **found.numbers,
            "points": kept.sum(),
            "gap": gaps.max(),
            "variation": radius.std() / radius.mean(),
            "drift": speeds.median(),
            "slowest": leading.median(),
        }
        return Found(numbers, {**found.arrays, "angles": angles, "kept": kept})
