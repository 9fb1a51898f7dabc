"""Time and memory of a training step against units, steps and trials, with the slopes on log axes.

    python benchmarks/sizes.py [KIND …]

A step is forward, backward and Adam on the mean square of the readout, on one thread; the least time of
three. Memory is what the process holds at most in a first step more than before it, without the weights; each
is measured in a process of its own, by Linux. Prints a Markdown table, and draws docs/size-cost.svg.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from matplotlib.figure import Figure
from timing import show, slope

from zoo.registry import implementation, spec_class

INPUTS, OUTPUTS, REPEATS = 3, 2, 3
USUAL = {"units": 64, "steps": 100, "trials": 64}
SIZES = {
    "units": (32, 64, 128, 256, 512),
    "steps": (50, 100, 200, 400, 800),
    "trials": (32, 64, 128, 256, 512),
}
KINDS: dict[str, dict[str, Any]] = {
    "rate": {"tau": 0.1, "dt": 0.02},
    "gru": {},
    "lstm": {},
    "ltc": {"gating": "neuron"},
    "lru": {"block": "plain"},
    "transformer": {"heads": 4, "mlp": None, "context": max(SIZES["steps"])},
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MEGABYTE = 2**20


def cost(kind: str, units: int, steps: int, trials: int) -> tuple[float, float]:
    """Seconds and megabytes of a training step."""
    size = {"lru": {"width": units, "state": units}, "transformer": {"width": units}}
    spec = spec_class("models", kind).model_validate(
        {"kind": kind, **size.get(kind, {"hidden": units}), **KINDS[kind]}
    )
    model = implementation("models", kind)(spec, INPUTS, OUTPUTS)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    x = torch.randn(trials, steps, INPUTS)

    def step() -> float:
        began = time.perf_counter()
        optimizer.zero_grad()
        model(x).y.square().mean().backward()
        optimizer.step()
        return time.perf_counter() - began

    Path("/proc/self/clear_refs").write_text("5")  # what was held at most is what is held now
    before = most_held()
    step()
    held = most_held() - before
    return min(step() for _ in range(REPEATS)), held / MEGABYTE


def most_held() -> int:
    """Bytes that this process has held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measured(kind: str, **size: int) -> tuple[float, float]:
    """The same in a process of its own, which holds nothing of others."""
    with multiprocessing.get_context("fork").Pool(1) as process:
        return process.apply(cost, (kind,), {**USUAL, **size})


def draw(found: dict[tuple[str, str], list[tuple[int, float, float]]]) -> None:
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    panels = figure.subplots(2, len(SIZES), sharex="col")
    for column, (what, sizes) in enumerate(SIZES.items()):
        for row, label in enumerate(("seconds a step", "memory (MiB)")):
            axes = panels[row, column]
            for (kind, varied), points in found.items():
                if varied == what:
                    line = [(point[0], point[row + 1]) for point in points]
                    colour = COLOURS[list(KINDS).index(kind)]
                    axes.loglog(
                        *zip(*line, strict=True), "o-", ms=3, color=colour, label=f"{kind} {slope(line):.2f}"
                    )
            axes.set_xticks(sizes, map(str, sizes))
            axes.set_xticks([], minor=True)
            axes.grid(color="#ECECEC")
            axes.legend(frameon=False, fontsize=6, title="slope", title_fontsize=6)
            axes.set_ylabel(label if column == 0 else "")
        panels[1, column].set_xlabel(what)
    path = Path(__file__).parents[1] / "docs" / "size-cost.svg"
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    kinds = sys.argv[1:] or list(KINDS)
    found = {
        (kind, what): [(size, *measured(kind, **{what: size})) for size in sizes]
        for kind in kinds
        for what, sizes in SIZES.items()
    }
    rows = []
    for (kind, what), points in found.items():
        seconds, memory = ([(size, point[k]) for size, *point in points] for k in (0, 1))
        ends = [f"{side[0][1]:.3g} … {side[-1][1]:.3g}" for side in (seconds, memory)]
        sizes = f"{points[0][0]} … {points[-1][0]}"
        rows.append(
            (f"`{kind}`", what, sizes, ends[0], f"{slope(seconds):.2f}", ends[1], f"{slope(memory):.2f}")
        )
    show(("kind", "against", "from … to", "seconds a step", "slope", "memory (MiB)", "slope"), rows)
    if not sys.argv[1:]:
        draw(found)
