"""In how many directions a representation moves with its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import Differentiable, differentiable
from zoo.analysis.measure import Found, Measurement
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.learning import LocalRankSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class LocalRank(Measurement[LocalRankSpec]):
    """Numbers, means over trials: ``rank``, the singular values of the Jacobian above ``tolerance`` × the
    largest; ``effective``, the exponential of the entropy of their squares' shares; ``stable``, the sum of
    squares over the largest; and ``norm``, the largest. Arrays: ``singular`` values ``[trial, value]``,
    descending, and ``ranks`` ``[trial]``. An input that moves nothing has rank 0.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One with derivatives."""
        differentiable(network, name)

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, whole = self.spec, Differentiable(network)
        x = network.batch(spec.split, spec.seed, 0, spec.trials).x.double()
        site = spec.site or network.model.exposed
        singular = torch.linalg.svdvals(whole.site_jacobians(x, site))
        largest = singular[:, 0]
        ranks = ((singular > spec.tolerance * largest[:, None]) & (singular > 0)).sum(1).double()
        squares = singular.square()
        total = squares.sum(1)
        shares = squares / total.clamp_min(1e-300)[:, None]
        moves = (total > 0).double()
        effective = torch.special.entr(shares).sum(1).exp() * moves
        stable = total / squares[:, 0].clamp_min(1e-300)
        numbers = {
            "rank": ranks.mean(),
            "effective": effective.mean(),
            "stable": stable.mean(),
            "norm": largest.mean(),
        }
        return Found(numbers, {"singular": singular, "ranks": ranks})

    def figure(self, finding: Finding) -> Figure:
        """Singular values in their order, trial by trial."""
        from zoo.analysis.learning.figures import decay_figure

        return decay_figure(finding, self.spec.tolerance)
