"""Linearisation of the step along trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.dynamics.fixed_points import whole_states
from zoo.analysis.figures import COLOURS, FAINT, INK
from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import double, input_jacobians, step_jacobians
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.extras import need
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.linearisation import LinearisationSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Linearisation(Measurement[LinearisationSpec]):
    """Numbers, means over the states that are linearised about: ``radius``, the largest absolute eigenvalue;
    ``gain``, the largest singular value; ``unstable``, how many absolute eigenvalues are above 1; and
    ``departure`` from normality, √(‖J‖² - Σ|λ|²) / ‖J‖ in the Frobenius norm (Henrici 1962), 0 for a normal
    matrix and below 1. ``error`` is that of the linear map ``horizon`` steps later: its mean square over that
    of saying that the state is still what it was (0 where the step is linear).

    Arrays: ``eigenvalues`` ``[trial, time, unit]``, the largest first, ``radii`` and ``gains``
    ``[trial, time]``, and ``times``, the steps linearised about.
    """

    requires = frozenset({"step", "derivative"})

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, name = self.spec, calling(run.name)
        run, model = whole_states(network, spec), double(network)
        assert run.inputs is not None
        u, after = run.inputs.double(), run.states.double()
        first = model.initial_state(len(u)) if run.initial is None else run.initial.double()
        before = torch.cat([first[:, None], after[:, :-1]], 1)
        times = torch.arange(0, max(0, u.shape[1] - spec.horizon), spec.every, device=u.device)
        if not len(times):
            raise AnalysisError(
                f"trials of {name} have {u.shape[1]} steps, and none of them has another {spec.horizon} "
                "later. Lower 'horizon', or choose a split with longer trials."
            )
        h, drive = (each[:, times].flatten(0, 1) for each in (before, u))
        jacobian, by_input = step_jacobians(model, h, drive), input_jacobians(model, h, drive)
        moved, changed = (
            (each[:, times + spec.horizon] - each[:, times]).flatten(0, 1) for each in (before, u)
        )
        here, there = (after[:, times + k].flatten(0, 1) for k in (0, spec.horizon))
        said = here + (jacobian @ moved[..., None] + by_input @ changed[..., None])[..., 0]
        still = _mean_square(there - here)
        values = torch.linalg.eigvals(jacobian)
        sizes, order = values.abs().sort(1, descending=True)
        singular = torch.linalg.matrix_norm(jacobian, 2)
        total = jacobian.square().sum((1, 2))
        departure = ((total - sizes.square().sum(1)).clamp_min(0) / total.clamp_min(1e-300)).sqrt()
        numbers = {
            "radius": sizes[:, 0].mean(),
            "gain": singular.mean(),
            "unstable": (sizes > 1).double().sum(1).mean(),
            "departure": departure.mean(),
            "error": _mean_square(there - said) / still if still else 0.0,
        }
        shape = (len(u), len(times))
        arrays = {
            "eigenvalues": values.gather(1, order).view(*shape, -1),
            "radii": sizes[:, 0].view(shape),
            "gains": singular.view(shape),
            "times": times,
        }
        return Found(numbers, arrays)

    def figure(self, finding: Finding) -> Figure:
        """The eigenvalues in the complex plane, coloured by time, and the largest against time."""
        figures = need("matplotlib.figure", "viz", "Drawing a figure")
        need("matplotlib.backends.backend_agg", "viz", "Drawing a figure")
        figure: Figure = figures.Figure(figsize=(8.6, 3.8), layout="constrained")
        plane, course = figure.subplots(1, 2)
        values, times = finding["eigenvalues"], finding["times"]
        angle = np.linspace(0, 2 * np.pi, 200)
        plane.plot(np.cos(angle), np.sin(angle), color=FAINT, linewidth=0.8, zorder=1)
        when = np.broadcast_to(times[None, :, None], values.shape)
        shown = plane.scatter(
            values.real.ravel(), values.imag.ravel(), c=when.ravel(), s=4, linewidths=0, cmap="viridis"
        )
        figure.colorbar(shown, ax=plane, label="time step")
        plane.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
        plane.set_title(f"{finding.name}: eigenvalues along trials", color=INK, fontsize=10)
        for number, (kind, label) in enumerate(
            (("radii", "largest |eigenvalue|"), ("gains", "largest singular value"))
        ):
            low, middle, high = np.quantile(finding[kind], [0.1, 0.5, 0.9], axis=0)
            course.fill_between(times, low, high, color=COLOURS[number], alpha=0.2, linewidth=0)
            course.plot(times, middle, color=COLOURS[number], label=label)
        course.axhline(1, color=FAINT, linewidth=0.8, linestyle="--")
        course.set(xlabel="time step", ylabel="median and tenths over trials")
        course.legend(frameon=False, fontsize=8)
        for axes in (plane, course):
            axes.spines[["top", "right"]].set_visible(False)
        return figure


def _mean_square(values: Tensor) -> float:
    return float(values.square().mean())
