"""Backpropagation, through time where the model iterates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from zoo.learners.base import Learner
from zoo.learners.losses import LOSSES
from zoo.models.dynamics import Output
from zoo.specs.learners.backprop import AdamSpec, AdamWSpec, BackpropSpec, ScheduleSpec, SGDSpec
from zoo.tasks.base import Batch, Task


class Backprop(Learner):
    """Gradient descent on the loss of the task."""

    vectorises = True
    distributes = True
    varies = frozenset(
        {
            *(f"optimizer.{field}" for field in ("lr", "betas", "eps", "weight_decay", "momentum")),
            "clip_norm",
            "schedule",
            "activity_penalty",
        }
    )
    spec: BackpropSpec

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.loss(self.network(batch.x), batch)

    @classmethod
    def reads_states(cls, spec: BackpropSpec) -> bool:
        return spec.activity_penalty > 0

    def loss(self, output: Output, batch: Batch) -> Tensor:
        loss = self.network.losses(output.y, batch).mean()
        if self.spec.activity_penalty:
            exposed = output.states[self.network.model.exposed]
            loss = loss + self.spec.activity_penalty * exposed.square().mean()
        return loss if output.cost is None else loss + output.cost

    def losses(self, specs: Sequence[BackpropSpec], output: Output, batch: Batch) -> Tensor:
        task = self.network.task
        if type(task).losses is Task.losses:
            kind = self.spec.loss or task.spec.loss
            losses: Tensor = LOSSES[kind].apply(output.y, batch.y, batch.mask)
        else:

            def mean(y: Tensor, x: Tensor, target: Tensor, mask: Tensor) -> Tensor:
                return self.network.losses(y, Batch(x, target, mask, torch.zeros(len(x)), {})).mean()

            losses = vmap(mean)(output.y, batch.x, batch.y, batch.mask)
        penalties = losses.new_tensor([spec.activity_penalty for spec in specs])
        for exposed in output.states.values():
            losses = losses + penalties * exposed.square().flatten(1).mean(1)
        return losses if output.cost is None else losses + output.cost

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.spec.optimizer, list(self.parameters()))
        scale = schedule(self.spec.schedule, self.network.experiment.train.steps)
        if scale is None:
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        if self.spec.clip_norm is not None:
            self.clip_gradients(
                optimizer, gradient_clip_val=self.spec.clip_norm, gradient_clip_algorithm="norm"
            )


def make_optimizer(
    spec: AdamSpec | AdamWSpec | SGDSpec, parameters: list[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer that a spec declares, in its fused form."""
    match spec:
        case AdamSpec():
            return torch.optim.Adam(parameters, spec.lr, spec.betas, spec.eps, fused=True)
        case AdamWSpec():
            return torch.optim.AdamW(parameters, spec.lr, spec.betas, spec.eps, spec.weight_decay, fused=True)
        case SGDSpec():
            return torch.optim.SGD(
                parameters,
                spec.lr,
                spec.momentum,
                weight_decay=spec.weight_decay,
                nesterov=spec.nesterov,
                fused=True,
            )


def schedule(spec: ScheduleSpec, steps: int) -> Any:
    """Factor on the learning rate as a function of the step, or ``None`` where it is always 1."""
    if spec.kind == "constant" and not spec.warmup:
        return None

    def factor(step: int) -> float:
        if step < spec.warmup:
            return (step + 1) / spec.warmup
        after = step - spec.warmup
        match spec.kind:
            case "cosine":
                progress = min(1.0, after / max(1, steps - spec.warmup))
                return spec.final + (1 - spec.final) * 0.5 * (1 + math.cos(math.pi * progress))
            case "step":
                return spec.factor ** (after // spec.every)
            case _:
                return 1.0

    return factor
