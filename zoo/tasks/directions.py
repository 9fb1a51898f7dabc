"""Directions in the plane, coded by a ring of units or by cosine and sine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BUMP = 0.8


def encode(angles: Tensor, encoding: str, units: int) -> Tensor:
    """Radians as the activity that stands for them, ``[…, units]`` (``[…, 2]`` for ``cos-sin``).

    On a ring, a unit has 0.8 exp(-d²/2), d being the distance from its preferred direction in units of π/8
    (Yang et al. 2019).
    """
    if encoding == "cos-sin":
        return torch.stack([angles.cos(), angles.sin()], -1)
    distance = difference(angles[..., None], _preferred(units, angles))
    return BUMP * torch.exp(-((distance / (math.pi / 8)) ** 2) / 2)


def decode(activity: Tensor, encoding: str) -> Tensor:
    """The direction in radians, in (-π, π], that activity ``[…, unit]`` stands for: its population vector."""
    if encoding == "cos-sin":
        return torch.atan2(activity[..., 1], activity[..., 0])
    preferred = _preferred(activity.shape[-1], activity)
    return torch.atan2(activity @ preferred.sin(), activity @ preferred.cos())


def difference(a: Tensor, b: Tensor) -> Tensor:
    """How far a direction lies from another, in [-π, π)."""
    return (a - b + math.pi) % (2 * math.pi) - math.pi


def _preferred(units: int, like: Tensor) -> Tensor:
    return torch.arange(units, device=like.device, dtype=like.dtype) * (2 * math.pi / units)
