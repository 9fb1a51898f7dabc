"""How many states an expander memory has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.models.expander import ExpanderMemory
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.memory import CodeSizeSpec
from zoo.tasks.patterns import null_space

if TYPE_CHECKING:
    from zoo.network import Network


class CodeSize(Measurement[CodeSizeSpec]):
    """Numbers: ``bits``, of which there are 2 to the power states; ``rate``, bits over inputs; ``rank`` of
    the parity checks; ``hidden``, units that the clusters would have, ``2 ** (z_C - 1)`` each."""

    requires = frozenset({"network", "step"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """A memory with a code."""
        if not isinstance(network.model, ExpanderMemory):
            raise AnalysisError(
                f"code-size is of the model 'expander-memory', and {name} is another. Ask recall of other "
                "memories."
            )

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model = network.model
        assert isinstance(model, ExpanderMemory)
        graph, n = model.spec.graph, model.inputs
        bits = len(null_space(graph, n))
        hidden = n * graph.degree // graph.cluster * 2 ** (graph.cluster - 1)
        return Found({"bits": bits, "rate": bits / n, "rank": n - bits, "hidden": hidden})
