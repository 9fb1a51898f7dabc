"""What analyses read: the activity of a network, or an array or recording in the same clothes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import AnalysisError


@dataclass(frozen=True)
class Trajectories:
    """Activity over trials and time.

    ``states[:, t]`` is the state after the input ``inputs[:, t]`` was taken in, so that
    ``states[:, t] = step(states[:, t-1], inputs[:, t])``, and ``initial`` precedes ``states[:, 0]``.
    """

    states: Tensor
    """``[trial, time, unit]``: the site that was asked for."""
    inputs: Tensor | None = None
    """``[trial, time, input]``: the drive as injected."""
    outputs: Tensor | None = None
    """``[trial, time, output]``."""
    targets: Tensor | None = None
    """``[trial, time, output]``."""
    initial: Tensor | None = None
    """``[trial, unit]``."""
    latents: Mapping[str, Tensor] = field(default_factory=dict)
    """Task variables, each ``[trial, time]`` or ``[trial]``."""
    site: str = "h"
    name: str = ""
    """What a plot or table calls this network."""
    origin: str = ""
    """Digest of the weights, or of the array."""

    @classmethod
    def wrap(cls, states: Any, inputs: Any = None, *, name: str = "", site: str = "h") -> Trajectories:
        """An array ``[trial, time, unit]`` (or ``[time, unit]``: one trial) as trajectories.

        The caller's array is never changed. Raises :class:`AnalysisError` on other shapes, on
        numbers that are not finite, and on types that are not numeric.
        """
        array = _array(states, name or "the array")
        drive = None if inputs is None else _array(inputs, f"the inputs of {name or 'the array'}")
        if drive is not None and drive.shape[:2] != array.shape[:2]:
            raise AnalysisError(
                f"inputs of shape {tuple(drive.shape)} do not go with states of shape {tuple(array.shape)}: "
                "trials and time steps must be the same."
            )
        digest = hashlib.sha256(array.contiguous().cpu().numpy().tobytes()).hexdigest()
        return cls(states=array, inputs=drive, name=name, site=site, origin=digest)


def _array(values: Any, what: str) -> Tensor:
    if isinstance(values, Tensor):
        if values.is_complex() or values.dtype == torch.bool:
            raise AnalysisError(f"{what} has the type {values.dtype}; give real numbers.")
        tensor = values.detach()
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise AnalysisError(f"{what} has the type {array.dtype}; give real numbers.")
        tensor = torch.from_numpy(np.array(array, copy=True))
    if tensor.ndim == 2:
        tensor = tensor[None]
    if tensor.ndim != 3 or 0 in tensor.shape:
        raise AnalysisError(
            f"{what} has the shape {tuple(tensor.shape)}; give [trial, time, unit] or [time, unit]."
        )
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float64)
    if not bool(torch.isfinite(tensor).all()):
        raise AnalysisError(
            f"{what} holds NaN or infinite values; remove those trials or fill them in first."
        )
    return tensor
