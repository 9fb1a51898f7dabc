"""The index of a hub of a million: the real tables and the real index over a real folder of as many names, of
which each is an empty file and each entry is made up.

    python benchmarks/million.py [--entries 10000 100000 1000000]

Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from many import MODELS, PAPERS, TAGS, name_of
from timing import show

from zoo.hub.index.entry import Entry
from zoo.hub.index.index import Index, folder_of
from zoo.hub.index.query import Bound, Query
from zoo.hub.index.sources import GONE, CacheSource


class MadeUp(CacheSource):
    """Entries that no checkpoint is behind, looked at with as many calls of the system as real ones."""

    def stamp(self, name: str) -> tuple[str, int]:
        try:
            os.stat(f"{self._top}{name}")
            status = os.stat(f"{self._top}{name}")
        except OSError:
            return GONE, 0
        return f"{status.st_ino}.{status.st_mtime_ns}.{status.st_size}.{status.st_ctime_ns}", 0

    def read(self, name: str) -> Entry:
        number = int(name[4:])
        loss = 0.001 + (number * 7919 % 100_003) / 100_003
        kind, task = MODELS[number % 4], ("flip-flop", "sine")[number % 2]
        return Entry(
            name, "", f"{number:040x}", kind, task, "backprop", PAPERS[number % 4],
            f"Tiny {kind} network number {number}", (TAGS[number % 5],), (), None, 40, 0, 3000, 1, 0,
            "CC0-1.0", "2026-01-01T00:00:00+00:00",
            {"test/loss": (loss, loss), "train/steps": (100.0, 100.0)},
        )  # fmt: skip


def index(root: Path, count: int) -> dict[str, float]:
    """What is asked → seconds; and MB of the file."""
    took = {"names made in a folder": seconds(lambda: make(root, count), 1)}
    found = Index(MadeUp(root))
    took["names listed (`scandir`)"] = seconds(found.source.names)
    took["tables filled, without reading any checkpoint"] = seconds(found.count, 1)
    loss = Query(bounds=(Bound("test/loss", "<", 0.05),))
    asked: dict[str, Callable[[], Any]] = {
        "count": found.count,
        "the first 200 rows": lambda: found.find(limit=200),
        "`--model gru`, 200 rows": lambda: found.find(Query(model="gru"), 200),
        "`--model gru`, all names": lambda: found.names(Query(model="gru")),
        "a glob, `*77*`, all names": lambda: found.names(Query(names=("*77*",))),
        "a text, all names": lambda: found.names(Query(text="oscillation")),
        "`--metric`, all names": lambda: found.names(loss),
        "all names": found.names,
        "the last page of 1000 rows": lambda: found.find(limit=1000, start=count - 1000),
        "one entry": lambda: found.get([name_of(count // 2)]),
    }
    took |= {what: seconds(act) for what, act in asked.items()}
    took["the first 200 rows, after a name came by other hands"] = came(found, root)
    took["MB of the index"] = sum(path.stat().st_size for path in folder_of(found.source).iterdir()) / 1e9
    return took


def make(root: Path, count: int) -> None:
    root.mkdir(parents=True)
    for number in range(count):
        os.close(os.open(f"{root}/models--{name_of(number)}", os.O_CREAT | os.O_WRONLY))
    os.utime(root, (time.time() - 3600,) * 2)


def came(found: Index, root: Path) -> float:
    os.close(os.open(f"{root}/models--net-9999999", os.O_CREAT | os.O_WRONLY))
    return seconds(lambda: found.find(limit=200), 1)


def seconds(act: Callable[[], Any], times: int = 3) -> float:
    """The median."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        act()
        took.append(time.perf_counter() - begun)
    print(f"{took[-1]:.2f} s", end=" ", file=sys.stderr, flush=True)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    given = parser.parse_args()
    print(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}; {os.cpu_count()} processors")
    columns = []
    for count in given.entries:
        with tempfile.TemporaryDirectory(prefix="zoo-million-") as home:
            os.environ["ZOO_HOME"] = home
            columns.append(index(Path(home) / "hub", count))
            shutil.rmtree(home, ignore_errors=True)
            Path(home).mkdir(exist_ok=True)
    rows = [[what, *(f"{1e3 * column[what]:,.0f}" for column in columns)] for what in columns[0]]
    show(["ms", *(f"{count:,}" for count in given.entries)], rows)


if __name__ == "__main__":
    main()
