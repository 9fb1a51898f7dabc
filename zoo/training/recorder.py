"""What runs keep while they train: snapshots, the ledger, the validation curve, states to resume from."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import lightning.pytorch as L
import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.checkpoints.folder import safetensors_bytes
from zoo.errors import DivergedError
from zoo.learners.base import Learner
from zoo.learners.report import report
from zoo.placing import UNFINISHED, many_files, write_whole
from zoo.specs.claim import finite
from zoo.specs.experiment import ExperimentSpec
from zoo.training.run import SNAPSHOTS, STATE
from zoo.training.strategies import Sharded

T = TypeVar("T")
LEDGER, OWNED = "ledger.", "learner."
"""What begins the names of what a snapshot holds beside weights."""


class Counter(Protocol):
    """What counts data batches."""

    batches_seen: int


@dataclass(frozen=True)
class Subject:
    """A network that trains, by itself or among others: its weights, and what it measures now."""

    weights: Callable[[], Mapping[str, Tensor]]
    measure: Callable[[str, int], Mapping[str, Tensor]]
    """Split and trials → name → ``[example]``."""
    owned: Callable[[], Mapping[str, Tensor]] = dict
    """What its learner has beside the weights."""
    updates: Callable[[], Mapping[str, float | None]] = dict
    """How its learner's update compares with the gradient, where the experiment asks for it."""

    @classmethod
    def of(cls, learner: Learner) -> Subject:
        network = learner.network
        updates = partial(report, learner, network.model.state_dict, learner.own)
        return cls(network.model.state_dict, network.measure, learner.own, updates)


@dataclass(frozen=True)
class Kept:
    """What the file of a snapshot holds."""

    weights: dict[str, Tensor]
    owned: dict[str, Tensor]
    """What the learner has beside them."""
    ledger: dict[str, Tensor]


def read_snapshot(path: Path) -> Kept:
    """A snapshot of a run."""
    found = Kept({}, {}, {})
    for name, value in load_file(path).items():
        if name.startswith(LEDGER):
            found.ledger[name.removeprefix(LEDGER)] = value
        elif name.startswith(OWNED):
            found.owned[name.removeprefix(OWNED)] = value
        else:
            found.weights[name] = value
    return found


class Log:
    """What is kept of one network: the files of its run, and what its result will say.

    It works on the count of data batches, never on Lightning's ``global_step``. Files appear whole or
    not at all, so a run can be killed at any moment.
    """

    def __init__(self, experiment: ExperimentSpec, subject: Subject, folder: Path) -> None:
        self.experiment = experiment
        self.subject = subject
        self.folder = folder
        self.train, self.record = experiment.train, experiment.record
        scheduled = self.record.snapshots.steps(self.train.steps) if self.record.snapshots else ()
        self.scheduled = frozenset(scheduled)
        self.curve: dict[str, Any] = {"steps": [], "values": {}}
        self.kept: list[int] = []
        self.stopped = "steps"
        self.ended: int | None = None
        """The batch after which it ended; none as long as it trains."""
        self.failed: DivergedError | None = None
        self.aside = False
        """Whether its numbers are carried along with those of others, and it does not train."""
        self.agree: Callable[[dict[str, float]], dict[str, float]] = lambda measured: measured
        """Gives every process that trains this network what the first one has measured."""

    @property
    def over(self) -> bool:
        """Whether it trains no more."""
        return self.aside or self.ended is not None or self.failed is not None

    def begin(self, write: bool) -> None:
        """Before the first batch."""
        self.snapshot(0, write)
        self.validate(0, write)

    def looks(self, step: int) -> bool:
        """Whether weights are looked at after a batch."""
        return step in self.scheduled or step % self.train.validate_every == 0

    def after(self, step: int, loss: float, write: bool) -> dict[str, float]:
        """After each batch; what was measured. Whether the target is reached is in :attr:`stopped`.

        Raises :class:`DivergedError`.
        """
        if not math.isfinite(loss):
            raise DivergedError(step, self.causes())
        if step in self.scheduled:
            self.snapshot(step, write)
        seen = {"train/loss": loss}
        if step % self.train.validate_every == 0:
            seen |= self.validate(step, write)
        stop = self.train.stop
        if stop is not None and stop.metric in seen and stop.reached(seen[stop.metric]):
            self.stopped = "target"
        return seen

    def end(self, step: int, write: bool) -> None:
        """After its last batch."""
        if step not in self.kept:
            self.snapshot(step, write)
        if step not in self.curve["steps"][-1:]:
            self.validate(step, write)
        self.ended = step

    def validate(self, step: int, write: bool) -> dict[str, float]:
        trials, splits = self.train.validation_trials, ("validation", *self.record.curve)
        measured = {split: self.subject.measure(split, trials) for split in splits} if write else {}
        means = {
            f"{split}/{name}": value.mean().item()
            for split, found in measured.items()
            for name, value in found.items()
        }
        values = self.agree(means)
        if not math.isfinite(values["validation/loss"]):
            raise DivergedError(step, self.causes())
        self.curve["steps"].append(step)
        found = {name: finite(value) for name, value in values.items()}
        for name, value in {**found, **(self.subject.updates() if write else {})}.items():
            self.curve["values"].setdefault(name, []).append(value)
        return values

    def snapshot(self, step: int, write: bool) -> None:
        self.kept.append(step)
        if not write:
            return
        tensors = dict(self.subject.weights())
        tensors |= {OWNED + name: value for name, value in self.subject.owned().items()}
        if self.record.ledger is not None:
            measured = self.subject.measure(self.record.ledger.split, self.record.ledger.trials)
            tensors |= {LEDGER + name: value for name, value in measured.items()}
        write_whole(self.folder / SNAPSHOTS / f"{step:010d}.safetensors", safetensors_bytes(tensors))

    def state(self) -> dict[str, Any]:
        failed = None if self.failed is None else [self.failed.step, list(self.failed.causes)]
        kept = {"curve": self.curve, "kept": self.kept, "stopped": self.stopped, "ended": self.ended}
        return {**kept, "failed": failed}

    def resume(self, state: Mapping[str, Any]) -> None:
        self.curve, self.kept = state["curve"], state["kept"]
        self.stopped, self.ended = state["stopped"], state["ended"]
        self.failed = DivergedError(*state["failed"]) if state["failed"] else None

    def causes(self) -> list[str]:
        """What usually makes a run like this one diverge, most likely first."""
        learner = self.experiment.learner.plain()
        causes = []
        if learner.get("optimizer"):
            causes.append(
                f"the learning rate {learner['optimizer']['lr']:g} is too large (try a third of it)"
            )
        if "clip_norm" in learner and learner["clip_norm"] is None:
            causes.append("gradients are not clipped (learner.clip_norm=1.0)")
        if getattr(self.experiment.model, "nonlinearity", None) == "relu":
            causes.append("ReLU units grow without bound (a smaller model.init.spectral_radius)")
        if self.train.precision != "32-true":
            causes.append(f"the precision {self.train.precision} overflows (train.precision=32-true)")
        weights = self.subject.weights().items()
        broken = [f"model.{name}" for name, value in weights if not torch.isfinite(value).all()]
        causes.append(f"not finite are: {', '.join(broken) or 'the loss alone, no weight'}")
        return causes


