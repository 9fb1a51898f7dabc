"""fastDSA: delay operators of ranks and delays that the data choose, aligned by descent from the identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.dynamics.descent import Descent, Landing, Penalty, Riemannian, descend
from zoo.analysis.dynamics.hankel import BLOCK, delay_vectors
from zoo.analysis.dynamics.ranks import automatic_delays, hard_thresholds
from zoo.analysis.dynamics.scores import aligned_distances, stacked_operators
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.dynamics import FastDSASpec


class FastDSA(Comparator[FastDSASpec]):
    """The distance of two networks' operators in delay coordinates (fastDSA, arXiv 2511.22828).

    Operators are those of :func:`delay_operator`; :func:`descend` brings them near each other, and by
    ``angular`` the distance is the angle between them, by ``euclidean`` the Frobenius norm of their
    difference. As descent begins at the identity, coordinates are taken to mean the same in all
    networks: those of one recording, or reduced to shared components. Networks of different widths
    are refused; for units in another order or basis see :class:`~zoo.analysis.dynamics.dsa.DSA`.

    Delays and ranks that the data choose are those of each network by itself. Other delays make
    operators of other sizes, which are refused, with the smallest to set.
    """

    aligned = False
    independent = True
    invariances = ("isotropic scaling", "permutation of trials")

    @property
    def measure(self) -> str:
        return {"angular": "fastDSA angle (rad)", "euclidean": "fastDSA distance (Frobenius norm)"}[
            self.spec.score
        ]

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """The ``operator`` ``[delays * unit] * 2``, and the ``delays`` and ``units`` that it is made of."""
        spec = self.spec
        delays = automatic_delays(states) if spec.delays == "automatic" else spec.delays
        dtype = source.states.dtype
        rounding = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
        operator = delay_operator(
            states, delays, spec.interval, spec.rank, spec.ridge, calling(source.name), rounding
        )
        return {
            "operator": operator,
            "delays": torch.tensor(delays),
            "units": torch.tensor(states.shape[2]),
        }

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """``distance``: radians or a norm; and ``residual``, ``bound`` and ``converged`` of
        :class:`~zoo.analysis.dynamics.procrustes.Alignments`."""
        self._check_coordinates(features)
        operators = stacked_operators(features, "fast-dsa")
        found = descend(
            operators, pairs, self._descent, reflections=self.spec.reflections, progress=self.progress
        )
        return aligned_distances(found, operators, self.spec.score)

    @property
    def _descent(self) -> Descent:
        spec = self.spec
        rate = {} if spec.learning_rate is None else {"learning_rate": spec.learning_rate}
        if spec.optimizer == "penalty":
            return Penalty(spec.steps, weight=spec.weight, **rate)
        if spec.optimizer == "landing":
            return Landing(spec.steps, momentum=spec.momentum, **rate)
        return Riemannian(spec.steps, **rate)

    def _check_coordinates(self, features: Sequence[Features]) -> None:
        for part, remedy in (
            ("units", "Compare as many of each, such as principal components"),
            ("delays", "Set 'delays' to the smaller number"),
        ):
            counts = [int(feature.values[part]) for feature in features]
            least, most = (counts.index(pick(counts)) for pick in (min, max))
            if counts[least] != counts[most]:
                raise AnalysisError(
                    f"fast-dsa compares operators in the same delay coordinates: "
                    f"{calling(features[least].name)} has {counts[least]} {part}, "
                    f"{calling(features[most].name)} has {counts[most]}. {remedy}."
                )


def delay_operator(
    states: Tensor,
    delays: int,
    interval: int,
    rank: int | Literal["hard-threshold"],
    ridge: float,
    name: str,
    rounding: float = 0.0,
) -> Tensor:
    """The mean over trials of one-step operators in delay coordinates, ``[delays * unit] * 2``.

    Of each trial by itself, with ``H = Σ σ v uᵀ`` its delay vectors (newest sample first): principal
    component regression ``A = [(V₋ᵀV₋ + ridge·I)⁻¹ V₋ᵀV₊]ᵀ`` of the leading ``V``, carried back to
    ``U S A S⁻¹ Uᵀ``. Unlike eigen-time-delay coordinates, delay coordinates are the same in all trials.

    Args:
        states: ``[trial, time, unit]``, float64.
        rank: Directions kept of each trial; ``hard-threshold`` is the largest of the trials' own, see
            :func:`~zoo.analysis.dynamics.ranks.hard_threshold`, as far as all trials have so many.
        rounding: Relative precision of the data. Directions with less than this share of a trial's
            largest singular value are noise.

    Raises:
        AnalysisError: Trials are too short for the delays or the rank, a trial has fewer directions than
            that, the regression is singular, or no direction stands out of the noise.
    """
    trials, steps, units = states.shape
    width, rows = delays * units, steps - (delays - 1) * interval
    if rows < 2:
        raise AnalysisError(
            f"fast-dsa needs trials of at least {(delays - 1) * interval + 2} steps for {delays} delays at "
            f"interval {interval}; those of {name} have {steps}. Lower 'delays' or 'interval', or give "
            "longer trials."
        )
    blocks = states.split(max(1, BLOCK // (rows * width)))

    def vectors(some: Tensor) -> Tensor:
        return delay_vectors(some, delays, interval, slice(0, rows))

    values = torch.cat([torch.linalg.svdvals(vectors(some)) for some in blocks])
    kept = _rank(values, rows, width, rank, name, rounding)
    operator = states.new_zeros(width, width)
    for some in blocks:
        coordinates, size, directions = torch.linalg.svd(vectors(some), full_matrices=False)
        coordinates, size, directions = coordinates[..., :kept], size[:, :kept], directions[:, :kept]
        before, after = coordinates[:, :-1], coordinates[:, 1:]
        gram = before.mT @ before
        gram.diagonal(dim1=1, dim2=2).add_(ridge)
        try:
            step = torch.linalg.solve(gram, before.mT @ after).mT
        except RuntimeError as problem:  # torch's LinAlgError is one
            raise AnalysisError(
                f"the regression of fast-dsa is singular for {name}. Set 'ridge' above 0, or lower 'rank'."
            ) from problem
        step = size[:, :, None] * step / size[:, None, :]
        operator.addmm_(directions.flatten(0, 1).T, (step @ directions).flatten(0, 1))
    return operator / trials


def _rank(
    values: Tensor, rows: int, width: int, rank: int | Literal["hard-threshold"], name: str, rounding: float
) -> int:
    """How many directions to keep of every trial, by singular values ``[trial, min(rows, width)]``."""
    least = max(rounding, torch.finfo(values.dtype).eps * max(rows, width))
    found = (values > least * values[:, :1]).sum(1)
    most = min(int(found.min()), rows - 1)
    if isinstance(rank, int):
        kept = rank
    elif not (kept := min(int(hard_thresholds(values, rows, width).max()), most)):
        raise AnalysisError(
            f"fast-dsa finds no direction of {name} that stands out of the noise in its delay vectors. "
            "Set 'rank' to a number, or smooth the states."
        )
    if kept > rows - 1:
        raise AnalysisError(
            f"fast-dsa fits each trial by itself, and those of {name} have {rows - 1} transitions for "
            f"{kept} delay coordinates. Give longer trials, or lower 'rank' or 'delays'."
        )
    if kept > most:
        raise AnalysisError(
            f"fast-dsa cannot use rank {kept} for {name}: the delay vectors of its trial "
            f"{int(found.argmin())} have {most} directions that are more than rounding. Set 'rank' to at "
            "most as many, or leave that trial out."
        )
    return kept
