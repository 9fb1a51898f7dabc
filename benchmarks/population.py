"""Whole populations against the loop that a user would write: the same networks, one after another.

Run from a checkout: ``python benchmarks/population.py [NETWORKS HIDDEN BATCH]``. Ours is what ``zoo.train``
runs, Lightning, records and all, with a share of the networks in a process for each core; theirs a plain
PyTorch loop with ``nn.RNN`` on the same data, one network after another, on one thread: two are slower on
networks as small as these. Prints a Markdown table.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

CORES = os.cpu_count() or 1
SIZES = ((128, 16, 16, 20), (64, 32, 32, 8), (64, 64, 64, 2.5))
"""Networks, hidden units, batch, goal."""
LENGTH, STEPS = 100, 200


def experiment(members: int, hidden: int, batch: int, seed: int) -> Any:
    """A population of tanh RNNs on the flip-flop, 100 steps long."""
    from zoo.specs.experiment import ExperimentSpec

    return ExperimentSpec.model_validate(
        {
            "name": "population",
            "model": {"kind": "elman", "hidden": hidden},
            "task": {"kind": "flip-flop", "steps": LENGTH},
            "learner": {"kind": "backprop"},
            "train": {"steps": STEPS, "batch_size": batch, "validate_every": STEPS, "seed": seed},
            "record": {"snapshots": None, "evaluation": {"trials": 64}},
            "population": {"members": members},
        }
    )


def ours(members: int, hidden: int, batch: int, seed: int) -> float:
    """Seconds a step of all members of a share."""
    from zoo.training.run import Run
    from zoo.training.together import fit_all

    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = folder
        runs = [
            Run.of(m, Path(folder) / str(k))
            for k, m in enumerate(experiment(members, hidden, batch, seed).members())
        ]
        began = time.perf_counter()
        fit_all(runs, progress=False)
        return (time.perf_counter() - began) / STEPS


def theirs(members: int, hidden: int, batch: int, seed: int) -> float:
    """Seconds a step of all members, from a few of them."""
    import torch

    torch.set_num_threads(1)
    from zoo.registry import implementation

    spec = experiment(1, hidden, batch, seed)
    task = implementation("tasks", spec.task.kind)(spec.task)
    shown = min(members, 8)
    began = time.perf_counter()
    for member in range(shown):
        torch.manual_seed(member)
        cell, out = torch.nn.RNN(3, hidden, batch_first=True), torch.nn.Linear(hidden, 3)
        optimizer = torch.optim.Adam([*cell.parameters(), *out.parameters()])
        for step in range(STEPS):
            drawn = task.batch("train", member, step, batch)
            loss = torch.nn.functional.mse_loss(out(cell(drawn.x)[0]), drawn.y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
    return (time.perf_counter() - began) / STEPS * members / shown


def _share(arguments: tuple[str, int, int, int, int]) -> float:
    which, *rest = arguments
    return {"ours": ours, "theirs": theirs}[which](*rest)


if __name__ == "__main__":
    chosen = [(*map(int, sys.argv[1:4]), "")] if len(sys.argv) > 3 else SIZES
    print(
        "| networks | hidden | batch | ours (ms a step of all) | theirs | times faster (least, most) | goal |"
    )
    print("|---|---|---|---|---|---|---|")
    for networks, hidden, batch, goal in chosen:
        with get_context("spawn").Pool(CORES) as pool:
            rounds = []
            for _ in range(3):
                shares = [networks // CORES] * CORES
                work = [("ours", share, hidden, batch, k * 1000) for k, share in enumerate(shares)]
                pair = (max(pool.map(_share, work)), pool.apply(theirs, (networks, hidden, batch, 0)))
                rounds.append(pair)
        rounds = sorted(rounds[1:], key=lambda pair: pair[1] / pair[0])  # the first imports
        a, b = rounds[len(rounds) // 2]
        ratios = [theirs / ours for ours, theirs in rounds]
        print(
            f"| {networks} | {hidden} | {batch} | {a * 1e3:.1f} | {b * 1e3:.0f} | "
            f"{b / a:.1f} ({ratios[0]:.1f}, {ratios[-1]:.1f}) | {goal} |",
            flush=True,
        )
