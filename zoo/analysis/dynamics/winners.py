"""Which units win in the clusters of an expander memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.models.expander import LearnedExpanderMemory
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.memory import ClusterWinnersSpec

if TYPE_CHECKING:
    from zoo.network import Network


class ClusterWinners(Measurement[ClusterWinnersSpec]):
    """Numbers: ``agree``, the share of clusters and of their inputs in which the patterns that tie are those
    of even parity that are nearest; ``claimed``, the share of units that have a pattern."""

    requires = frozenset({"network", "step"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """A memory that learned its clusters."""
        if not isinstance(network.model, LearnedExpanderMemory):
            raise AnalysisError(
                f"cluster-winners is of the model 'learned-expander-memory', and {name} is another. Ask "
                "code-size of 'expander-memory', whose winners follow from the parity."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model = network.model
        assert isinstance(model, LearnedExpanderMemory)
        size, patterns = model.spec.graph.cluster, model.patterns.double()
        signs = 1 - 2 * torch.arange(2**size)[:, None].bitwise_right_shift(torch.arange(size)).remainder(2)
        inputs = signs.double()
        even = inputs[inputs.prod(-1) > 0]
        overlap = inputs @ even.mT
        nearest = overlap == overlap.amax(-1, keepdim=True)  # [input, even pattern]
        tied = model.winners(inputs[:, None].expand(-1, len(patterns), -1))  # [input, cluster, unit]
        stands = (torch.einsum("cki,ei->cke", patterns, even) == size).double()  # of a unit, for a pattern
        found = torch.einsum("xck,cke->xce", tied.double(), stands)
        blank = (tied & (stands.sum(-1) == 0)).any(-1)  # a winner that stands for no such pattern
        agree = (found == nearest[:, None].double()).all(-1) & ~blank
        return Found({"agree": agree.double().mean(), "claimed": patterns.any(-1).double().mean()})
