"""Dynamical similarity analysis, by the spectra of Hankel operators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features, calling
from zoo.analysis.dynamics.hankel import hankel_operator
from zoo.analysis.dynamics.transport import transport_costs
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import DSASpec


class DSA(Comparator[DSASpec]):
    """The Wasserstein distance of the eigenvalues of two networks' delay operators.

    Eigenvalues of :func:`hankel_operator`, one step of time each, as equal masses in the complex plane;
    exact optimal transport between them (Ostrow et al. 2023, and the ``wasserstein`` score of the
    authors' code, which reports W₂²). States are neither centred nor scaled. Networks need share
    neither trials nor units, only the meaning of a time step.

    With a ``rank`` below that of the data the coordinates kept depend on geometry, and so, somewhat,
    does the distance: check invariances with ``rank=None``.
    """

    aligned = False
    invariances = ("orthogonal", "isotropic scaling", "permutation of trials")

    @property
    def measure(self) -> str:
        symbol = {(1, False): "W₁", (2, False): "W₂", (2, True): "W₂²"}[self.spec.order, self.spec.squared]
        return f"DSA distance ({symbol} between eigenvalues)"

    def extract(self, states: Tensor, source: Trajectories) -> Tensor:
        """``[rank]`` complex eigenvalues."""
        spec, dtype = self.spec, source.states.dtype
        # What float64 arithmetic would take for signal in states of single precision is rounding.
        rounding = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
        operator = hankel_operator(
            states, spec.delays, spec.interval, spec.rank, spec.ridge, calling(source.name), rounding
        )
        return torch.linalg.eigvals(operator)

    def pairwise(self, features: Sequence[Features]) -> Tensor:
        """``[n, n]``: W₁ or W₂ in units of eigenvalues, or W₂² in their square."""
        costs = torch.from_numpy(transport_costs([f.values.cpu().numpy() for f in features], self.spec.order))
        return costs.sqrt() if self.spec.order == 2 and not self.spec.squared else costs
