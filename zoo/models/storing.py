"""Rules that store patterns at once: from keys and values to a matrix. Leading axes are memories."""

from __future__ import annotations

import torch
from torch import Tensor


def hebb(keys: Tensor, values: Tensor) -> Tensor:
    """``Σ_μ v_μ k_μᵀ`` ``[…, value, key]`` of keys ``[…, pattern, key]``, values ``[…, pattern, value]``."""
    return values.mT @ keys


def pseudo_inverse(keys: Tensor, values: Tensor) -> Tensor:
    """``V K⁺`` ``[…, value, key]``: exact where the keys are independent, else nearest in squares.

    Personnaz, Guyon & Dreyfus 1985, eq. 8. In double precision.
    """
    return (values.double().mT @ torch.linalg.pinv(keys.double()).mT).to(keys.dtype)


def delta(weight: Tensor, keys: Tensor, values: Tensor, rate: float) -> Tensor:
    """``M ← M + rate (v - M k) kᵀ`` for one pair after another, ``[…, value, key]``."""
    for key, value in zip(keys.unbind(-2), values.unbind(-2), strict=True):
        error = value - (weight @ key[..., None])[..., 0]
        weight = weight + rate * error[..., None] * key[..., None, :]
    return weight
