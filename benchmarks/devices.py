"""Several devices against one: the same network by one process, and by two that share each batch.

Run from a checkout: ``python benchmarks/devices.py``. On the CPU, one thread a process. A step is what
``zoo.train`` spends on one, with its log and validations; the start is everything before and after, of which
two processes have an import each. Prints a Markdown table.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

SIZES = ((64, 64), (256, 64))
"""Hidden units, batch."""
STEPS = 60


def seconds(hidden: int, batch: int, devices: int, strategy: str) -> tuple[float, float]:
    """Of a step, and of the start."""
    from zoo.specs.experiment import ExperimentSpec
    from zoo.training.run import Run

    spec = ExperimentSpec.model_validate(
        {
            "name": "devices",
            "model": {"kind": "gru", "hidden": hidden},
            "task": {"kind": "flip-flop", "steps": 60},
            "learner": {"kind": "backprop", "clip_norm": 1.0},
            "train": {
                "steps": STEPS,
                "batch_size": batch,
                "validate_every": STEPS,
                "accelerator": "cpu",
                "devices": devices,
                "strategy": strategy,
            },
            "record": {"snapshots": None, "evaluation": {"trials": 64}},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        wall = Run.of(spec, Path(folder)).fit(progress=False)["wall_time"]
        return wall / STEPS, time.perf_counter() - began - wall


if __name__ == "__main__":
    seconds(8, 8, 1, "auto")  # imports
    print("| hidden | batch | one process (ms a step) | two, ddp | two, fsdp | ddp faster by | start (s) |")
    print("|---|---|---|---|---|---|---|")
    for hidden, batch in SIZES:
        one, _ = seconds(hidden, batch, 1, "auto")
        ddp, start = seconds(hidden, batch, 2, "ddp")
        fsdp, _ = seconds(hidden, batch, 2, "fsdp")
        times = " | ".join(f"{each * 1e3:.0f}" for each in (one, ddp, fsdp))
        print(f"| {hidden} | {batch} | {times} | {one / ddp:.2f} | {start:.1f} |", flush=True)
