"""Very many checkpoints: what a hub of them answers, in what time.

    python benchmarks/scale.py index [--checkpoints 10000] [--hub FOLDER] [--again]
    python benchmarks/scale.py http  [--checkpoints 10000] [--hub FOLDER]

Brings the folder to so many tiny checkpoints (without a folder, one that is removed afterwards), and asks
the zoo or a served hub about them. With ``--again`` the index is read anew. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

from many import fill, name_of
from timing import show

TIMES = 15


def timed(what: str, act: Callable[[], Any], times: int = TIMES) -> list[Any]:
    """A row: what, how many it found, the median and the largest milliseconds."""
    took, found = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        answer = act()
        took.append(1e3 * (time.perf_counter() - begun))
        found = answer if isinstance(answer, int) else len(answer)
    return [what, f"{found:,}", f"{statistics.median(took):.0f}", f"{max(took):.0f}"]


def index(root: Path, count: int, again: bool) -> None:
    """Answers in this process, of a new object each, and whole commands."""
    from zoo.hub.cache import CacheHub
    from zoo.hub.index.index import folder_of
    from zoo.hub.index.query import Bound, Query
    from zoo.hub.listing import find

    def ask(query: Query, limit: int | None = 200) -> list[str]:
        names, found = find(query, [CacheHub(root, "hub")], limit=limit)
        assert len(found) == min(len(names), limit or len(names))
        return names

    folder = folder_of(CacheHub(root).index.source)
    if again:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [timed("first answer: every record and spec is read", lambda: CacheHub(root).index.count(), 1)]
    middle, loss = name_of(count // 2), "test/loss"
    queries = {
        "`zoo list`: names, and the first 200 rows": Query(),
        "a glob, `net-*77*`": Query(names=("net-*77*",)),
        "`--model gru`": Query(model="gru"),
        "`--task sine`": Query(task="sine"),
        "`--paper dsa`": Query(paper="dsa"),
        "`--tag memory`": Query(tag="memory"),
        "`--metric 'test/loss<0.05'`": Query(bounds=(Bound(loss, "<", 0.05),)),
        "`zoo search lstm`: in names, titles and tags": Query(text="lstm"),
        "model, task, tag and metric": Query(
            model="gru", task="sine", tag="memory", bounds=(Bound(loss, "<", 0.5),)
        ),
    }
    rows += [timed(what, lambda query=query: ask(query)) for what, query in queries.items()]
    rows.append(timed("`zoo show`: one by its name", lambda: [CacheHub(root).fetch(middle).record.name]))
    rows.append(timed("`zoo.names`", lambda: CacheHub(root).names()))
    rows.append(timed("all rows, with everything that is known", lambda: ask(Query(), None), 3))
    show([f"asked of {count:,} checkpoints", "found", "ms", "most"], rows)
    after(root, count)
    commands(root, middle)
    sizes(root, count, folder)


def after(root: Path, count: int) -> None:
    """The first answer after a change."""
    from zoo.hub.cache import CacheHub

    hub, name, took = CacheHub(root), name_of(count - 1), []
    folder = hub.fetch(name)
    acts: dict[str, Callable[[int], Any]] = {
        "after a tag": lambda turn: hub.tag(name, f"t{time.time_ns()}"),
        "after a new name": lambda turn: hub.publish(folder, f"copy-{turn}"),
        "after a name was deleted": lambda turn: hub.delete(f"copy-{turn}"),
        "after a folder was removed by hand": lambda turn: by_hand(hub, folder, turn),
    }
    rows = []
    for what, act in acts.items():
        took.clear()
        for turn in range(5):
            act(turn)
            begun = time.perf_counter()
            CacheHub(root).index.find(limit=200)
            took.append(1e3 * (time.perf_counter() - begun))
        rows.append([what, f"{statistics.median(took):.0f}", f"{max(took):.0f}"])
    for tag in hub.tags(name):
        (root / f"models--{name}" / "refs" / tag).unlink()
    show(["the first 200 rows", "ms", "most"], rows)


def by_hand(hub: Any, folder: Any, turn: int) -> None:
    hub.publish(folder, f"copy-{turn}")
    hub.index.count()
    shutil.rmtree(hub.root / f"models--copy-{turn}")


def commands(root: Path, name: str) -> None:
    """Whole processes, Python and all imports included."""
    command = str(Path(sys.executable).with_name("zoo"))
    here = {**os.environ, "ZOO_HUBS": str(root)}
    rows = []
    for what, arguments in {
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`zoo --version`": [command, "--version"],
        "`zoo list` without that hub": [command, "list"],
        "`zoo list`, 200 rows": [command, "list", "net-*"],
        "`zoo list --hub … --model gru --limit 20`": [
            command, "list", "--hub", str(root), "--model", "gru", "--limit", "20",
        ],
        "`zoo search lstm --hub …`": [command, "search", "lstm", "--hub", str(root)],
        "`zoo show`": [command, "show", name],
    }.items():  # fmt: skip
        environment = {
            key: value for key, value in here.items() if key != "ZOO_HUBS" or "without" not in what
        }

        def run(arguments: list[str] = arguments, environment: dict[str, str] = environment) -> list[None]:
            subprocess.run(arguments, env=environment, check=True, capture_output=True)
            return []

        row = timed(what, run, 5)
        rows.append([row[0], row[2], row[3]])
    show(["whole command", "ms", "most"], rows)


def sizes(root: Path, count: int, folder: Path) -> None:
    """Bytes and inodes of the hub and of its index."""
    begun, inodes, blocks, apparent = time.perf_counter(), 0, 0, 0
    for path, _, files in os.walk(root):
        for name in (path, *(f"{path}/{file}" for file in files)):
            status = os.lstat(name)
            inodes += 1
            blocks += 512 * status.st_blocks
            apparent += status.st_size if name != path else 0
    kept = sum(path.stat().st_size for path in folder.iterdir())
    rows = [
        ["inodes", f"{inodes:,}", f"{inodes / count:.1f}"],
        ["bytes on the disk", f"{blocks / 1e6:,.0f} MB", f"{blocks / count / 1e3:.1f} kB"],
        ["bytes of files", f"{apparent / 1e6:,.0f} MB", f"{apparent / count / 1e3:.1f} kB"],
        ["bytes of the index", f"{kept / 1e6:,.1f} MB", f"{kept / count:.0f} B"],
        ["seconds to look at every file", f"{time.perf_counter() - begun:.1f}", ""],
    ]
    show(["of the hub", "in all", "a checkpoint"], rows)


def http(root: Path, count: int) -> None:
    """A served hub: pages, searches, and the whole list through the client."""
    from httpx2 import Client
    from hub import served

    from zoo.hub.huggingface import HuggingFaceHub

    with served(root) as url, Client(base_url=url, timeout=3600) as client:
        begun = time.perf_counter()
        while client.get("/api/models?limit=1").status_code == 503:
            time.sleep(1)
        first = f"{1e3 * (time.perf_counter() - begun):.0f}"
        rows = [["first answer: every record and card is read", "1", first, ""]]

        def get(**query: Any) -> list[Any]:
            answer = client.get("/api/models", params=query)
            assert answer.status_code == 200
            return answer.json()

        for what, query in {
            "the first page, 1000": {},
            "the last page": {"skip": max(0, count - 1000)},
            "`filter=neuroai-zoo,gru`, 1000": {"filter": "neuroai-zoo,gru"},
            "`search=77`, 50": {"search": "77", "limit": 50},
            "`sort=lastModified`, 1000": {"sort": "lastModified"},
            "`full=true`, 50": {"full": "true", "limit": 50},
        }.items():
            rows.append(timed(what, lambda query=query: get(**query)))
        rows.append(timed("one model", lambda: client.get(f"/api/models/{name_of(count // 2)}").json()))
        rows.append(timed("the page for people, 2000 rows", lambda: client.get("/").text.count("<tr>")))
        hub = HuggingFaceHub(url)
        rows.append(timed("all names through `huggingface_hub`", hub.names, 1))
    show([f"asked of a served hub of {count:,}", "found", "ms", "most"], rows)


@contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="zoo-scale-") as made:
        yield Path(made) / "hub"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("index", "http"))
    parser.add_argument("--checkpoints", type=int, default=10_000)
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    print(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}; {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="zoo-scale-home-") as home, folder(given.hub) as root:
        os.environ.setdefault("ZOO_HOME", home)
        fill(root, given.checkpoints)
        if given.part == "index":
            index(root, given.checkpoints, given.again)
        else:
            http(root, given.checkpoints)


if __name__ == "__main__":
    main()
