"""Distances of operators, from their spectra or from the best change of basis, for all who fit operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from zoo.analysis.base import Features
from zoo.analysis.dynamics.procrustes import Alignments
from zoo.analysis.dynamics.transport import transport_costs
from zoo.errors import AnalysisError, calling


def spectral_distances(features: Sequence[Features], pairs: Tensor, order: int, squared: bool) -> Tensor:
    """``W_order`` (or its square) between the ``eigenvalues`` of pairs of networks, ``[pair]``."""
    clouds = [feature.values["eigenvalues"].cpu().numpy() for feature in features]
    costs = torch.from_numpy(transport_costs(clouds, order, pairs.cpu().numpy()))
    return costs.sqrt() if order == 2 and not squared else costs


def stacked_operators(features: Sequence[Features], kind: str) -> Tensor:
    """The ``operator`` of each network, ``[network, n, n]``. Raises :class:`AnalysisError` on other sizes."""
    operators = [feature.values["operator"] for feature in features]
    smallest, largest = (pick(range(len(operators)), key=lambda k: len(operators[k])) for pick in (min, max))
    if len(operators[smallest]) != len(operators[largest]):
        raise AnalysisError(
            f"{kind} aligns operators of one size: {calling(features[smallest].name)} has "
            f"{len(operators[smallest])} coordinates, {calling(features[largest].name)} has "
            f"{len(operators[largest])}. Set the same 'rank' and 'delays' for all; the first has the fewest."
        )
    return torch.stack([operator.to(operators[0].device) for operator in operators])


def aligned_distances(
    found: Alignments, operators: Tensor, score: Literal["angular", "euclidean"]
) -> Mapping[str, Tensor]:
    """``distance`` ``[pair]``, an angle or a norm, with ``residual``, ``bound`` and ``converged``."""
    distance = found.angle
    if score == "euclidean":
        size = operators.flatten(1).norm(dim=1)
        a, b = size[found.pairs].T
        distance = ((a - b).square() + a * b * found.residual.square()).sqrt()
    return {
        "distance": distance,
        "residual": found.residual,
        "bound": found.bound,
        "converged": found.converged,
    }
