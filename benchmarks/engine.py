"""Jobs through Dask beside local processes, and while its workers are killed; all pairs of a population.

    python benchmarks/engine.py [jobs] [pairs] [--jobs 200] [--milliseconds 50] [--runs 5] [--networks 300]

``jobs``: both engines have two workers, warm: each has done one job before the clock starts. ``pairs``: the
members of one published population, by name, their trajectories, operators and angles, through two local
workers, from their start to their end, beside this process. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
from timing import report, side_by_side

from zoo.analysis.compare import compare
from zoo.engine.base import Engine
from zoo.engine.job import Job, Report
from zoo.engine.opening import open_engine
from zoo.engine.running import Runner
from zoo.specs.experiment import ExperimentSpec
from zoo.training.train import train

GOAL = 1.2
KILL_EVERY = 5.0
PAIRS_GOAL = "≤ 0.59 (1.7 times faster)"
POPULATION = {
    "name": "pairs",
    "model": {"kind": "elman", "hidden": 32},
    "task": {"kind": "flip-flop", "bits": 2, "steps": 100},
    "learner": {"kind": "backprop", "optimizer": {"kind": "adam", "lr": 1e-2}},
    "train": {"steps": 20, "batch_size": 8, "validate_every": 10},
}
METRIC = {"metric": "dsa", "score": "angular", "delays": 5, "rank": 10, "trials": 32}


def work(number: int, seconds: float) -> int:
    """Keep a processor busy for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return number


def run(engine: Engine, count: int, seconds: float) -> list[tuple[Job, Report]]:
    return list(Runner(engine, [Job(str(k), work, (k, seconds)) for k in range(count)]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=("jobs", "pairs"), default=("jobs", "pairs"))
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--milliseconds", type=float, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--networks", type=int, default=300)
    given = parser.parse_args()
    print(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}; {os.cpu_count()} processors")
    if "jobs" in given.parts:
        through_dask(given.jobs, given.milliseconds / 1000, given.runs)
    if "pairs" in given.parts:
        all_pairs(given.networks)


def through_dask(jobs: int, seconds: float, runs: int) -> None:
    with dask_cluster() as (address, workers), open_engine(address) as dask:
        with open_engine("local:2") as local:
            ratio = side_by_side(lambda: run(dask, jobs, seconds), lambda: run(local, jobs, seconds), runs)
        what = f"{jobs} jobs of {1000 * seconds:g} ms through Dask, 2 workers"
        print(report("Engine", [(what, "local:2", ratio, f"≤ {GOAL}")]))
        killed(dask, workers, jobs)


def all_pairs(count: int) -> None:
    """Of a population that has hardly been trained; caches are not used."""
    spec = ExperimentSpec.model_validate({**POPULATION, "population": {"members": count}})
    with tempfile.TemporaryDirectory() as folder:
        made = train(spec, progress=False, folder=Path(folder) / "run")
        found = {}

        def compared(engine: str) -> None:
            found[engine] = compare(f"{made.path}/*", engine=engine, cache=False, **METRIC)

        ratio = side_by_side(lambda: compared("local:2"), lambda: compared("here"), 1, warmup=0)
        what = f"all {count * (count - 1) // 2} pairs of {count} networks (DSA angle, rank 10), 2 workers"
        print(report("All pairs", [(what, "one process", ratio, PAIRS_GOAL)]))
        same = "" if np.array_equal(found["local:2"].values, found["here"].values) else "not "
        print(f"\n{1 / ratio.ratio:.2f} times faster; distances are {same}the same to the last bit.")


@contextmanager
def dask_cluster() -> Iterator[tuple[str, list[psutil.Process]]]:
    """The address of a scheduler, and the nannies of its two workers, all processes of their own."""
    python, quiet = [sys.executable, "-m"], {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "scheduler.json"
        options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
        one = ["--nthreads", "1", "--local-directory", folder]
        command = [*python, "distributed.cli.dask_scheduler", *options, "--port", "0"]
        stack.callback(end, subprocess.Popen(command, **quiet))
        while not file.exists():
            time.sleep(0.05)
        nannies = []
        for _ in range(2):
            nanny = subprocess.Popen([*python, "distributed.cli.dask_worker", *options, *one], **quiet)
            stack.callback(end, nanny)
            nannies.append(psutil.Process(nanny.pid))
        yield json.loads(file.read_text())["address"].replace("tcp://", "dask://"), nannies


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def killed(dask: Engine, nannies: list[psutil.Process], count: int) -> None:
    """The same number of longer jobs, while a worker is killed every few seconds."""
    ended, kills = threading.Event(), 0

    def kill() -> None:
        nonlocal kills
        order = random.Random(0)
        while not ended.wait(KILL_EVERY):
            below = order.choice(nannies).children()
            workers = [each for each in below if any("spawn_main" in part for part in each.cmdline())]
            for worker in workers:
                worker.kill()
            kills += bool(workers)

    killer = threading.Thread(target=kill)
    started = time.perf_counter()
    killer.start()
    try:
        found = run(dask, count, 0.25)
    finally:
        ended.set()
        killer.join()
    values = Counter(report.value for _, report in found)
    once = sum(values[k] == 1 for k in range(count))
    print(
        f"\nA worker killed every {KILL_EVERY:g} s, {kills} times in {time.perf_counter() - started:.0f} s: "
        f"{len(found)} reports for {count} jobs of 250 ms, {once} results each once."
    )


if __name__ == "__main__":
    main()
