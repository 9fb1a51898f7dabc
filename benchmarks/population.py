"""Whole populations against the loop that a user would write: the same networks, one after another.

Run from a checkout: ``python benchmarks/population.py [ROW …]``, with the numbers of rows; all of them if
none is given. Ours is what ``zoo.train`` runs, Lightning, records and all, with a share of the networks in a
process for each core. Theirs trains one network after another on the same data: tanh RNNs in a plain PyTorch
loop with ``nn.RNN``, perceptrons with Lightning, as it comes or with whatever takes time switched off; on one
thread: two are slower on networks as small as these. Prints a Markdown table, medians of three rounds.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

CORES = os.cpu_count() or 1
SHOWN, ROUNDS = 8, 3
"""Networks of theirs, which stand for all; rounds that count, after one that imports."""


@dataclass(frozen=True)
class Row:
    networks: int
    hidden: int
    batch: int
    goal: float
    kind: str = "elman"
    steps: int = 200
    bare: bool = False
    """Whether Lightning runs without its log, its checkpoints and its bar."""

    def __str__(self) -> str:
        peer = "bare Lightning" if self.bare else "Lightning as it comes"
        what = "tanh RNNs" if self.kind == "elman" else f"digit MLPs of two layers, against {peer}"
        return f"{self.networks} {what} | {self.hidden} | {self.batch} | {self.steps}"


ROWS = (
    Row(128, 16, 16, 20),
    Row(64, 32, 32, 8),
    Row(64, 64, 64, 2.5),
    Row(256, 32, 32, 50, "mlp", 1000),
    Row(256, 32, 32, 50, "mlp", 1000, bare=True),
    Row(256, 64, 64, 50, "mlp", 1000),
)


def experiment(row: Row, members: int, seed: int) -> Any:
    """A population: tanh RNNs on the flip-flop, 100 steps long, or perceptrons on digits."""
    from zoo.specs.experiment import ExperimentSpec

    elman = row.kind == "elman"
    return ExperimentSpec.model_validate(
        {
            "name": "population",
            "model": {"kind": row.kind, "hidden": row.hidden if elman else [row.hidden] * 2},
            "task": {"kind": "flip-flop", "steps": 100} if elman else {"kind": "digits"},
            "learner": {"kind": "backprop"},
            "train": {"steps": row.steps, "batch_size": row.batch, "validate_every": row.steps, "seed": seed},
            "record": {"snapshots": None, "evaluation": {"trials": 64}},
            "population": {"members": members},
        }
    )


def ours(row: Row, members: int, seed: int) -> float:
    """Seconds a step of all members of a share."""
    from zoo.training.run import Run
    from zoo.training.together import fit_all

    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = folder
        runs = [
            Run.of(m, Path(folder) / str(k)) for k, m in enumerate(experiment(row, members, seed).members())
        ]
        began = time.perf_counter()
        fit_all(runs, progress=False)
        return (time.perf_counter() - began) / row.steps


def theirs(row: Row) -> float:
    """Seconds a step of all members, from a few of them."""
    import torch

    from zoo.registry import implementation

    torch.set_num_threads(1)
    spec = experiment(row, 1, 0)
    task = implementation("tasks", spec.task.kind)(spec.task)
    train = loop if row.kind == "elman" else lightning
    began = time.perf_counter()
    for member in range(SHOWN):
        torch.manual_seed(member)
        train(row, (task.batch("train", member, step, row.batch) for step in range(row.steps)))
    return (time.perf_counter() - began) / row.steps * row.networks / SHOWN


def loop(row: Row, batches: Iterator[Any]) -> None:
    """A plain loop."""
    import torch

    cell, out = torch.nn.RNN(3, row.hidden, batch_first=True), torch.nn.Linear(row.hidden, 3)
    optimizer = torch.optim.Adam([*cell.parameters(), *out.parameters()])
    for drawn in batches:
        loss = torch.nn.functional.mse_loss(out(cell(drawn.x)[0]), drawn.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()


def lightning(row: Row, batches: Iterator[Any]) -> None:
    """A module for Lightning."""
    import lightning.pytorch as L
    import torch

    from zoo.training.run import quiet_lightning

    class Perceptron(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            n = row.hidden
            layers = (torch.nn.Linear(64, n), torch.nn.ReLU(), torch.nn.Linear(n, n), torch.nn.ReLU())
            self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(n, 10))

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    class Stream(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return ((drawn.x[:, 0], drawn.y[:, 0]) for drawn in batches)

    off = (
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary") if row.bare else ()
    )
    with (
        quiet_lightning(),
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        trainer = L.Trainer(
            max_steps=row.steps,
            accelerator="cpu",
            devices=1,
            default_root_dir=folder,
            **dict.fromkeys(off, False),
        )
        trainer.fit(Perceptron(), torch.utils.data.DataLoader(Stream(), batch_size=None))


def _share(arguments: tuple[Row, int, int]) -> float:
    return ours(*arguments)


def main(rows: list[Row]) -> None:
    print("| networks | hidden | batch | steps | ours (ms a step) | theirs | times (least, most) | goal |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        with get_context("spawn").Pool(CORES) as pool:
            rounds = []
            for _ in range(ROUNDS + 1):
                share = [(row, row.networks // CORES, k * 1000) for k in range(CORES)]
                rounds.append((max(pool.map(_share, share)), pool.apply(theirs, (row,))))
        rounds = sorted(rounds[1:], key=lambda pair: pair[1] / pair[0])  # the first imports
        a, b = rounds[len(rounds) // 2]
        ratios = [theirs / ours for ours, theirs in rounds]
        print(
            f"| {row} | {a * 1e3:.1f} | {b * 1e3:.0f} | "
            f"{b / a:.1f} ({ratios[0]:.1f}, {ratios[-1]:.1f}) | {row.goal:g} |",
            flush=True,
        )


if __name__ == "__main__":
    main([ROWS[int(row) - 1] for row in sys.argv[1:]] or list(ROWS))
