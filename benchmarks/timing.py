"""Two things timed in turn, A B A B …, so that a drift of the machine's speed touches both alike."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Seconds of A and of B (medians), and the median of the ratios of neighbours."""

    ours: float
    theirs: float
    ratio: float
    spread: tuple[float, float]
    """Smallest and largest ratio."""


def side_by_side(
    ours: Callable[[], object], theirs: Callable[[], object], runs: int, warmup: int = 1
) -> Ratio:
    """Wall-clock time of both, in turn."""
    pairs = []
    for run in range(-warmup, runs):
        pair = (_timed(ours), _timed(theirs))
        if run >= 0:
            pairs.append(pair)
    ratios = sorted(a / b for a, b in pairs)
    median = [statistics.median(side) for side in zip(*pairs, strict=True)]
    return Ratio(median[0], median[1], statistics.median(ratios), (ratios[0], ratios[-1]))


def python(*arguments: str) -> Callable[[], object]:
    """A whole process of this interpreter."""
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def slope(points: Sequence[tuple[int, float]]) -> float:
    """Of a straight line through the points, on log axes."""
    x, y = ([math.log(value) for value in side] for side in zip(*points, strict=True))
    return statistics.linear_regression(x, y).slope


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(title: str, rows: list[tuple[str, str, Ratio, str]]) -> str:
    """A Markdown table: what, against what, both times, ratio, goal."""
    lines = [
        f"### {title}",
        "",
        "| what | against | ours (ms) | theirs (ms) | ratio (min–max) | goal |",
        "|---|---|---|---|---|---|",
    ]
    for what, against, r, goal in rows:
        spread = f"{r.ratio:.2f} ({r.spread[0]:.2f}–{r.spread[1]:.2f})"
        lines.append(
            f"| {what} | {against} | {r.ours * 1e3:.1f} | {r.theirs * 1e3:.1f} | {spread} | {goal} |"
        )
    return "\n".join(lines)


def show(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
