"""A hub of many tiny checkpoints, each trained by nobody and otherwise whole: its own spec, weights, golden
outputs and card, stored by the code that stores any other.

    python benchmarks/many.py FOLDER [COUNT]

It goes on where it stopped. The checks that come before publishing stores are made of each thousandth only,
which has to give the same commit; and files are not flushed to the disk one by one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
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
FEWEST = 2
"""Units of a network; the others have up to two more."""
EACH = 1000
"""Of how many checkpoints one is published with all checks."""


def name_of(number: int) -> str:
    return f"net-{number:07d}"


def experiment(number: int) -> dict[str, Any]:
    """The spec of a checkpoint: models, tasks, sizes, papers and tags in turn, seeds in order."""
    combinations = list(product(MODELS, TASKS, range(FEWEST, FEWEST + 3)))
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


def store(root: Path, number: int) -> str:
    """A checkpoint, straight to where publishing puts its files; its commit.

    Publishing reads each file again and checks the card, which is most of its time.
    """
    from zoo.checkpoints.folder import CARD, RECORD, describe
    from zoo.hub.base import MAIN, commit_of
    from zoo.hub.card import render
    from zoo.hub.repository import Repository
    from zoo.specs.experiment import ExperimentSpec

    record, files = checkpoint(number)
    record = record.updated(files={file: describe(data) for file, data in sorted(files.items())})
    spec = ExperimentSpec.model_validate(experiment(number))
    text = json.dumps(record.plain(), indent=1, ensure_ascii=False, allow_nan=False)
    files |= {RECORD: f"{text}\n".encode(), CARD: render(record, spec, reference=record.name).encode()}
    digests = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
    repository = Repository(root, record.name)
    with repository.locked():
        repository.store(commit_of(digests), files, digests, (MAIN,))
    return commit_of(digests)


def published(root: Path, number: int) -> str:
    """A checkpoint, published like any other; its commit."""
    from zoo.checkpoints.folder import CheckpointFolder, write
    from zoo.hub.cache import CacheHub

    with tempfile.TemporaryDirectory() as room:
        folder = CheckpointFolder(write(Path(room) / name_of(number), *checkpoint(number)))
        return CacheHub(root).publish(folder).commit


def fill(root: Path, count: int) -> None:
    """Bring a hub to so many checkpoints."""
    import torch

    torch.set_num_threads(1)
    sync, os.fsync = os.fsync, lambda descriptor: None  # of files that nobody will miss
    begun = time.perf_counter()
    try:
        for number in range(count):
            if (root / f"models--{name_of(number)}" / "refs" / "main").exists():
                continue
            commit = store(root, number)
            if number % EACH == 0:
                assert published(root, number) == commit, "publishing gives other files"
                seconds = time.perf_counter() - begun
                print(f"{number:,} checkpoints, {seconds:.0f} s", file=sys.stderr, flush=True)
    finally:
        os.fsync = sync


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    given = parser.parse_args()
    fill(given.folder, given.count)


if __name__ == "__main__":
    main()
