"""Networks of layers: one pass from the input to the output, with a site after each layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.models.base import Model, Output

At = Callable[[str, Tensor], Tensor]
"""``at(site, value) -> value``: says what a site holds, and gives it back as interventions leave it."""


@dataclass(frozen=True)
class Layer:
    """One layer of a chain, as a function of the model's tensors by name: h = after(scale · W below + b)."""

    weight: str
    bias: str | None
    scale: float = 1.0
    after: Callable[[Mapping[str, Tensor], Tensor], Tensor] = lambda others, drive: drive
    """What follows, from the tensors in ``others`` and the drive ``[batch, time, units]``."""
    others: tuple[str, ...] = ()

    def drive(self, weights: Mapping[str, Tensor], below: Tensor) -> Tensor:
        """scale · W below + b, ``[batch, time, units]`` from ``[batch, time, inputs of the layer]``."""
        drive = self.scale * (below @ weights[self.weight].mT)
        return drive if self.bias is None else drive + weights[self.bias]


class Layered(Model):
    """A model that does not iterate over time. A new one gives ``hidden`` and ``compute``."""

    @property
    @abstractmethod
    def hidden(self) -> tuple[str, ...]:
        """The sites between the input and the output, from the first to the last."""

    @abstractmethod
    def compute(self, x: Tensor, at: At) -> Tensor:
        """The output ``[batch, time, outputs]`` of ``x`` ``[batch, time, inputs]``.

        Passes every value ``[batch, time, width]`` that is a hidden site through ``at``.
        """

    def layers_in_chain(self) -> tuple[Layer, ...]:
        """Its layers from the input to the readout, where each has one matrix and feeds the next alone: what
        rules need that send errors from layer to layer. The spec of such a model ``offers`` layers."""
        raise NotImplementedError(f"{type(self).__name__} is no chain of layers")

    def disturb(self, site: str, value: Tensor, noise: Tensor) -> Tensor:
        """What a site ``[batch, time, width]`` holds with the noise ``[batch, time, …]`` of a pass; most
        models have none."""
        return value

    def cost(self, states: Mapping[str, Tensor]) -> Tensor | None:
        """What a pass costs a learner beside its loss, from what all sites hold; most cost nothing."""
        return None

    @property
    def sites(self) -> tuple[str, ...]:
        return ("input", *self.hidden, "output")

    @property
    def exposed(self) -> str:
        return self.hidden[-1]

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Output:
        """Outputs and states for inputs ``x`` ``[batch, time, inputs]``."""
        states: dict[str, Tensor] = {}
        if noise is None and self.training:
            noise = self.noise(x.shape[0], x.shape[1])

        def at(site: str, value: Tensor) -> Tensor:
            if noise is not None:
                value = self.disturb(site, value, noise)
            change = self._interventions.get(site)
            if change is not None:
                value = torch.stack([change(now, t) for t, now in enumerate(value.unbind(1))], 1)
            states[site] = value
            return value

        y = at("output", self.compute(at("input", x), at))
        self._captured(states)
        del states["output"]
        return Output(y, states, self.cost(states))
