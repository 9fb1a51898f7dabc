"""What a run keeps while it trains: snapshots, the ledger, the validation curve, states to resume from."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from zoo.checkpoints.folder import safetensors_bytes
from zoo.errors import DivergedError
from zoo.network import Network
from zoo.placing import UNFINISHED, write_whole

LEDGER = "ledger."
STATE = "state.ckpt"
SNAPSHOTS = "snapshots"


class Recorder(L.Callback):
    """Counts batches, keeps what the experiment's RecordSpec asks for, and ends the run.

    It works on the count of data batches, never on Lightning's ``global_step``. Files appear whole or
    not at all, so a run can be killed at any moment.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.folder = folder
        self.spec = network.experiment.train
        self.record = network.experiment.record
        scheduled = self.record.snapshots.steps(self.spec.steps) if self.record.snapshots else ()
        self.scheduled = frozenset(scheduled)
        self.curve: dict[str, Any] = {"steps": [], "values": {}}
        self.kept: list[int] = []
        self.stopped = "steps"
        self.elapsed = 0.0
        self._started = time.monotonic()

    # Lightning's hooks ----------------------------------------------------------------------

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.monotonic() - self.elapsed
        if self.network.batches_seen == 0:
            self._snapshot(trainer, 0)
            self._validate(0)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = self.network.batches_seen
        loss = self._loss(trainer, outputs)
        if not math.isfinite(loss):
            raise DivergedError(step, self._causes(step))
        if step % self.spec.log_every == 0:
            self._log(trainer, {"train/loss": loss}, step)
        if step in self.scheduled:
            self._snapshot(trainer, step)
        seen = {"train/loss": loss}
        if step % self.spec.validate_every == 0:
            seen |= self._validate(step)
            self._log(trainer, seen, step)
        stop = self.spec.stop
        if stop is not None and stop.metric in seen and stop.reached(seen[stop.metric]):
            self.stopped = "target"
            trainer.should_stop = True
        elif step % self.spec.save_every == 0 and step < self.spec.steps:
            self._save_state(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        step = self.network.batches_seen
        if step not in self.kept:
            self._snapshot(trainer, step)
        if step not in self.curve["steps"][-1:]:
            self._validate(step)
        self.elapsed = time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        self.elapsed = time.monotonic() - self._started
        return {"curve": self.curve, "kept": self.kept, "elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curve, self.kept = state_dict["curve"], state_dict["kept"]
        self.elapsed = state_dict["elapsed"]

    # What they do ---------------------------------------------------------------------------

    def _loss(self, trainer: L.Trainer, outputs: Any) -> float:
        loss: Tensor = outputs["loss"]
        if trainer.world_size > 1:
            loss = trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
        return loss.item()

    def _validate(self, step: int) -> dict[str, float]:
        measured = self.network.measure("validation", self.spec.validation_trials)
        values = {f"validation/{name}": value.mean().item() for name, value in measured.items()}
        if not math.isfinite(values["validation/loss"]):
            raise DivergedError(step, self._causes(step))
        self.curve["steps"].append(step)
        for name, value in values.items():
            self.curve["values"].setdefault(name, []).append(value)
        return values

    def _snapshot(self, trainer: L.Trainer, step: int) -> None:
        tensors = dict(self.network.model.state_dict())
        if self.record.ledger is not None:
            measured = self.network.measure(self.record.ledger.split, self.record.ledger.trials)
            tensors |= {LEDGER + name: value for name, value in measured.items()}
        self.kept.append(step)
        if trainer.is_global_zero:
            write_whole(self.folder / SNAPSHOTS / f"{step:010d}.safetensors", safetensors_bytes(tensors))

    def _save_state(self, trainer: L.Trainer) -> None:
        target = self.folder / STATE
        trainer.save_checkpoint(target.with_suffix(UNFINISHED))  # on all ranks: it gathers
        if trainer.is_global_zero:
            os.replace(target.with_suffix(UNFINISHED), target)

    def _log(self, trainer: L.Trainer, values: dict[str, float], step: int) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(values, step)

    def _causes(self, step: int) -> list[str]:
        """What usually makes a run like this one diverge, most likely first."""
        learner = self.network.experiment.learner.plain()
        causes = []
        if learner.get("optimizer"):
            causes.append(
                f"the learning rate {learner['optimizer']['lr']:g} is too large (try a third of it)"
            )
        if "clip_norm" in learner and learner["clip_norm"] is None:
            causes.append("gradients are not clipped (learner.clip_norm=1.0)")
        if getattr(self.network.experiment.model, "nonlinearity", None) == "relu":
            causes.append("ReLU units grow without bound (a smaller model.init.spectral_radius)")
        if self.spec.precision != "32-true":
            causes.append(f"the precision {self.spec.precision} overflows (train.precision=32-true)")
        broken = [name for name, value in self.network.named_parameters() if not torch.isfinite(value).all()]
        causes.append(f"not finite are: {', '.join(broken) or 'the loss alone, no weight'}")
        return causes
