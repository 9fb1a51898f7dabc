"""The curves that a network's record has of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import AnalysisError, calling, cut
from zoo.registry import suggest
from zoo.specs.record import Curve

if TYPE_CHECKING:
    from zoo.network import Network


def curve_of(network: Network) -> Curve:
    """All curves of a network. Raises :class:`AnalysisError` where it has no record."""
    record = network.record
    if record is None or not record.curve:
        raise AnalysisError(
            f"{calling(network.name)} has no record of its training; ask one that was trained and published."
        )
    return record.curve[int(network.digest.rpartition("/")[2] or 0)]  # which ends in the member's number


def values_of(curve: Curve, metric: str, network: Network) -> np.ndarray:
    """One curve ``[step]``, not a number where it was not finite.

    Raises :class:`AnalysisError` where there is none of that name.
    """
    if metric not in curve.values:
        raise AnalysisError(
            f"the record of {calling(network.name)} has no curve {metric!r}."
            f"{suggest(metric, curve.values)} It has: {cut(', '.join(curve.values), 1000)}. "
            "Splits are added by record.curve before training."
        )
    return np.array([np.nan if value is None else value for value in curve.values[metric]])
