"""The rank of a network's delay vectors, as a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.analysis.dynamics.hankel import chosen_rank, delay_coordinates
from zoo.analysis.measure import Measurement
from zoo.errors import calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import DelayRankSpec

if TYPE_CHECKING:
    from zoo.network import Network


class DelayRank(Measurement[DelayRankSpec]):
    """How many directions of the delay vectors are signal, by a rule for their singular values."""

    def numbers(self, run: Trajectories, network: Network | None) -> Mapping[str, float]:
        """``rank``, and ``of``: the directions that are more than rounding."""
        spec, name = self.spec, calling(run.name)
        found = delay_coordinates(run.states, spec.delays, spec.interval, name, lengths=run.lengths)
        return {"rank": chosen_rank(found.size, found.width, spec.rule, name), "of": len(found.size)}
