"""Passes through time that keep what rules need of them, as functions of a model's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp

from zoo.models.base import Model
from zoo.models.cells import Readable
from zoo.models.dynamics import Dynamics
from zoo.tasks.base import Batch

Tensors = Mapping[str, Tensor]
T = TypeVar("T")


class _Calls(nn.Module):
    """Lets ``functional_call`` call any function of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self.model, *arguments)


def at(model: nn.Module, weights: Tensors, function: Callable[..., T], *arguments: Any) -> T:
    """``function(model, …)`` where the model's tensors are ``weights``."""
    named = {f"model.{name}": value for name, value in weights.items()}
    found: T = functional_call(_Calls(model), named, (function, *arguments))
    return found


def rollout(model: Dynamics, weights: Tensors, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """States ``[batch, time + 1, units]`` of inputs ``[batch, time, inputs]``, step by step from the initial
    one."""

    def states(model: Dynamics) -> Tensor:
        h = model.initial_state(len(x))
        return torch.cat([h[:, None], model.rollout(h, x, noise=noise)], 1)

    return at(model, weights, states)


def noise(model: Model, batch: Batch, generator: torch.Generator | None) -> dict[str, Tensor]:
    """``noise`` ``[batch, time, units]`` that a model asks for in training, by that name; else nothing."""
    examples, steps = batch.x.shape[:2]
    drawn = model.noise(examples, steps, generator) if model.training else None
    return {} if drawn is None else {"noise": drawn.to(batch.x)}


def learned(model: nn.Module, weights: Tensors) -> dict[str, Tensor]:
    """Those of the tensors that are trained."""
    return {name: weights[name] for name, each in model.named_parameters() if each.requires_grad}


@dataclass(frozen=True)
class Decoded:
    """The outputs of states, with the way back."""

    y: Tensor
    """``[batch, time, outputs]``."""
    back: Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]
    """From the slope at ``y`` to the gradients of the weights and to the slope at the states."""


def decode(model: Dynamics, weights: Tensors, states: Tensor) -> Decoded:
    """Of states ``[batch, time, units]``."""

    def read(inner: Tensors, h: Tensor) -> Tensor:
        return at(model, {**weights, **inner}, lambda model: model.readout(h))

    y, back = vjp(read, learned(model, weights), states)  # type: ignore[misc]
    return Decoded(y, back)


@dataclass(frozen=True)
class Passed:
    """A pass of a model whose units interact through one matrix: a = W r(h) + W_in u + b, h' = f(h, a)."""

    states: Tensor
    """h, ``[batch, time + 1, hidden]``."""
    sources: Tensor
    """r(h) before each step, ``[batch, time, hidden]``."""
    bend: Tensor
    """r'(h) there."""
    keeps: Tensor
    """∂f/∂h, ``[batch, time, hidden]``."""
    gain: Tensor
    """∂f/∂a, ``[batch, time, gates × hidden]``."""
    weight: Tensor
    """W as it acts, ``[gates × hidden, hidden]``."""
    pull: Callable[[tuple[Tensor, Tensor, Tensor]], dict[str, Tensor]]
    """From gradients of W_in, W and b, as they act, to those of the model's tensors."""
    own: Tensor
    """The part of each unit's derivative that goes through its connection to itself, ``[batch, time,
    hidden]``."""

    @property
    def gates(self) -> int:
        return self.gain.shape[-1] // self.keeps.shape[-1]

    def gradients(self, deltas: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Of the model's tensors, from slopes at all a and the inputs ``x``."""
        spread = deltas.flatten(0, 1).mT
        return self.pull((spread @ x.flatten(0, 1), spread @ self.sources.flatten(0, 1), deltas.sum((0, 1))))

    def credit(self, slopes: Tensor, through: Tensor) -> Tensor:
        """Slopes at all a, ``[batch, time, gates × hidden]``, from those at the states after each step, with
        errors that go back in time by the weights ``through``."""
        found, c = [], torch.zeros_like(slopes[:, 0])
        for t in reversed(range(slopes.shape[1])):
            c = c + slopes[:, t]
            delta = self.gain[:, t] * c.repeat(1, self.gates)
            found.append(delta)
            c = self.keeps[:, t] * c + self.bend[:, t] * (delta @ through)
        return torch.stack(found[::-1], 1)


def run(model: Readable, weights: Tensors, x: Tensor, noise: Tensor | None = None) -> Passed:
    """All of it, for inputs ``[batch, time, inputs]``; the states by the model's ``step``."""
    local = model.local()
    assert local is not None

    def acting(inner: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        return at(model, {**weights, **inner}, lambda model: model.acting())

    (weight_in, weight, bias), pull = vjp(acting, learned(model, weights))  # type: ignore[misc]
    states = rollout(model, weights, x, noise)
    before = states[:, :-1]
    sources, back = vjp(local.acts, before)  # type: ignore[misc]
    (bend,) = back(torch.ones_like(sources))  # elementwise: what a vector of ones gives is the derivative
    after, back = vjp(local.becomes, before, sources @ weight.mT + x @ weight_in.mT + bias)  # type: ignore[misc]
    keeps, gain = back(torch.ones_like(after))
    hidden = weight.shape[-1]
    loops = weight.unflatten(0, (-1, hidden)).diagonal(dim1=-2, dim2=-1)
    own = bend * (gain.unflatten(-1, (-1, hidden)) * loops).sum(-2)
    return Passed(states, sources, bend, keeps, gain, weight, lambda found: pull(found)[0], own)


def together(*parts: Tensors) -> dict[str, Tensor]:
    """Sums of gradients by name."""
    names = {name: None for part in parts for name in part}
    return {name: sum(part[name] for part in parts if name in part) for name in names}  # type: ignore[misc]
