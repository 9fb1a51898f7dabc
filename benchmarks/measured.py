"""What a member of a sweep, a job through Dask and a publication cost on this machine.

For ``python benchmarks/simulate.py measure``, which starts this file again for the processes beside its own:

    python benchmarks/measured.py workers ADDRESS COUNT   # so many workers of one thread in one process
    python benchmarks/measured.py storing FOLDER TIMES N  # stores revisions, one after the other
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from many import checkpoint, experiment

BEATS = 200.0
"""Heartbeats a second that Dask's scheduler asks for at most, of all workers together."""
JOBS = 3000
PREPARED = 2000
"""Members of a sweep that a driver prepares."""
SIDE_BY_SIDE = 4
"""Processes that store revisions at the same time."""
TIMES = 100
"""Revisions that each of them stores."""


@dataclass(frozen=True)
class Costs:
    """Seconds."""

    prepare: float
    """Of the driver's processor, a member, before the first job begins."""
    driver: float
    """Of the driver's processor, a job: to submit it and to take its report."""
    scheduler: float
    """Of the scheduler's processor, a job."""
    beat: float
    """Of the scheduler's processor, a heartbeat of a worker."""
    publish: float
    """To publish a checkpoint by itself, with all of it on the disk."""
    stored: float
    """Between two publications that end, where many are published at the same time."""
    latency: float = 0.001
    """From a worker to the scheduler, and back; of a local network, and not measured."""


def measure(workers: int) -> Costs:
    """Costs of a driver, of an engine with so many workers, and of a hub in this folder."""
    return Costs(preparing(), *through_dask(workers), *publishing())


def preparing() -> float:
    """Seconds of the driver's processor for a member, from the spec to a job that could be submitted."""
    import psutil

    from zoo.specs.experiment import ExperimentSpec
    from zoo.training.run import Run

    me, kept = psutil.Process(), list[Any]()
    spec = ExperimentSpec.model_validate({**experiment(0), "population": {"members": PREPARED}})
    before, held = cpu(me), me.memory_info().rss
    for member in spec.members():
        digest = member.digest()
        assert not Run.of(member).finished
        kept.append((digest, member, json.dumps(member.plain())))
    took, size = (cpu(me) - before) / PREPARED, (me.memory_info().rss - held) / PREPARED
    print(
        f"\nTo prepare a member costs the driver {1e3 * took:.2f} ms and {size / 1e3:.1f} kB of memory, of "
        f"which {len(kept[0][2]) / 1e3:.1f} kB are what a worker is sent."
    )
    return took


def through_dask(count: int) -> tuple[float, float, float]:
    """Seconds of the driver's and the scheduler's processor for a job that does nothing; the latter's for a
    heartbeat.

    The scheduler is a process of its own, and so is the one in which all workers are.
    """
    import psutil
    from distributed.scheduler import heartbeat_interval

    from zoo.engine.job import Job
    from zoo.engine.opening import open_engine
    from zoo.engine.running import Runner
    from zoo.specs.experiment import ExperimentSpec

    document = json.dumps(ExperimentSpec.model_validate(experiment(0)).plain())

    def jobs(number: int) -> int:
        """Run so many through the engine, each with the spec of a member."""
        named = [Job(f"{number}-{k}", nothing, (k, document)) for k in range(number)]
        return len(list(Runner(engine, named)))

    with scheduler() as (process, address), workers(address, count):
        time.sleep(5)  # until all are known, and their clocks compared
        beats = count / heartbeat_interval(count)
        beat = spent(process, lambda: time.sleep(20)) / 20 / beats
        with open_engine(address.replace("tcp://", "dask://")) as engine:
            assert jobs(500) == 500
            me = psutil.Process()
            begun, before = time.perf_counter(), cpu(me)
            theirs = spent(process, lambda: jobs(JOBS)) / JOBS
            wall, ours = time.perf_counter() - begun, (cpu(me) - before) / JOBS
    print(
        f"\n{JOBS:,} jobs that do nothing through Dask and {count} workers in one process: "
        f"{JOBS / wall:,.0f} a second, on {os.cpu_count()} processors that all share. Of a processor: the "
        f"driver {1e3 * ours:.2f} ms a job, the scheduler {1e3 * theirs:.2f} ms, and {1e6 * beat:.0f} µs a "
        f"heartbeat."
    )
    return ours, theirs, beat


def nothing(number: int, document: str) -> int:
    return number


@contextmanager
def scheduler() -> Iterator[tuple[Any, str]]:
    """Dask's, in a process of its own, and its address."""
    import psutil
    from engine import end

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1", "--port", "0"]
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not file.exists():
                time.sleep(0.05)
            yield psutil.Process(process.pid), json.loads(file.read_text())["address"]
        finally:
            end(process)


@contextmanager
def workers(address: str, count: int) -> Iterator[None]:
    from engine import end

    command = [sys.executable, __file__, "workers", address, str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the workers did not start"
        yield
    finally:
        end(process)


async def herd(address: str, count: int) -> None:
    from distributed import Worker

    made = [Worker(address, nthreads=1, dashboard=False, memory_limit=0) for _ in range(count)]
    await asyncio.gather(*made)
    print("ready", flush=True)
    await asyncio.gather(*(worker.finished() for worker in made))


def publishing() -> tuple[float, float]:
    """Seconds to publish a checkpoint by itself, and between two of many that are stored at the same time."""
    import statistics

    from zoo.checkpoints.folder import CheckpointFolder, write
    from zoo.hub.cache import CacheHub

    with tempfile.TemporaryDirectory(dir=".") as folder:
        hub, took = CacheHub(Path(folder) / "hub"), []
        for number in range(40):
            made = CheckpointFolder(write(Path(folder) / "made" / str(number), *checkpoint(number)))
            begun = time.perf_counter()
            hub.publish(made)
            took.append(time.perf_counter() - begun)
        publish = statistics.median(took[5:])
        command = [sys.executable, __file__, "storing", str(hub.root), str(TIMES)]
        started = [
            subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, text=True)
            for k in range(SIDE_BY_SIDE)
        ]
        spans = [json.loads(each.communicate()[0]) for each in started]
        seconds = max(end for _, end in spans) - min(begun for begun, _ in spans)
        stored = seconds / (TIMES * SIDE_BY_SIDE)
    print(
        f"\nPublishing a checkpoint of five files takes {1e3 * publish:.1f} ms with all of it on the disk. "
        f"{SIDE_BY_SIDE} processes that do nothing else store {1 / stored:,.0f} a second."
    )
    return publish, stored


def storing(root: str, times: int, number: int) -> None:
    """Revisions of five small files, each under a name of its own: what is left when all is prepared."""
    from zoo.hub.base import MAIN, commit_of
    from zoo.hub.repository import Repository

    begun = time.time()
    for turn in range(times):
        files = {f"file-{k}": f"{number} {turn} {k} ".encode() * 100 for k in range(5)}
        digests = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
        repository = Repository(Path(root), f"stored-{number}-{turn}")
        with repository.locked():
            repository.store(commit_of(digests), files, digests, (MAIN,))
    print(json.dumps([begun, time.time()]))


def cpu(process: Any) -> float:
    """Seconds of a processor that a process has had."""
    times = process.cpu_times()
    return float(times.user + times.system)


def spent(process: Any, act: Callable[[], Any]) -> float:
    """The same while something is done."""
    before = cpu(process)
    act()
    return cpu(process) - before


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "workers":
        asyncio.run(herd(given[0], int(given[1])))
    else:
        storing(given[0], int(given[1]), int(given[2]))
