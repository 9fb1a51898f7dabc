"""Models of one shape as one module, whose weights have a leading member axis."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from zoo.models.base import Model, Output


class Stack(nn.Module):
    """Several models that differ in their weights alone, and what their kind says, run side by side.

    What it computes for a member is what the member computes by itself, to rounding.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        super().__init__()
        self.specs = [model.spec for model in models]
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

    def keep(self, members: Sequence[int]) -> None:
        """Let all other members go; the parameters stay the same objects."""
        self.specs = [self.specs[member] for member in members]
        for weight in self.weights:
            weight.data, weight.grad = weight.data[members], None
        for number in range(len(self._constants)):
            name = f"constant_{number}"
            setattr(self, name, getattr(self, name)[members])

    def forward(
        self,
        x: Tensor,
        noise: Tensor | None = None,
        shared: bool = False,
        states: bool = True,
        members: Sequence[int] | None = None,
    ) -> Output:
        """``y`` ``[member, batch, time, output]`` and, if ``states``, what is exposed of the states.

        For inputs ``x`` ``[member, batch, time, input]`` and noise ``[member, batch, time, units]``, if any.

        ``shared``: all get the same inputs, ``[batch, time, input]``; ``members``: of these alone. Only first
        derivatives, with respect to the weights.
        """
        specs, tensors = self.specs, self.tensors()
        if members is not None and len(members) < len(self):
            specs = [specs[member] for member in members]
            tensors = {name: value[members] for name, value in tensors.items()}
        found = self.template.many(specs, tensors, x, noise, states)
        y, exposed, *cost = self._mapped(tensors, x, noise, shared) if found is None else found
        return Output(y, {} if exposed is None else {self.template.exposed: exposed}, *cost)

    def _mapped(
        self, tensors: Mapping[str, Tensor], x: Tensor, noise: Tensor | None, shared: bool
    ) -> tuple[Tensor, ...]:
        """A pass of all, for any model: outputs, what is exposed, and what it costs, if anything."""
        site = self.template.exposed

        def one(weights: Mapping[str, Tensor], x: Tensor, noise: Tensor | None) -> tuple[Tensor, ...]:
            output = functional_call(self.template, dict(weights), (x,), {"noise": noise})
            return output.y, output.states[site], *(() if output.cost is None else (output.cost,))

        over = (0, None if shared else 0, None if noise is None else 0)
        found: tuple[Tensor, ...] = vmap(one, over)(tensors, x, noise)
        return found


def stack(values: Sequence[Tensor | None]) -> Tensor | None:
    """Tensors of all members with a leading member axis, zeros for those without; none where none has any."""
    like = next((value for value in values if value is not None), None)
    if like is None:
        return None
    return torch.stack([torch.zeros_like(like) if value is None else value for value in values])
