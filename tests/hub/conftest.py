"""Tiny valid checkpoints, made without training and without torch."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from zoo.checkpoints.folder import CheckpointFolder, write
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

Make = Callable[..., CheckpointFolder]


def experiment(name: str = "tiny", members: int | None = None, hidden: int = 4) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "name": name,
            "title": "A tiny Elman network",
            "model": {"kind": "elman", "hidden": hidden},
            "task": {"kind": "flip-flop", "bits": 2},
            "learner": {"kind": "backprop"},
            "population": None if members is None else {"members": members},
        }
    )


def weights(hidden: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    shapes = {
        "cell.weight_ih_l0": (hidden, 2),
        "cell.weight_hh_l0": (hidden, hidden),
        "output.weight": (2, hidden),
    }
    return {name: random.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def record(spec: ExperimentSpec, **changes: Any) -> Record:
    count = 1 if spec.population is None else len(spec.population)
    return Record.model_validate(
        {
            "name": spec.name,
            "title": spec.title,
            "license": spec.license,
            "experiment": spec.digest(),
            "members": None if spec.population is None else count,
            "seeds": range(count),
            "steps": [100] * count,
            "stopped": ["steps"] * count,
            "parameters": 30,
            "metrics": {"test/mse": [0.25 + k / 8 for k in range(count)]},
            "files": {},
            "code": {"version": "0.1.0", "commit": "0" * 40, "dirty": False},
            "environment": {
                "packages": {"torch": "2.13.0"},
                "platform": "Linux",
                "device": "cpu",
                "threads": 1,
            },
            "wall_time": [1.5] * count,
            "created": "2026-11-21T12:00:00+00:00",
            **changes,
        }
    )


def _fabricate(
    destination: Path,
    name: str = "tiny",
    *,
    members: int | None = None,
    hidden: int = 4,
    seed: int = 0,
    card: str | None = "# By hand\n",
    series: list[list[int]] | None = None,
    **changes: Any,
) -> CheckpointFolder:
    """A checkpoint folder of an Elman network on a flip-flop; ``changes`` go into its record."""
    spec = experiment(name, members, hidden)
    made = record(spec, series=series or [], **changes)
    files = {
        "spec.json": json.dumps(spec.plain(), indent=1).encode(),
        "golden.safetensors": save({"x": np.zeros((2, 3), np.float32)}),
        **({} if card is None else {"README.md": card.encode()}),
    }
    for index in range(members or 1):
        files[made.weights(index)] = save(weights(hidden, 100 * seed + index))
        for step in series[index] if series else ():
            files.setdefault(made.weights(index, step), save(weights(hidden, 100 * seed + 50 + step)))
    return CheckpointFolder(write(destination, made, files))


@pytest.fixture(scope="session")
def fabricate() -> Make:
    """``fabricate(destination, "tiny", seed=1)`` writes a checkpoint folder."""
    return _fabricate


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: flushing to the disk then takes no time."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared, prefix="zoo-tests-") as folder:
        yield Path(folder)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """``make("tiny", seed=1)`` gives a checkpoint folder; the same arguments, the same bytes."""
    made = iter(range(1000))
    return lambda name="tiny", **options: _fabricate(tmp_path / f"made-{next(made)}", name, **options)
