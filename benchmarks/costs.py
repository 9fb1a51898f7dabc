"""What one member costs to train, one snapshot to keep and publish, and one pair to compare.

    python benchmarks/costs.py

Trains a small population, publishes it and compares its members, on one thread. Prints Markdown tables.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from timing import show

os.environ.setdefault("OMP_NUM_THREADS", "1")

MEMBERS, STEPS = 32, 200
COMPARED = 24
T = TypeVar("T")
METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "CKA": ("cka", {}),
    "Procrustes": ("procrustes", {}),
    "RSA": ("rsa", {}),
    "DSA, eigenvalues": ("dsa", {"delays": 5, "rank": 10}),
    "DSA, angles": ("dsa", {"delays": 5, "rank": 10, "score": "angular"}),
}


def population(members: int, kind: str = "elman", hidden: int = 16) -> dict[str, Any]:
    return {
        "spec": "experiment/1",
        "name": f"cost-{kind}",
        "model": {"kind": kind, "hidden": hidden},
        "task": {"kind": "flip-flop", "bits": 2, "steps": 50},
        "learner": {"kind": "backprop", "optimizer": {"kind": "adam", "lr": 1e-2}},
        "train": {"steps": STEPS, "batch_size": 16, "validate_every": STEPS},
        "record": {"evaluation": {"trials": 64}},
        "population": {"members": members},
    }


def main() -> None:
    import torch

    import zoo
    from zoo.specs.experiment import ExperimentSpec

    print(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}; {os.cpu_count()} processors")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="zoo-costs-") as home:
        os.environ["ZOO_HOME"] = home
        zoo.train(ExperimentSpec.model_validate({**population(2), "name": "first"}))  # everything is imported
        spec = ExperimentSpec.model_validate(population(MEMBERS))
        folder, trained = timed(lambda: zoo.train(spec))
        revision, published = timed(lambda: zoo.publish(folder))
        of_members(folder, trained, published)
        of_pairs(revision.name)


def timed(act: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    return act(), time.perf_counter() - begun


def of_members(folder: Any, trained: float, published: float) -> None:
    from zoo.checkpoints.folder import write

    record = folder.record
    files = {file: folder.read(file) for file in record.files}
    with tempfile.TemporaryDirectory() as room:
        _, saved = timed(lambda: write(Path(room) / "again", record, files))
    last = [len(files[file]) for file in record.all_weights()]
    at = [len(data) for file, data in files.items() if "-at-" in file]
    assert len(at) == sum(len(steps) for steps in record.series) - len(last)  # the last is the network itself
    rest = sum(map(len, files.values())) - sum(last) - sum(at)
    show(
        [f"{MEMBERS} tanh RNNs of 16 units, {STEPS} batches of 16 × 50 steps, one thread", "in all", "each"],
        [
            ["trained and recorded, a member", f"{trained:.1f} s", f"{1e3 * trained / MEMBERS:.0f} ms"],
            ["a step of a member", "", f"{1e6 * trained / MEMBERS / STEPS:.0f} µs"],
            ["weights of a member", f"{sum(last) / 1e3:.0f} kB", f"{sum(last) / len(last):,.0f} B"],
            ["a snapshot of a member", f"{len(at)} of {sum(at) / 1e3:.0f} kB", f"{sum(at) / len(at):,.0f} B"],
            ["all else: spec, golden outputs, ledger, portrait", f"{rest / 1e3:.0f} kB",
             f"{rest / MEMBERS:,.0f} B a member"],
            ["saved, a file", f"{saved:.2f} s", f"{1e3 * saved / len(files):.2f} ms"],
            ["published, a file", f"{published:.2f} s", f"{1e3 * published / len(files):.2f} ms"],
        ],
    )  # fmt: skip


def of_pairs(name: str) -> None:
    import numpy as np

    import zoo
    from zoo.analysis.compare import comparator_of
    from zoo.analysis.items import gather

    begun = time.perf_counter()
    networks = [zoo.load(f"{name}/{member}") for member in range(COMPARED)]
    loaded = (time.perf_counter() - begun) / COMPARED
    rows = []
    pairs = np.stack(np.triu_indices(COMPARED, 1), 1)
    for title, (metric, options) in METRICS.items():
        comparator = comparator_of(metric, options)
        items = gather({f"net-{k}": network for k, network in enumerate(networks)}, comparator.spec, None)
        begun = time.perf_counter()
        runs = [item.open() for item in items]
        ran = (time.perf_counter() - begun) / COMPARED
        begun = time.perf_counter()
        features = [comparator.features(run) for run in runs]
        extracted = (time.perf_counter() - begun) / COMPARED
        size = sum(value.nbytes for value in features[0].values.values())
        begun = time.perf_counter()
        comparator.measures(features, pairs)
        compared = (time.perf_counter() - begun) / len(pairs)
        day = 86_400 / compared
        rows.append([title, f"{1e3 * ran:.1f}", f"{1e3 * extracted:.1f}", f"{size / 1e3:,.1f}",
                     f"{1e3 * compared:.3f}", f"{day:.1e}", f"{(2 * day) ** 0.5:,.0f}"])  # fmt: skip
    print(f"\nLoading a member takes {1e3 * loaded:.1f} ms.")
    show(
        ["metric", "trials run (ms a network)", "features (ms a network)", "features (kB)", "ms a pair",
         "pairs a day", "networks whose pairs take a day"],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
