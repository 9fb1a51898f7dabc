"""Derivatives of what a network does: of its step, of many states at once."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from zoo.models.dynamics import Dynamics
from zoo.network import Network

CHUNK = 2**26
"""Numbers that one batch of Jacobians, with what their computation keeps, may take."""
FEW = 2**12
"""Rows of Jacobians up to which they are had from copies of the states, which costs less than ``vmap``."""


def double(network: Network) -> Dynamics:
    """The model of a network that iterates, in double precision and eval mode; the network stays as it is."""
    model = network.model
    assert isinstance(model, Dynamics)
    model = copy.deepcopy(model).double().eval()
    return model.requires_grad_(False)


def step_jacobians(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    """∂F/∂h ``[batch, unit, unit]`` at states ``[batch, units]`` and inputs ``[batch, inputs]``."""
    if h.numel() <= FEW:
        return _by_copies(model, h, u)
    return _in_chunks(lambda h, u: model.step(h[None], u[None])[0], 0, h, u)


def input_jacobians(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    """∂F/∂u at states and inputs: ``[batch, unit, input]``."""
    return _in_chunks(lambda h, u: model.step(h[None], u[None])[0], 1, h, u)


def readout_jacobians(model: Dynamics, h: Tensor) -> Tensor:
    """∂y/∂h at states ``[batch, units]``: ``[batch, output, unit]``."""
    return _in_chunks(lambda h, _: model.readout(h[None])[0], 0, h, h[:, :0])


@torch.enable_grad()
def _by_copies(model: Dynamics, h: Tensor, u: Tensor) -> Tensor:
    """Each state as often as it has units; each copy gives the gradient of another unit of what follows."""
    batch, units = h.shape
    states = h.detach().repeat_interleave(units, 0).requires_grad_()
    there = model.step(states, u.repeat_interleave(units, 0))
    rows = torch.eye(units, dtype=h.dtype, device=h.device).repeat(batch, 1)
    return torch.autograd.grad(there, states, rows)[0].view(batch, units, units)


def _in_chunks(function: object, argument: int, h: Tensor, u: Tensor) -> Tensor:
    along = u if argument else h
    each = vmap(jacrev(function, argnums=argument))  # type: ignore[arg-type]
    width = max(1, h.shape[1] * max(1, along.shape[1]) * 8)
    most = max(1, CHUNK // width)
    parts = [each(h[k : k + most], u[k : k + most]) for k in range(0, len(h), most)]
    return torch.cat(parts) if parts else h.new_zeros(0, h.shape[1], along.shape[1])
