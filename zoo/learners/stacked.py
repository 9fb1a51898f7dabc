"""Gradient descent on several networks at once: each with its own rates, none touching another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.learners.backprop import make_optimizer
from zoo.specs.learners.backprop import AdamSpec, AdamWSpec, SGDSpec

OptimizerSpec = AdamSpec | AdamWSpec | SGDSpec


def stacked_optimizer(
    specs: Sequence[OptimizerSpec], parameters: list[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizers of all members, for parameters with a leading member axis.

    The specs may differ in ``lr`` and ``weight_decay``.
    """
    if all(spec == specs[0] for spec in specs):
        return make_optimizer(specs[0], parameters)
    return StackedOptimizer(specs, parameters)


@torch.no_grad()
def clip_members(parameters: Sequence[torch.nn.Parameter], most: float) -> None:
    """Scale the gradients of each member to a norm of at most ``most``, as ``clip_grad_norm_`` does."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    scale = (most / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(_column(scale, gradient))


class StackedOptimizer(torch.optim.Optimizer):
    """Adam, AdamW or SGD with rates of its own for each entry of the leading axis.

    ``lr`` of its only group is a factor on all of them, which schedules set.
    """

    def __init__(self, specs: Sequence[OptimizerSpec], parameters: list[torch.nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 1.0})
        self.spec = specs[0]
        self.rates = [spec.lr for spec in specs]
        self.decays = [getattr(spec, "weight_decay", 0.0) for spec in specs]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        for parameter in group["params"]:
            if parameter.grad is not None:
                rate = group["lr"] * _column(torch.tensor(self.rates, dtype=torch.float64), parameter)
                decay = _column(torch.tensor(self.decays, dtype=torch.float64), parameter)
                if isinstance(self.spec, SGDSpec):
                    self._sgd(self.spec, parameter, rate, decay)
                else:
                    self._adam(self.spec, parameter, rate, decay)
        return loss

    def _adam(self, spec: AdamSpec | AdamWSpec, parameter: Tensor, rate: Tensor, decay: Tensor) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        parameter.mul_(1 - rate * decay)
        mean = state["mean"].lerp_(gradient, 1 - spec.betas[0])
        square = state["square"].mul_(spec.betas[1]).addcmul_(gradient, gradient, value=1 - spec.betas[1])
        first, second = (1 - beta ** state["step"] for beta in spec.betas)
        parameter.sub_(rate / first * mean / (square.sqrt() / math.sqrt(second) + spec.eps))

    def _sgd(self, spec: SGDSpec, parameter: Tensor, rate: Tensor, decay: Tensor) -> None:
        assert parameter.grad is not None
        change, state = parameter.grad + decay * parameter, self.state[parameter]
        if spec.momentum:
            if "momentum" not in state:
                state["momentum"] = change.clone()
            else:
                state["momentum"].mul_(spec.momentum).add_(change)
            kept = state["momentum"]
            change = change + spec.momentum * kept if spec.nesterov else kept
        parameter.sub_(rate * change)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """One number a member, shaped and typed so that it goes with a tensor ``[member, …]``."""
    return values.to(like.device, like.dtype).view(-1, *[1] * (like.dim() - 1))
