"""Backpropagation (through time), with its optimizer, clipping and schedule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, Fraction, NonNegative, Positive, Spec
from zoo.specs.families import LearnerSpec


class AdamSpec(Spec):
    """Adam (Kingma & Ba 2015)."""

    kind: Literal["adam"] = "adam"
    lr: Positive = 1e-3
    betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    eps: Positive = 1e-8


class AdamWSpec(Spec):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    lr: Positive = 1e-3
    betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 1e-2


class SGDSpec(Spec):
    """Stochastic gradient descent, with momentum and weight decay if wanted."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive = 1e-2
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 0.0

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> SGDSpec:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


OptimizerSpec = Annotated[AdamSpec | AdamWSpec | SGDSpec, Field(discriminator="kind")]


class ConstantSchedule(Spec):
    """The learning rate stays, after an optional linear warm-up."""

    kind: Literal["constant"] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate grows linearly from 0."""


class CosineSchedule(Spec):
    """Cosine decay to ``final`` × lr at the last step (Loshchilov & Hutter 2017)."""

    kind: Literal["cosine"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0
    final: Fraction = 0.0


class StepSchedule(Spec):
    """The learning rate is multiplied by ``factor`` every ``every`` steps."""

    kind: Literal["step"] = "step"
    warmup: Annotated[int, Field(ge=0)] = 0
    every: Count = 1000
    factor: Positive = 0.5


ScheduleSpec = Annotated[ConstantSchedule | CosineSchedule | StepSchedule, Field(discriminator="kind")]


class BackpropSpec(LearnerSpec):
    """Gradient descent on the task's loss, through time where the model iterates."""

    kind: Literal["backprop"] = "backprop"
    optimizer: OptimizerSpec = AdamSpec()
    clip_norm: Positive | None = None
    """Largest norm of the gradient over all parameters."""
    schedule: ScheduleSpec = ConstantSchedule()
    activity_penalty: NonNegative = 0.0
    """Weight of the mean squared hidden activity in the loss."""
