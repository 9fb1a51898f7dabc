"""Dynamical similarity analysis: Hankel operators, by their spectra or up to a change of basis."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features, calling
from zoo.analysis.dynamics.hankel import hankel_operator
from zoo.analysis.dynamics.procrustes import align_all
from zoo.analysis.dynamics.transport import transport_costs
from zoo.errors import AnalysisError, ConvergenceWarning
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import DSASpec


class DSA(Comparator[DSASpec]):
    """The distance of two networks' delay operators, one step of time each (Ostrow et al. 2023).

    Operators are those of :func:`hankel_operator`. By ``angular``, the angle between them, and by
    ``euclidean``, the Frobenius norm of their difference, both after the orthogonal change of basis
    that brings them nearest (:func:`align_all`). By ``wasserstein``, exact optimal transport between
    their eigenvalues as equal masses in the complex plane (the authors' code reports W₂²). States are
    neither centred nor scaled. Networks need share neither trials nor units, only the meaning of a
    time step.

    With a ``rank`` below that of the data the coordinates kept depend on geometry, and so, somewhat,
    does the distance: check invariances with ``rank=None``.
    """

    aligned = False
    invariances = ("orthogonal", "isotropic scaling", "permutation of trials")

    @property
    def measure(self) -> str:
        if self.spec.score != "wasserstein":
            return {"angular": "DSA angle (rad)", "euclidean": "DSA distance (Frobenius norm)"}[
                self.spec.score
            ]
        symbol = {(1, False): "W₁", (2, False): "W₂", (2, True): "W₂²"}[self.spec.order, self.spec.squared]
        return f"DSA distance ({symbol} between eigenvalues)"

    def extract(self, states: Tensor, source: Trajectories) -> Tensor:
        """The operator ``[rank, rank]``, or its ``[rank]`` complex eigenvalues."""
        spec, dtype = self.spec, source.states.dtype
        # What float64 arithmetic would take for signal in states of single precision is rounding.
        rounding = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
        operator = hankel_operator(
            states, spec.delays, spec.interval, spec.rank, spec.ridge, calling(source.name), rounding
        )
        return torch.linalg.eigvals(operator) if spec.score == "wasserstein" else operator

    def pairwise(self, features: Sequence[Features]) -> Tensor:
        """``[n, n]``: radians, a norm, W₁ or W₂ in units of eigenvalues, or W₂² in their square."""
        if self.spec.score != "wasserstein":
            return self._aligned(features)
        costs = torch.from_numpy(transport_costs([f.values.cpu().numpy() for f in features], self.spec.order))
        return costs.sqrt() if self.spec.order == 2 and not self.spec.squared else costs

    def _aligned(self, features: Sequence[Features]) -> Tensor:
        for other in features:
            if other.values.shape != features[0].values.shape:
                raise AnalysisError(
                    f"dsa by {self.spec.score} compares operators of one size: {calling(features[0].name)} "
                    f"has {len(features[0].values)} delay coordinates, {calling(other.name)} has "
                    f"{len(other.values)}. Set 'rank' to the smaller number, or the score to wasserstein."
                )
        operators = torch.stack([f.values for f in features])
        found = align_all(operators, starts=self.spec.starts)
        if open_ends := int((~found.converged).sum()):
            warnings.warn(
                f"{open_ends} of {len(found.converged)} alignments might still come a little nearer.",
                ConvergenceWarning,
                stacklevel=2,
            )
        i, j = found.pairs.T
        if self.spec.score == "angular":
            values = found.angle
        else:
            size = operators.flatten(1).norm(dim=1)
            values = ((size[i] - size[j]).square() + size[i] * size[j] * found.residual.square()).sqrt()
        distances = operators.new_zeros(len(features), len(features))
        distances[i, j] = values
        return distances
