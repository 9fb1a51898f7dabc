"""Models of one shape as one module, whose weights have a leading member axis."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from zoo.models.base import Model, Output


class Stack(nn.Module):
    """Several models that differ in their weights alone, run side by side.

    What it computes for a member is what the member computes by itself, to rounding.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        super().__init__()
        parameters, buffers = stack_module_state(list(models))
        self.names = tuple(parameters)
        self.weights = nn.ParameterList(nn.Parameter(value.detach()) for value in parameters.values())
        self._constants = tuple(buffers)
        for number, value in enumerate(buffers.values()):
            self.register_buffer(f"constant_{number}", value)
        template = copy.deepcopy(models[0]).to("meta").eval()
        template.fused = False  # type: ignore[assignment]
        self._template = [template]  # in a list, so that its weights are not taken for ours

    def __len__(self) -> int:
        return len(self.weights[0])

    @property
    def template(self) -> Model:
        """A model of their kind, without numbers in it."""
        return self._template[0]

    @property
    def like(self) -> Tensor:
        """One of the numbers, for their device and type."""
        return self.weights[0]

    def tensors(self) -> dict[str, Tensor]:
        """All weights and constants by their names in a member, ``[member, …]``."""
        constants = {name: getattr(self, f"constant_{k}") for k, name in enumerate(self._constants)}
        return {**dict(zip(self.names, self.weights, strict=True)), **constants}

    def member(self, index: int) -> dict[str, Tensor]:
        """The state dict of one of them."""
        return {name: value[index].detach() for name, value in self.tensors().items()}

    def forward(self, x: Tensor, noise: Tensor | None = None, shared: bool = False) -> Output:
        """``y`` ``[member, batch, time, output]`` and the first part of the states, for inputs ``x``
        ``[member, batch, time, input]`` and noise ``[member, batch, time, units]``, if any.

        ``shared``: all get the same inputs, ``[batch, time, input]``.
        """
        first = self.template.exposed

        def one(weights: Mapping[str, Tensor], x: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
            output = functional_call(self.template, dict(weights), (x,), {"noise": noise})
            return output.y, output.states[first]

        over = (0, None if shared else 0, None if noise is None else 0)
        y, states = vmap(one, over)(self.tensors(), x, noise)
        return Output(y, {first: states})


def stack(values: Sequence[Tensor | None]) -> Tensor | None:
    """Tensors of all members with a leading member axis; none where there are none."""
    found = [value for value in values if value is not None]
    return torch.stack(found) if found else None
