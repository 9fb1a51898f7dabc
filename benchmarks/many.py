"""A hub of many tiny checkpoints, each trained by nobody and otherwise whole: its own spec, weights, golden
outputs and card, published by the code that publishes any other.

    python benchmarks/many.py FOLDER [COUNT] [--shape cache|plain]

It goes on where it stopped. Files are not flushed to the disk one by one, which publishing otherwise does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

MODELS = ("elman", "gru", "lstm", "rate")
TASKS: tuple[dict[str, Any], ...] = (
    *({"kind": "flip-flop", "bits": bits, "steps": 10} for bits in (1, 2, 3)),
    {"kind": "sine", "steps": 10},
)
PAPERS = ("dsa", "fastdsa", "inputdsa", None)
TAGS = ("attractor", "memory", "oscillation", "control", "lesion")
LARGE = 2
"""Fewest units of a network; the others have up to two more."""


def name_of(number: int) -> str:
    return f"net-{number:07d}"


def experiment(number: int) -> dict[str, Any]:
    """The spec of a checkpoint: models, tasks, sizes, papers and tags in turn, seeds in order."""
    combinations = list(product(MODELS, TASKS, range(LARGE, LARGE + 3)))
    kind, task, hidden = combinations[number % len(combinations)]
    return {
        "spec": "experiment/1",
        "name": name_of(number),
        "title": f"Tiny {kind} network number {number}",
        "paper": PAPERS[number % len(PAPERS)],
        "tags": [TAGS[number % 5], *([TAGS[number % 3]] if number % 3 != number % 5 else [])],
        "model": {"kind": kind, "hidden": hidden},
        "task": task,
        "learner": {"kind": "backprop"},
        "train": {"seed": number, "steps": 100},
        "record": {"golden_trials": 1},
    }


def checkpoint(number: int) -> tuple[Any, dict[str, bytes]]:
    """The record of a checkpoint and its files."""
    import torch

    from zoo.checkpoints.folder import safetensors_bytes
    from zoo.checkpoints.network import GOLDEN, TOLERANCES, golden_outputs
    from zoo.network import build
    from zoo.specs.experiment import ExperimentSpec
    from zoo.specs.record import Record

    spec = ExperimentSpec.model_validate(experiment(number))
    network = build(spec).eval()
    loss = 0.001 + (number * 7919 % 100_003) / 100_003
    record = Record.model_validate(
        {
            "name": spec.name, "title": spec.title, "paper": spec.paper, "tags": spec.tags,
            "license": spec.license, "experiment": spec.digest(), "seeds": [number], "steps": [100],
            "stopped": ["steps"], "parameters": sum(p.numel() for p in network.model.parameters()),
            "metrics": {"test/loss": [loss], "train/steps": [100.0]},
            "claims": [
                {"claim": {"metric": "test/loss", "at_most": 0.5, "source": {"kind": "design"}},
                 "holds": loss <= 0.5, "measured": [loss]}
            ],
            "golden": dict(TOLERANCES), "files": {},
            "code": {"version": "0.1.0", "commit": "0" * 40, "dirty": False},
            "environment": {
                "packages": {"torch": str(torch.__version__)},
                "platform": "Linux",
                "device": "cpu",
                "threads": 1,
            },
            "wall_time": [0.0],
            "created": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
        }
    )  # fmt: skip
    files = {
        "spec.json": json.dumps(spec.plain(), indent=1).encode(),
        GOLDEN: safetensors_bytes(golden_outputs([network], spec.record.golden_trials)),
        record.weights(): safetensors_bytes(network.model.state_dict()),
    }
    return record, files


def fill(root: Path, count: int, shape: str = "cache") -> None:
    """Bring a hub to so many checkpoints."""
    import torch

    from zoo.checkpoints.folder import CheckpointFolder, write
    from zoo.hub.cache import CacheHub
    from zoo.hub.plain import FolderHub

    torch.set_num_threads(1)
    hub = CacheHub(root) if shape == "cache" else FolderHub(root)
    begun = time.perf_counter()
    room = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    try:
        for number in range(count):
            name = name_of(number)
            there = root / f"models--{name}" / "refs" / "main" if shape == "cache" else root / name
            if there.exists():
                continue
            folder = CheckpointFolder(write(room / name, *checkpoint(number)))
            hub.publish(folder)
            shutil.rmtree(folder.path)
            if number % 1000 == 999:
                seconds = time.perf_counter() - begun
                print(f"{number + 1:,} checkpoints, {seconds:.0f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(room)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--shape", choices=("cache", "plain"), default="cache")
    given = parser.parse_args()
    os.fsync = lambda descriptor: None  # the one thing that is left out
    fill(given.folder, given.count, given.shape)


if __name__ == "__main__":
    main()