class Recorder(L.Callback):
    """Keeps the logs of all networks that train in one run, and ends it.

    A network that diverges ends the run where it is the only one; among others, it leaves them alone and
    has the error in its log.
    """

    def __init__(self, logs: Sequence[Log], counter: Counter, folder: Path) -> None:
        self.logs = list(logs)
        self.counter = counter
        self.folder = folder
        self.train = logs[0].train
        self._may_stop = any(log.train.stop is not None for log in logs)
        self.elapsed = 0.0
        self._ended = False
        self._started = time.monotonic()

    # Lightning's hooks ----------------------------------------------------------------------

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.monotonic() - self.elapsed
        if trainer.world_size > 1:
            for log in self.logs:
                log.agree = trainer.strategy.broadcast
        if self.counter.batches_seen == 0:
            with _whole_weights(trainer), many_files():
                for log in self.logs:
                    self._alone(log, log.begin, trainer.is_global_zero)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, write = self.counter.batches_seen, trainer.is_global_zero
        losses = self._losses(trainer, outputs)
        looks = self.logs[0].looks(step)
        at_work = [(log, loss) for log, loss in zip(self.logs, losses, strict=True) if not log.over]
        if not (looks or self._may_stop) and all(math.isfinite(loss) for _, loss in at_work):
            if step % self.train.log_every == 0:
                self._report(trainer, [{"train/loss": loss} for _, loss in at_work], step)
        else:
            seen = []
            with _whole_weights(trainer) if looks else nullcontext(), many_files():
                for log, loss in at_work:
                    seen.append(self._alone(log, log.after, step, loss, write))
                    if log.stopped == "target" and len(self.logs) > 1:
                        self._alone(log, log.end, step, write)
            self._report(trainer, [found for found in seen if found], step)
        if all(log.over or log.stopped == "target" for log in self.logs):
            trainer.should_stop = True
        elif step % self.train.save_every == 0 and step < self.train.steps:
            self._save_state(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with _whole_weights(trainer), many_files():
            for log in self.logs:
                if not log.over:
                    self._alone(log, log.end, self.counter.batches_seen, trainer.is_global_zero)
        self.elapsed, self._ended = self.seconds, True

    @property
    def seconds(self) -> float:
        """That training took until now, without the time between being killed and going on."""
        return self.elapsed if self._ended else time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        self.elapsed = self.seconds
        return {"logs": [log.state() for log in self.logs], "elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for log, state in zip(self.logs, state_dict["logs"], strict=True):
            log.resume(state)
        self.elapsed = state_dict["elapsed"]

    # What they do ---------------------------------------------------------------------------

    def _alone(self, log: Log, act: Callable[..., T], *arguments: Any) -> T | None:
        """What goes wrong with one of several networks stays with it."""
        try:
            return act(*arguments)
        except DivergedError as problem:
            if len(self.logs) == 1:
                raise
            log.failed = problem
            return None

    def _losses(self, trainer: L.Trainer, outputs: Any) -> list[float]:
        loss: Tensor = outputs["losses"] if "losses" in outputs else outputs["loss"]
        if trainer.world_size > 1:
            loss = trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
        return loss.reshape(-1).tolist()

    def _report(self, trainer: L.Trainer, seen: Sequence[Mapping[str, float]], step: int) -> None:
        """Means over the networks that train, to the loggers."""
        if not seen or (step % self.train.log_every and len(seen[0]) == 1):
            return
        means = {name: sum(each[name] for each in seen) / len(seen) for name in seen[0]}
        for logger in trainer.loggers:
            logger.log_metrics(means, step)

    def _save_state(self, trainer: L.Trainer) -> None:
        for logger in trainer.loggers:  # what is before the state is not logged again
            logger.save()
        target = self.folder / STATE
        trainer.save_checkpoint(target.with_suffix(UNFINISHED))  # on all ranks: it gathers
        if trainer.is_global_zero:
            os.replace(target.with_suffix(UNFINISHED), target)


def _whole_weights(trainer: L.Trainer) -> AbstractContextManager[None]:
    """While it lasts, each process has all weights, where they are sharded else."""
    strategy = trainer.strategy
    return strategy.gathered() if isinstance(strategy, Sharded) else nullcontext()
