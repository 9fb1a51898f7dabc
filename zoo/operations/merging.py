"""Merging of networks whose units are in different orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from zoo.errors import DerivationError
from zoo.models.symmetry import permuted
from zoo.network import Network
from zoo.operations.base import Operation, alike, combined
from zoo.operations.matching import match
from zoo.specs.operations.merging import MergeSpec


class Merge(Operation):
    """The mean of networks, once their units are in the order of the first parent's."""

    spec: MergeSpec

    def apply(self, parents: Sequence[Network]) -> Mapping[str, Tensor]:
        weights = alike(parents)
        first = parents[0]
        units = first.model.symmetries()
        if not units:
            raise DerivationError(
                f"the units of {first.name}, a {first.experiment.model.kind}, cannot change places: "
                "merging takes models that say which may change places, which are mlp and, without "
                "constraints, elman, rate and linear. As they are, networks are averaged by: interpolate"
            )
        missing = [name for group in units for name, _ in group.axes if name not in weights[0]]
        if missing:
            raise DerivationError(
                f"{missing[0]} of {first.name} is not learned, so its units cannot change places. Take "
                "networks whose weights are all trained, or average them as they are, by: interpolate"
            )
        aligned = [weights[0]]
        for other in weights[1:]:
            orders = match(weights[0], other, units, self.spec.rounds, self.spec.seed)
            aligned.append(permuted(other, units, orders))
        return combined(aligned, self.spec.shares(len(parents)))
