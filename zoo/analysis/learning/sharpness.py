"""How sharply the loss bends where a network is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import Differentiable, differentiable
from zoo.analysis.learning.lanczos import lanczos
from zoo.analysis.measure import Found, Measurement
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.learning import SharpnessSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Sharpness(Measurement[SharpnessSpec]):
    """Numbers: ``sharpness``, the largest eigenvalue of the Hessian of the mean loss over the trials, and
    ``smallest``, the least, in units of the loss per squared weight; ``residual`` of the worse of the two, as
    a share of the largest |λ|; ``products`` that it took; ``loss``, and ``gradient``, its norm. Arrays:
    ``eigenvalues`` (Ritz values) and their ``weights``, a quadrature of the spectral density.
    """

    requires = frozenset({"network"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One with derivatives."""
        differentiable(network, name)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, whole = self.spec, Differentiable(network, self.spec.weights)
        batch = network.batch(spec.split, spec.seed, 0, spec.trials)
        batch = batch.to(batch.x.device, torch.float64)
        gradient, product = whole.hessian_product(batch)
        seeded = torch.Generator().manual_seed(spec.seed)
        start = torch.randn(whole.size, generator=seeded, dtype=torch.float64).to(gradient)
        ritz = lanczos(product, start, spec.iterations, spec.tolerance)
        with torch.no_grad():
            loss = whole.loss(whole.weights, batch)
        numbers = {
            "sharpness": ritz.values[-1],
            "smallest": ritz.values[0],
            "residual": ritz.residuals[[0, -1]].max() / ritz.values.abs().max().clamp_min(1e-300),
            "products": float(len(ritz.values)),
            "loss": loss,
            "gradient": gradient.norm(),
        }
        return Found(numbers, {"eigenvalues": ritz.values, "weights": ritz.weights})

    def figure(self, finding: Finding) -> Figure:
        """The quadrature of the spectral density: each value with its weight."""
        from zoo.analysis.learning.figures import density_figure

        return density_figure(finding)
