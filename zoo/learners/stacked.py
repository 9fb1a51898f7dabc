"""Gradient descent on several networks at once: each with its own rates, none touching another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.learners.backprop import make_optimizer
from zoo.learners.base import Learner
from zoo.specs.learners.backprop import AdamSpec, AdamWSpec, SGDSpec

OptimizerSpec = AdamSpec | AdamWSpec | SGDSpec
Factor = Callable[[int], float]
"""On a learning rate, by the number of the step."""


def stacked_optimizer(
    specs: Sequence[OptimizerSpec],
    parameters: list[torch.nn.Parameter],
    factors: Sequence[Factor | None] | None = None,
) -> torch.optim.Optimizer:
    """The optimizers of all members, for parameters with a leading member axis.

    The specs, of one kind, may differ in all numbers. ``factors`` are the schedules of the members, where
    they are not the same for all (then they are for a scheduler of torch to set).
    """
    if factors is None and all(spec == specs[0] for spec in specs):
        return make_optimizer(specs[0], parameters)
    return StackedOptimizer(specs, parameters, factors)


@torch.no_grad()
def clip_members(parameters: Sequence[torch.nn.Parameter], most: Tensor) -> None:
    """Scale the gradients of each member to a norm of at most ``most`` ``[member]``, as ``clip_grad_norm_``
    does."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    scale = (most.to(norms) / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(_column(scale, gradient))


class StackedOwned(nn.Module):
    """What the learners of several networks own beside them, with a leading member axis."""

    def __init__(self, learners: Sequence[Learner]) -> None:
        super().__init__()
        first = learners[0].own() if learners else {}
        trains = (
            {name for name, value in learners[0].named_parameters() if value.requires_grad} if first else ()
        )
        self.names = tuple(first)
        self.values = nn.ParameterList(
            nn.Parameter(torch.stack([each.own()[name] for each in learners]), requires_grad=name in trains)
            for name in self.names
        )

    def tensors(self) -> dict[str, Tensor]:
        """All by name, ``[member, …]``."""
        return {name: value.detach() for name, value in zip(self.names, self.values, strict=True)}

    def learned(self) -> dict[str, nn.Parameter]:
        """Those that the learners change."""
        return {name: each for name, each in zip(self.names, self.values, strict=True) if each.requires_grad}

    def member(self, index: int) -> dict[str, Tensor]:
        """What one of them owns."""
        return {name: value[index] for name, value in self.tensors().items()}

    def keep(self, members: Sequence[int]) -> None:
        """Let all others go; the parameters stay the same objects."""
        for value in self.values:
            value.data, value.grad = value.data[members], None


class StackedOptimizer(torch.optim.Optimizer):
    """Adam, AdamW or SGD with numbers of its own for each entry of the leading axis.

    ``lr`` of its only group is a factor on all of their rates, which schedules set.
    """

    def __init__(
        self,
        specs: Sequence[OptimizerSpec],
        parameters: list[torch.nn.Parameter],
        factors: Sequence[Factor | None] | None = None,
    ) -> None:
        super().__init__(parameters, {"lr": 1.0})
        self.specs = list(specs)
        self.factors = list(factors or [None] * len(specs))
        self._columns: dict[tuple[str, tuple[int, ...], torch.dtype, torch.device], Tensor] = {}

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members, to which the parameters have been cut already."""
        self.specs = [self.specs[k] for k in members]
        self.factors = [self.factors[k] for k in members]
        self._columns.clear()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        for parameter in group["params"]:
            if parameter.grad is not None:
                state = self.state[parameter]
                count = state["step"] = state.get("step", 0) + 1
                rate = group["lr"] * self._of("lr", parameter)
                if any(self.factors):
                    factors = [1.0 if factor is None else factor(count - 1) for factor in self.factors]
                    rate = rate * _column(torch.tensor(factors, dtype=torch.float64), parameter)
                if isinstance(self.specs[0], SGDSpec):
                    self._sgd(parameter, parameter.grad, state, rate)
                else:
                    self._adam(parameter, parameter.grad, state, rate)
        return loss

    def _adam(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], rate: Tensor) -> None:
        if "mean" not in state:
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        first, second = self._of("betas.0", parameter), self._of("betas.1", parameter)
        if isinstance(self.specs[0], AdamWSpec):
            parameter.mul_(1 - rate * self._of("weight_decay", parameter))
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].mul_(second).addcmul_((1 - second) * gradient, gradient)
        count = state["step"]
        reach = [[1 - beta**count for beta in spec.betas] for spec in self.specs]  # type: ignore[union-attr]
        near, far = (
            _column(torch.tensor(each, dtype=torch.float64), parameter) for each in zip(*reach, strict=True)
        )
        parameter.sub_(rate / near * mean / ((square / far).sqrt_() + self._of("eps", parameter)))

    def _sgd(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], rate: Tensor) -> None:
        change = gradient + self._of("weight_decay", parameter) * parameter
        if any(spec.momentum for spec in self.specs):  # type: ignore[union-attr]
            momentum = self._of("momentum", parameter)
            if "momentum" not in state:
                state["momentum"] = change.clone()
            else:
                state["momentum"].mul_(momentum).add_(change)
            kept = state["momentum"]
            change = change + momentum * kept if self.specs[0].nesterov else kept  # type: ignore[union-attr]
        parameter.sub_(rate * change)

    def _of(self, field: str, like: Tensor) -> Tensor:
        """A number of each member's spec, in a shape that goes with a parameter."""
        key = (field, tuple(like.shape), like.dtype, like.device)
        if key not in self._columns:
            name, _, place = field.partition(".")
            values = [getattr(spec, name) for spec in self.specs]
            numbers = [value[int(place)] for value in values] if place else values
            self._columns[key] = _column(torch.tensor(numbers, dtype=torch.float64), like)
        return self._columns[key]


def _column(values: Tensor, like: Tensor) -> Tensor:
    """One number a member, shaped and typed so that it goes with a tensor ``[member, …]``."""
    return values.to(like.device, like.dtype).view(-1, *[1] * (like.dim() - 1))
