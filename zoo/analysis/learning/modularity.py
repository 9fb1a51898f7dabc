"""Whether a network of layers falls apart into modules."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.layered import Layered
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.learning import ModularitySpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Modularity(Measurement[ModularitySpec]):
    """Numbers: ``mixing``, the share of the paths Π |W_l| from inputs to outputs that lead to another channel
    than they come from, 0 where there is one module for each and 1 - 1/k by chance; ``eigenvalue``, the k-th
    of the readout's Laplacian, 0 where there are k modules; and ``eigenvalue-h1``, …, those of the hidden
    layers. Arrays: ``paths`` ``[output, input]``, and ``spectrum-…`` of each layer, ascending.

    A layer's graph has its units, and between two of them the cosine of their absolute incoming weights.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """A chain of layers, with an output for each input."""
        model = network.model
        if "layers" not in model.spec.offers or not isinstance(model, Layered):
            raise AnalysisError(
                f"{name} is no chain of layers, of which there are paths; ask networks such as mlp."
            )
        if model.inputs != model.outputs:
            raise AnalysisError(
                f"{name} has {model.inputs} inputs and {model.outputs} outputs, so that none belongs to "
                "another; ask a network whose task has a channel for each, such as modular-sines."
            )

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model, name = network.model, calling(network.name)
        assert isinstance(model, Layered)
        tensors = model.state_dict()
        weights = [tensors[layer.weight].double().abs() for layer in model.layers_in_chain()]
        paths = reduce(lambda below, above: above @ below, weights)
        modules = self.spec.modules or model.outputs
        numbers: dict[str, float | Tensor] = {"mixing": mixing(paths)}
        arrays = {"paths": paths}
        for site, weight in zip((*model.hidden, "output"), weights, strict=True):
            spectrum = arrays[f"spectrum-{site}"] = laplacian_spectrum(weight)
            if len(spectrum) < modules and site == "output":
                raise AnalysisError(f"{name} has {len(spectrum)} outputs, and no {modules} modules of them.")
            if len(spectrum) >= modules:
                numbers["eigenvalue" if site == "output" else f"eigenvalue-{site}"] = spectrum[modules - 1]
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The paths as a map, and the spectrum of each layer."""
        from zoo.analysis.learning.figures import paths_figure

        return paths_figure(finding)


def mixing(paths: Tensor) -> Tensor:
    """The share of non-negative ``[channel, channel]`` that lies off the diagonal."""
    return 1 - paths.trace() / paths.sum().clamp_min(1e-300)


def laplacian_spectrum(weights: Tensor) -> Tensor:
    """Eigenvalues ``[unit]``, ascending, of the normalised Laplacian of the units' similarities: the
    cosines of the rows of ``weights`` ``[unit, input]``, without negative numbers."""
    rows = weights / weights.norm(dim=1, keepdim=True).clamp_min(1e-300)
    similar = rows @ rows.T
    roots = similar.sum(1).clamp_min(1e-300).rsqrt()
    laplacian = torch.eye(len(rows), dtype=rows.dtype, device=rows.device) - roots[:, None] * similar * roots
    return torch.linalg.eigvalsh(laplacian)
