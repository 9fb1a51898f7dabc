"""Layers set back to what they were, or drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from zoo.errors import DerivationError
from zoo.network import Network, build
from zoo.operations.base import Operation, alike, learned
from zoo.registry import glob, suggest
from zoo.specs.operations.resetting import ResetSpec


class Reset(Operation):
    """Some layers of a network as they were before, the others as they are."""

    spec: ResetSpec

    def apply(self, parents: Sequence[Network]) -> Mapping[str, Tensor]:
        trained = parents[0]
        names = chosen(trained, self.spec.layers)
        if len(parents) == 2:
            source = alike(parents)[1]
        else:
            experiment = trained.experiment
            if self.spec.seed is not None:
                train = experiment.train.model_copy(update={"seed": self.spec.seed})
                experiment = experiment.model_copy(update={"train": train})
            source = build(experiment).model.state_dict()
        return {name: source[name] for name in names}


def chosen(network: Network, layers: Sequence[str]) -> list[str]:
    """The learned tensors that names stand for, in the order of the model.

    Raises :class:`DerivationError` for a name that stands for none, with those that there are.
    """
    known = list(learned(network))
    found: set[str] = set()
    for layer in layers:
        matched = [name for name in known if name.startswith(f"{layer}.")]
        matched = matched or [name for name in known if glob(layer, [name])]
        if not matched:
            modules = [name.rpartition(".")[0] for name in known if "." in name]
            raise DerivationError(
                f"{network.name} has no layer {layer!r}.{suggest(layer, [*known, *modules])} "
                f"It has: {', '.join(known)}."
            )
        found.update(matched)
    return [name for name in known if name in found]
