"""The rank of a network's delay vectors, as a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.dynamics.hankel import chosen_rank, delay_coordinates
from zoo.analysis.measure import Found, Measurement
from zoo.errors import calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import DelayRankSpec

if TYPE_CHECKING:
    from zoo.network import Network


class DelayRank(Measurement[DelayRankSpec]):
    """How many directions of the delay vectors are signal, by a rule for their singular values."""

    def find(self, run: Trajectories, network: Network | None) -> Found:
        """``rank``, and ``of``: the directions that are more than rounding."""
        spec, name = self.spec, calling(run.name)
        found = delay_coordinates(run.states, spec.delays, spec.interval, name, lengths=run.lengths)
        rank = chosen_rank(found.size, found.width, spec.rule, name)
        return Found({"rank": rank, "of": len(found.size)})
