"""The Lyapunov spectrum of a network's step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.dynamics.fixed_points import whole_states
from zoo.analysis.finding import Finding
from zoo.analysis.jacobians import double, step_jacobians
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.dynamics import Dynamics
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.network import LyapunovSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


TOGETHER = 2**20
"""Numbers in the Jacobians that are computed at once."""


class Lyapunov(Measurement[LyapunovSpec]):
    """All exponents at once, of all trials at once: directions are carried along and made orthonormal again.

    Numbers: ``largest``, ``sum``, ``positive`` (exponents), ``dimension`` (Kaplan & Yorke 1979; where all
    exponents are asked for) and ``entropy``, the sum of the positive ones (Pesin 1977); means over trials,
    with ``deviation`` of the largest between them. Arrays: ``exponents`` ``[exponent]``, ``trials``
    ``[trial, exponent]``, and ``course`` ``[time, exponent]``, the mean up to each time, the largest
    at its end first. Along what is forgotten within a step nothing is left but rounding: -36 or so a step.
    """

    version = 2
    requires = frozenset({"step", "derivative"})

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        spec, name = self.spec, calling(run.name)
        run, model = whole_states(network, spec), double(network)
        count = min(spec.exponents or model.units, model.units)
        inputs = run.states.new_zeros(len(run.states), 1, model.inputs) if spec.autonomous else run.inputs
        assert inputs is not None
        inputs = inputs.double()
        h = model.initial_state(len(inputs)) if run.initial is None else run.initial.double()
        total, course = h.new_zeros(len(h), count), []
        frame = _frame(model.units, count).to(h).expand(len(h), -1, -1)
        for t, jacobian in enumerate(_along(model, h, inputs, spec.transient + spec.steps)):
            frame = jacobian @ frame
            last = t + 1 == spec.transient + spec.steps
            if (t + 1) % spec.every == 0 or t + 1 == spec.transient or last:
                frame, growth = torch.linalg.qr(frame)
                logs = growth.diagonal(dim1=1, dim2=2).abs().clamp_min(1e-300).log()
                if t >= spec.transient:
                    total = total + logs
                    course.append(total.mean(0) / ((t + 1 - spec.transient) * spec.dt))
        if not bool(torch.isfinite(total).all()):
            raise AnalysisError(
                f"the states of {name} leave every bound within {spec.transient + spec.steps} steps, so that "
                "there are no exponents. Give it the inputs that it was trained on, or fewer steps."
            )
        each = (total / (spec.steps * spec.dt)).sort(dim=1, descending=True).values
        mean, settled = each.mean(0), torch.stack(course)
        settled = settled[:, settled[-1].argsort(descending=True)]
        numbers = {
            "largest": mean[0],
            "deviation": each[:, 0].std(unbiased=False),
            "sum": mean.sum(),
            "positive": (mean > 0).sum(),
            "entropy": mean.clamp_min(0).sum(),
        }
        if count == model.units:
            numbers["dimension"] = kaplan_yorke(mean)
        return Found(numbers, {"exponents": mean, "trials": each, "course": settled})

    def figure(self, finding: Finding) -> Figure:
        """The exponents in their order, and how the leading ones settle with time."""
        from zoo.analysis.dynamics.lyapunov_figure import lyapunov_figure

        return lyapunov_figure(finding, self.spec)


def _along(model: Dynamics, h: Tensor, inputs: Tensor, steps: int) -> Iterator[Tensor]:
    """The Jacobian ``[trial, unit, unit]`` of each of so many steps from ``h`` ``[trial, unit]``, under the
    inputs ``[trial, time, input]``, repeated; those of many steps are computed at once."""
    most = max(1, TOGETHER // (len(h) * model.units**2))
    for start in range(0, steps, most):
        times = torch.arange(start, min(start + most, steps), device=h.device) % inputs.shape[1]
        u = inputs[:, times]
        states = model.rollout(h, u)
        before = torch.cat([h[:, None], states[:, :-1]], 1)
        found = step_jacobians(model, before.flatten(0, 1), u.flatten(0, 1))
        yield from found.unflatten(0, u.shape[:2]).unbind(1)
        h = states[:, -1]


def _frame(units: int, count: int) -> Tensor:
    """Orthonormal directions ``[unit, direction]``: the first of a basis that is always the same. It is
    drawn, as nothing grows along the axes of units that forget within a step."""
    drawn = torch.randn(units, units, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q[:, :count]


def kaplan_yorke(exponents: Tensor) -> Tensor:
    """Dimension ``j + (λ_1 + … + λ_j) / |λ_{j+1}|`` for exponents ``[exponent]``, the largest first."""
    sums = exponents.cumsum(0)
    whole = int((sums >= 0).long().cumprod(0).sum())
    if whole == 0:
        return exponents.new_zeros(())
    if whole == len(exponents):
        return exponents.new_tensor(float(whole))
    return whole + sums[whole - 1] / exponents[whole].abs()
