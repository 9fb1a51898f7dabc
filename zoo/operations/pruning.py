"""Magnitude pruning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo.errors import DerivationError
from zoo.network import Network
from zoo.operations.base import Operation, learned
from zoo.specs.operations.pruning import PruneSpec


class Prune(Operation):
    """The smallest weights become zero."""

    spec: PruneSpec

    def apply(self, parents: Sequence[Network]) -> Mapping[str, Tensor]:
        matrices = weight_matrices(parents[0])
        if self.spec.among == "matrix":
            return {name: _pruned(value, self.spec.fraction) for name, value in matrices.items()}
        flat = torch.cat([value.flatten() for value in matrices.values()])
        parts = _pruned(flat, self.spec.fraction).split([value.numel() for value in matrices.values()])
        return {
            name: part.reshape(value.shape)
            for (name, value), part in zip(matrices.items(), parts, strict=True)
        }


def weight_matrices(network: Network) -> dict[str, Tensor]:
    """The learned tensors of two axes or more, by name.

    Raises :class:`DerivationError` where there are none.
    """
    found = {name: value for name, value in learned(network).items() if value.ndim > 1}
    if not found:
        raise DerivationError(
            f"{network.name} is a {network.experiment.model.kind} that has learned no matrix, so it has no "
            "weights to prune. Take a network that has: zoo list --kind checkpoint"
        )
    return found


def _pruned(values: Tensor, fraction: float) -> Tensor:
    flat = values.flatten().clone()
    count = int(fraction * flat.numel())
    flat[flat.abs().sort(stable=True).indices[:count]] = 0
    return flat.reshape(values.shape)
