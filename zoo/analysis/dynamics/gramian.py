"""The controllability Gramian of what drives a network, as a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.analysis.dynamics.driven import subspace
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import GramianSpec

if TYPE_CHECKING:
    from zoo.network import Network

DOUBLINGS = 60
"""Terms of the series that are summed, as a power of two: all that could ever count."""


class Gramian(Measurement[GramianSpec]):
    """``‖C W Cᵀ‖`` with ``W = Σₖ Aᵏ B Bᵀ Aᵏᵀ``: how much white inputs move what is observed.

    Seen through ``C``, it does not depend on the basis of the states, which identification leaves open.
    """

    requires = frozenset({"inputs"})

    def find(self, run: Trajectories, network: Network | None) -> Found:
        """``fitted``; and, for a network that is a linear system, ``true`` and their ratio ``relative``."""
        spec, name = self.spec, calling(run.name)
        assert run.inputs is not None
        inputs = run.inputs.to(run.states)
        found = subspace(run.states, inputs, spec.delays, spec.rank, spec.ridge, name, lengths=run.lengths)
        fitted = output_gramian(found.a, found.b, found.c, name)
        numbers = {"fitted": float(fitted.norm())}
        system = getattr(network and network.model, "linear", None)
        if system is not None:
            a, b = (matrix.double() for matrix in system())
            true = output_gramian(a, b, torch.eye(len(a)).to(a), name)
            numbers |= {"true": float(true.norm()), "relative": float(fitted.norm() / true.norm())}
        return Found(numbers)


def output_gramian(a: Tensor, b: Tensor, c: Tensor, name: str) -> Tensor:
    """``C W Cᵀ`` ``[unit, unit]``, by doubling. Raises :class:`AnalysisError` for an unstable system."""
    radius = float(torch.linalg.eigvals(a).abs().max())
    if radius >= 1:
        raise AnalysisError(
            f"the system that was identified of {name} is not stable (largest eigenvalue {radius:.4g}), so "
            "that its Gramian is infinite. Give more data, or lower 'rank'."
        )
    gramian, power = b @ b.T, a
    for _ in range(DOUBLINGS):
        gramian = gramian + power @ gramian @ power.T
        power = power @ power
    return c @ gramian @ c.T
