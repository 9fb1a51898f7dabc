"""A progress bar on a terminal, and silence in a log."""

from __future__ import annotations

import sys
from typing import Any

import lightning.pytorch as L


class Progress(L.Callback):
    """One line on stderr: step, rate, loss. Nothing at all where stderr is no terminal."""

    def __init__(self, label: str, total: int, every: int = 10) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("loss {task.fields[loss]}"),
        )
        self.every = every
        self.step = 0
        self.shown = sys.stderr.isatty()
        self.bar = Bar(*columns, console=Console(stderr=True), disable=not self.shown, transient=True)
        self.task = self.bar.add_task(label, total=total, loss="…")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.step = int(getattr(pl_module, "batches_seen", 0))
        if trainer.is_global_zero:
            self.bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.step += 1
        if self.shown and self.step % self.every == 0:
            self.bar.update(self.task, completed=self.step, loss=f"{outputs['loss'].item():.4f}")

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.bar.stop()

    on_exception = teardown  # type: ignore[assignment]
