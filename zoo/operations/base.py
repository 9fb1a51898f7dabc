"""The contract of an operation: the weights of one network from those of others, the same each time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DerivationError, brief, cut
from zoo.network import Network
from zoo.specs.families import OperationSpec


class Operation(ABC):
    """Built from its spec alone. A new one gives :meth:`apply`."""

    def __init__(self, spec: Any) -> None:
        self.spec: OperationSpec = spec

    @abstractmethod
    def apply(self, parents: Sequence[Network]) -> Mapping[str, Tensor]:
        """What is other than in the first parent: tensors of its model by name, of the same shapes and types.

        The parents are on the CPU, one an operand, and are left as they are. Equal parents give equal bits:
        sums are taken in a fixed order, in double precision. Raises :class:`DerivationError` for parents that
        it cannot be applied to, naming what it could be.
        """


def learned(network: Network) -> dict[str, Tensor]:
    """The tensors that training has changed, by name: parameters, or else what a rule in closed form stored.

    Raises :class:`DerivationError` where nothing was learned.
    """
    model = network.model
    found = {name: value.detach() for name, value in model.named_parameters()}
    if not found and network.experiment.learner.learns:
        state = model.state_dict()
        found = {name: value for name, value in state.items() if value.is_floating_point()}
    if not found:
        raise DerivationError(
            f"{network.name} is a {network.experiment.model.kind} that has learned nothing, so there are no "
            "weights to work on. Take a trained network: zoo list --kind checkpoint"
        )
    return found


def alike(parents: Sequence[Network]) -> list[dict[str, Tensor]]:
    """What each parent has learned, where their weights mean the same: one shape, and all else equal.

    Raises :class:`DerivationError` with the first difference.
    """
    first, *others = parents
    held, weights = first.model.state_dict(), [learned(parent) for parent in parents]
    for other in others:
        theirs = other.model.state_dict()
        kinds = [each.experiment.model.kind for each in (first, other)]
        why = "" if kinds[0] == kinds[1] else f"they are a {kinds[0]} and a {kinds[1]}"
        for name in sorted(held.keys() | theirs.keys()):
            if why:
                break
            if name not in held or name not in theirs:
                why = f"only one of them has {name}"
            elif held[name].shape != theirs[name].shape:
                why = (
                    f"{name} is {tuple(held[name].shape)} in one and {tuple(theirs[name].shape)} in the other"
                )
            elif name not in weights[0] and not torch.equal(held[name], theirs[name]):
                why = f"they have another {name}, which is not learned"
        if why:
            raise DerivationError(
                f"the weights of {first.name} and {other.name} do not go together: {cut(why, 200)}. Take "
                "networks of one model, such as members of a population."
            )
    return weights


def combined(weights: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Σ shareᵢ θᵢ, in double precision and in the order of the parents; by name, in the type of the first."""
    found = {}
    for name, first in weights[0].items():
        wide = torch.complex128 if first.is_complex() else torch.float64
        total = torch.zeros(first.shape, dtype=wide)
        for each, share in zip(weights, shares, strict=True):
            total = total + each[name].to(wide) * share
        if not bool(torch.isfinite(total.to(first.dtype)).all()):
            raise DerivationError(
                f"{brief(name)} would have numbers that are not finite. Take smaller weights."
            )
        found[name] = total.to(first.dtype)
    return found
