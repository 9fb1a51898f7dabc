"""How well one network's activity is predicted from another's by a linear map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.analysis.base import Comparator, Features
from zoo.analysis.geometry.repeats import averaged
from zoo.analysis.geometry.shape import cross_covariances, padded
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import LinearPredictivitySpec

ROUNDING = 1e-14
"""What is left of the variance, as a share, where a fit is perfect."""


class LinearPredictivity(Comparator[LinearPredictivitySpec]):
    """One minus the cross-validated score of ridge regression, averaged over both directions.

    ``r2`` is ``1 - Σ(y - ŷ)² / Σ(y - ȳ)²`` over all units and all held-out samples together; ``correlation``
    the mean over units of Pearson's r between held-out samples and their predictions. With ``repeats``, the
    noise that averages over repeats still have, is not held against the prediction: the variance that it
    explains is subtracted above and below (Cadena et al. 2019's explainable variance), and each unit's
    correlation is divided by the square root of its reliability. Not a metric.

    All that a fold needs of a pair is the product of the two networks' samples in it: residuals, scores and
    generalised cross-validation follow from it in the eigenbasis of each network, once a network.
    """

    independent = True
    invariances: tuple[str, ...] = ("isotropic scaling", "translation")

    def __init__(self, spec: LinearPredictivitySpec) -> None:
        super().__init__(spec)
        rotation = "orthogonal" if spec.score == "r2" else "permutation of units"
        self.invariances = (rotation, *type(self).invariances)

    @property
    def measure(self) -> str:
        score = {"r2": "R²", "correlation": "r"}[self.spec.score]
        ceiling = " over the noise ceiling" if self.spec.repeats else ""
        return f"Linear predictivity distance (1 − {score}{ceiling})"

    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """What each fold needs of a network.

        ``shape`` ``[fold, sample, unit]``, padded with zeros; ``counts`` ``[fold]`` of samples; ``sums``
        ``[fold, unit]``; of the samples that are fitted to, ``means`` ``[fold, unit]`` and eigenvectors
        ``vectors`` ``[fold, unit, unit]`` with ``values`` ``[fold, unit]``; the held-out scatter around those
        means in that basis ``held`` ``[fold, unit, unit]``; ``total`` ``[unit]``, the sum of squares, and
        ``reliable`` ``[unit]``. Raises :class:`AnalysisError` for too few samples, and for repeats that there
        are not or that do not agree.
        """
        name, reliable = calling(source.name), states.new_ones(states.shape[2])
        if self.spec.repeats is not None:
            states, reliable = averaged(states, source, self.spec.repeats, self.spec.kind)
        trials, steps, _ = states.shape
        folds = self.spec.folds
        if max(trials, steps) < folds or trials * steps < 2 * folds:
            raise AnalysisError(
                f"{self.spec.kind} holds out {folds} parts in turn, and {name} has {trials} trials × {steps} "
                "steps. Give more trials or longer ones, or fewer 'folds'."
            )
        states = states / states.abs().max()
        states = states - states.mean((0, 1))
        if trials >= folds:
            parts = [states[fold::folds].flatten(0, 1) for fold in range(folds)]
        else:
            parts = [part.flatten(0, 1) for part in states.tensor_split(folds, 1)]
        shape = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        counts = states.new_tensor([len(part) for part in parts])
        sums, scatter = shape.sum(1), shape.mT @ shape
        fitted = (counts.sum() - counts)[:, None]
        means = (sums.sum(0) - sums) / fitted
        values, vectors = torch.linalg.eigh(
            scatter.sum(0) - scatter - fitted[..., None] * _outer(means, means)
        )
        between = _outer(sums, means)
        held = scatter - between - between.mT + counts[:, None, None] * _outer(means, means)
        return {
            "shape": shape,
            "counts": counts,
            "sums": sums,
            "means": means,
            "vectors": vectors,
            "values": values.clamp(min=0),
            "held": vectors.mT @ held @ vectors,
            "total": scatter.sum(0).diagonal(),
            "reliable": reliable,
        }

    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """One minus the mean score, not below 0."""
        names = [name for name in features[0].values if name != "shape"]
        networks = _Folds(**{name: padded(features, name, pairs) for name in names})
        penalties = pairs.new_tensor(sorted(self.spec.penalties), dtype=torch.float64)
        score = pairs.new_zeros(len(pairs), dtype=torch.float64)
        # Nine matrices a fold are held at once, where it matters.
        for rows, product in cross_covariances(features, pairs, share=8):
            a, b = (networks.of(side) for side in pairs[rows].T)
            there = self._score(a, b, product, penalties)
            score[rows] = (there + self._score(b, a, product.mT, penalties)) / 2
        return {"distance": (1 - score).clamp(min=0)}

    def _score(self, x: _Folds, y: _Folds, product: Tensor, penalties: Tensor) -> Tensor:
        """Of predicting ``y`` from ``x``, ``[pair]``; ``product`` is ``[pair, fold, x, y]`` in each fold."""
        fitted = (x.counts.sum(1, keepdim=True) - x.counts)[..., None]  # samples [pair, fold, 1]
        centre = fitted[..., None] * _outer(x.means, y.means)
        train = x.vectors.mT @ (product.sum(1, keepdim=True) - product - centre)
        seen = x.sums - x.counts[..., None] * x.means  # of x - x̄ over held-out samples
        held = product - _outer(x.means, y.sums)  # of (x - x̄) y
        penalty = self._penalty(x, y, train.square().sum(-1), fitted, penalties)
        weights = train / (x.values + penalty)[..., None]  # [pair, fold, direction of x, unit of y]
        cross = ((x.vectors.mT @ held) * weights).sum(2)  # of ŷ - ȳ with y, [pair, fold, y]
        size = (weights * (x.held @ weights)).sum(2)
        sums = (_turned(x, seen)[..., None] * weights).sum(2)
        counts = x.counts[..., None]
        # Predictions ŷ = ȳ + (x - x̄) W: their sum, square, and product with y, over all folds.
        first = (sums + counts * y.means).sum(1)
        square = (size + 2 * y.means * sums + counts * y.means.square()).sum(1)
        both = (cross + y.means * y.sums).sum(1)
        if self.spec.score == "r2":
            rest = (y.total - 2 * both + square).sum(1)
            noise = (y.total * (1 - y.reliable)).sum(1)
            return 1 - (rest - noise) / (y.total.sum(1) - noise)
        variance = (square - first.square() / counts.sum(1)).clamp(min=0)
        counted = (y.total > ROUNDING * y.total.sum(1, keepdim=True)) & (y.reliable > 0)
        spread = (variance * y.total * y.reliable).sqrt()
        correlation = torch.where(spread > 0, both / spread.clamp(min=1e-300), 0)
        return (correlation * counted).sum(1) / counted.sum(1)

    def _penalty(self, x: _Folds, y: _Folds, strength: Tensor, fitted: Tensor, penalties: Tensor) -> Tensor:
        """What generalised cross-validation chooses ``[pair, fold, 1]``: least ``SSE / (n - 1 - df)²``.

        ``strength`` ``[pair, fold, direction]`` is the squared covariance of each direction with all units.
        """
        variance = x.values.sum(-1, keepdim=True)
        whole = y.values.sum(-1)[..., None]
        strengths = variance * penalties  # [pair, fold, penalty]
        error = torch.empty_like(strengths)
        for number in range(len(penalties)):
            penalty = strengths[..., number, None]
            damped = x.values + penalty
            rest = whole - (strength * (x.values + 2 * penalty) / damped.square()).sum(-1, keepdim=True)
            freedom = fitted - 1 - (x.values / damped).sum(-1, keepdim=True)
            fits = rest.clamp(min=ROUNDING * whole) / freedom.square()
            error[..., number] = torch.where(freedom > 0, fits, torch.inf)[..., 0]
        return strengths.gather(-1, error.argmin(-1, keepdim=True))


@dataclass(frozen=True)
class _Folds:
    """What folds need of many networks, see :meth:`LinearPredictivity.extract`; ``[network, …]``."""

    counts: Tensor
    sums: Tensor
    means: Tensor
    vectors: Tensor
    values: Tensor
    held: Tensor
    total: Tensor
    reliable: Tensor

    def of(self, numbers: Tensor) -> _Folds:
        """Of the networks of these numbers, some more than once."""
        return _Folds(**{name: value[numbers] for name, value in vars(self).items()})


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a[..., :, None] * b[..., None, :]


def _turned(x: _Folds, rows: Tensor) -> Tensor:
    """Rows ``[pair, fold, unit]`` in the eigenbasis."""
    return (x.vectors.mT @ rows[..., None])[..., 0]
