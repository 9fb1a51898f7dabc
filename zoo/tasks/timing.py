"""Trials that go through periods of fixed or random duration."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.specs.tasks.timing import TimedSpec
from zoo.tasks.drawing import Chances, drawn_steps


def timeline(spec: TimedSpec, u: Chances) -> tuple[Tensor, Tensor]:
    """When each period ends, ``[example, period]``; and the number of the period at each step, that of the
    last and one when the trial is over, ``[example, time]``. Takes one chance a period."""
    ends = torch.stack([drawn_steps(u(), spec.durations(period)) for period in spec.periods], -1).cumsum(-1)
    return ends, epochs(ends, spec.steps)


def epochs(ends: Tensor, steps: int) -> Tensor:
    """How many of the periods that end at ``ends`` ``[example, period]`` are over, ``[example, time]``."""
    time = torch.arange(steps, device=ends.device)
    return (time[:, None] >= ends[:, None]).sum(-1)


def at_end(values: Tensor, ends: Tensor) -> Tensor:
    """Values ``[example, time, …]`` at the last step of each trial."""
    return values[torch.arange(len(values), device=values.device), ends[:, -1] - 1]
