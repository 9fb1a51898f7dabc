"""Dynamical similarity analysis: Hankel operators, by their spectra or up to a change of basis."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.dynamics.hankel import hankel_operator
from zoo.analysis.dynamics.procrustes import Alignments, align, align_all
from zoo.analysis.dynamics.ranks import automatic_delays
from zoo.analysis.dynamics.scores import aligned_distances, spectral_distances, stacked_operators
from zoo.errors import AnalysisError, ConvergenceWarning, calling
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
    ragged = True
    version = 3
    invariances = ("orthogonal", "isotropic scaling", "permutation of trials")

    def __init__(self, spec: DSASpec) -> None:
        super().__init__(spec)
        self.independent = spec.score == "wasserstein"

    @property
    def measure(self) -> str:
        if self.spec.score != "wasserstein":
            return {"angular": "DSA angle (rad)", "euclidean": "DSA distance (Frobenius norm)"}[
                self.spec.score
            ]
        symbol = {(1, False): "W₁", (2, False): "W₂", (2, True): "W₂²"}[self.spec.order, self.spec.squared]
        return f"DSA distance ({symbol} between eigenvalues)"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """The ``operator`` ``[rank, rank]``, or its complex ``eigenvalues`` ``[rank]``."""
        spec, dtype = self.spec, source.states.dtype
        # What float64 arithmetic would take for signal in states of single precision is rounding.
        rounding = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
        if spec.delays != "automatic":
            delays = spec.delays
        elif source.lengths is None:
            delays = automatic_delays(states)
        else:
            raise AnalysisError(
                f"the delays of {calling(source.name)} cannot be chosen automatically, as its trials differ "
                "in length. Set 'delays' to a number."
            )
        operator = hankel_operator(
            states,
            delays,
            spec.interval,
            spec.rank,
            spec.ridge,
            calling(source.name),
            rounding,
            reduced=spec.regression == "reduced-rank",
            lengths=source.lengths,
        )
        if spec.score == "wasserstein":
            return {"eigenvalues": torch.linalg.eigvals(operator)}
        return {"operator": operator}

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """``distance``: radians, a norm, W₁ or W₂ in units of eigenvalues, or W₂² in their square.

        By ``angular`` and ``euclidean`` also ``residual``, ``bound`` and ``converged``, see
        :class:`~zoo.analysis.dynamics.procrustes.Alignments`; warns (:class:`ConvergenceWarning`) where a
        search ended early.
        """
        spec = self.spec
        if spec.score == "wasserstein":
            return {"distance": spectral_distances(features, pairs, spec.order, spec.squared)}
        operators = stacked_operators(features, f"dsa by {spec.score}")
        whole = len(pairs) == len(features) * (len(features) - 1) // 2
        search: Callable[..., Alignments] = align_all if whole else partial(align, pairs=pairs)
        found = search(operators, starts=spec.starts, progress=self.progress, spread=self.spread)
        if open_ends := int((~found.converged).sum()):
            warnings.warn(
                f"{open_ends} of {len(found.converged)} alignments might still come a little nearer.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return aligned_distances(found, operators, spec.score)
