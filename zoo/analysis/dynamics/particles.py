"""How well the cloud of a particle filter stands for what can be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.figures import COLOURS, INK
from zoo.analysis.finding import Finding
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError
from zoo.extras import need
from zoo.models.filters import Filter
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import ObservationSpec
from zoo.specs.analyses.filters import ParticlePosteriorSpec
from zoo.specs.tasks.localization import LocalizationSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class ParticlePosterior(Measurement[ParticlePosteriorSpec]):
    """Numbers, at the last step and as means over trials: ``kl`` from the average posterior and ``kl_exact``
    from that of the directions seen; ``distance`` of the mean from the place; ``spread``, the deviation of
    guesses.

    Arrays: ``kl`` and ``kl_exact`` ``[trial, time]``.
    """

    requires = frozenset({"network", "step", "latents", "inputs"})

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """A particle filter that looks for a place."""
        if not isinstance(network.model, Filter) or not isinstance(network.task.spec, LocalizationSpec):
            raise AnalysisError(
                f"particle-posterior is of the guesses of a particle filter on the task 'localization', and "
                f"{name} gives none. Ask it of a 'flow-filter' or a 'bootstrap-filter'."
            )

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model, place = network.model, run.latents["place"]
        assert isinstance(model, Filter)
        if self.spec.observe != ObservationSpec() or run.inputs is None or run.site != model.exposed:
            raise AnalysisError(
                "particle-posterior looks at whole clouds at all steps; leave out 'observe' and 'site'."
            )
        cloud = model.cloud(run.states)
        mean, n = cloud.mean(-2), cloud.shape[-2]
        apart = cloud - mean[..., None, :]
        one = torch.eye(cloud.shape[-1], dtype=cloud.dtype, device=cloud.device)
        covariance = apart.mT @ apart / (n - 1)
        u, x = place.to(cloud), run.inputs[..., :-1].to(cloud)
        seen = torch.arange(1, cloud.shape[1] + 1, dtype=cloud.dtype, device=cloud.device)[:, None]
        precision = one + (x[..., :, None] * x[..., None, :]).cumsum(1)
        center = u - torch.linalg.solve(precision, u[..., None])[..., 0]  # P⁻¹ Σ x xᵀ u
        floored = covariance + self.spec.floor * one
        average = divergence(mean, floored, u * seen / (seen + 1), (seen + 1)[..., None] * one)
        exact = divergence(mean, floored, center, precision)
        numbers = {
            "kl": average[:, -1].mean(),
            "kl_exact": exact[:, -1].mean(),
            "distance": (mean - u)[:, -1].norm(dim=-1).mean(),
            "spread": covariance[:, -1].diagonal(dim1=-2, dim2=-1).mean().sqrt(),
        }
        return Found(numbers, {"kl": average, "kl_exact": exact})

    def figure(self, finding: Finding) -> Figure:
        """The divergence over time, with the deviation over trials."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        for colour, (name, label) in zip(
            COLOURS, {"kl": "average posterior", "kl_exact": "exact posterior"}.items(), strict=False
        ):
            mean, deviation = finding[name].mean(0), finding[name].std(0)
            time = range(1, len(mean) + 1)
            axes.plot(time, mean, color=colour, linewidth=1.2, label=label)
            axes.fill_between(time, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0)
        axes.set(xlabel="observations", ylabel="KL divergence (nat)", yscale="log")
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(finding.name, color=INK, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def divergence(mean: Tensor, covariance: Tensor, center: Tensor, precision: Tensor) -> Tensor:
    """KL(N(mean, covariance) ‖ N(center, precision⁻¹)) in nats, ``[…]``."""
    off = (mean - center)[..., None]
    far = (off.mT @ precision @ off)[..., 0, 0]
    trace = (precision @ covariance).diagonal(dim1=-2, dim2=-1).sum(-1)
    logs = torch.logdet(precision) + torch.logdet(covariance)
    return 0.5 * (trace + far - mean.shape[-1] - logs)
