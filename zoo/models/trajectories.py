"""What analyses read: the activity of a network, or an array or recording in the same clothes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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
    lengths: Tensor | None = None
    """``[trial]``: time steps of each trial, where they differ; what follows in ``states`` is padding."""
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
        """An array ``[trial, time, unit]``, or ``[time, unit]`` for one trial, as trajectories.

        Further leading axes, such as conditions, are trials too. A list of arrays ``[time, unit]`` is one
        trial each, of any length. The caller's arrays are never changed. Raises :class:`AnalysisError` on
        other shapes, on numbers that are not finite, and on types that are not numeric.
        """
        what = name or "the array"
        array, lengths = _trials(states, what)
        drive = None
        if inputs is not None:
            drive, others = _trials(inputs, f"the inputs of {what}")
            if drive.shape[:2] != array.shape[:2] or not _same(lengths, others):
                raise AnalysisError(
                    f"inputs of shape {tuple(drive.shape)} do not go with states of shape "
                    f"{tuple(array.shape)}: trials and time steps must be the same."
                )
        digest = hashlib.sha256(array.contiguous().cpu().numpy().tobytes()).hexdigest()
        return cls(states=array, lengths=lengths, inputs=drive, name=name, site=site, origin=digest)

    def valid(self) -> Tensor | None:
        """``[trial, time]``: 1 where there is a sample and 0 where there is padding; none without padding."""
        if self.lengths is None:
            return None
        time = torch.arange(self.states.shape[1], device=self.states.device)
        return (time < self.lengths[:, None]).to(self.states.dtype)


def _trials(values: Any, what: str) -> tuple[Tensor, Tensor | None]:
    """``[trial, time, unit]``, padded with zeros, and the lengths where they differ."""
    if not is_ragged(values):
        return _array(values, what), None
    parts = [_array(each, f"trial {number} of {what}") for number, each in enumerate(values)]
    if len({part.shape[2] for part in parts}) > 1 or any(len(part) > 1 for part in parts):
        shapes = sorted({tuple(part.shape[1:]) for part in parts})
        raise AnalysisError(
            f"the trials of {what} have shapes {', '.join(map(str, shapes[:4]))}; give each as [time, unit] "
            "with the same units."
        )
    lengths = torch.tensor([part.shape[1] for part in parts], device=parts[0].device)
    padded = torch.nn.utils.rnn.pad_sequence([part[0] for part in parts], batch_first=True)
    return padded, lengths if len(lengths.unique()) > 1 else None


def is_ragged(values: Any) -> bool:
    """Whether these are trials, each an array of its own."""
    return (
        isinstance(values, Sequence)
        and len(values) > 0
        and all(isinstance(value, np.ndarray | Tensor) for value in values)
    )


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return (a is None) == (b is None) and (a is None or b is None or bool((a == b).all()))


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
    if tensor.ndim < 2 or 0 in tensor.shape:
        raise AnalysisError(
            f"{what} has the shape {tuple(tensor.shape)}; give [trial, time, unit] or [time, unit]."
        )
    tensor = tensor.reshape(-1, *tensor.shape[-2:])
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float64)
    if not bool(torch.isfinite(tensor).all()):
        raise AnalysisError(
            f"{what} holds NaN or infinite values; remove those trials or fill them in first."
        )
    return tensor
