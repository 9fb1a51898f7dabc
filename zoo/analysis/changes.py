"""What training changed of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.registry import suggest
from zoo.specs.analyses.changes import DeltaRankSpec

if TYPE_CHECKING:
    from zoo.network import Network


class DeltaRank(Measurement[DeltaRankSpec]):
    """Numbers: ``rank``, ``effective`` rank (the exponential of the entropy of the singular values, as shares
    of their sum; Roy & Vetterli 2007), ``norm`` (Frobenius). Arrays: the singular ``values`` of the change.

    The initial weights are drawn again from the seed of the network's experiment.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One with a matrix."""
        if not _matrices(network):
            raise AnalysisError(f"delta-rank is of a matrix, and the model of {name} has none.")

    def find(self, run: Trajectories, network: Network | None) -> Found:
        from zoo.network import build

        assert network is not None
        name, now = self.spec.parameter, network.model.state_dict()
        matrices = _matrices(network)
        if name not in matrices:
            raise AnalysisError(
                f"delta-rank: the model of {calling(network.name)} has no matrix {name!r}."
                f"{suggest(name, matrices)} Give parameter, one of: {', '.join(matrices)}."
            )
        begun = build(network.experiment).model.state_dict()[name]
        change = now[name].detach().cpu().double() - begun.double()
        values = torch.linalg.svdvals(change)
        shares = values / values.sum() if values.any() else values
        effective = torch.special.entr(shares).sum().exp() if values.any() else torch.zeros(())
        rank = (values > self.spec.tolerance * values.max()).sum() if values.any() else torch.zeros(())
        return Found(
            {"rank": rank.double(), "effective": effective, "norm": change.norm()}, {"values": values}
        )


def _matrices(network: Network) -> list[str]:
    tensors = network.model.state_dict()
    return [name for name, value in tensors.items() if value.dim() == 2 and value.is_floating_point()]
