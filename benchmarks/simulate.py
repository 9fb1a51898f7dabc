"""A million members through ten thousand workers: a simulation of discrete events.

    python benchmarks/simulate.py measure [--cluster-workers 64]
    python benchmarks/simulate.py run [--members 1000000] [--workers 10000] [--seconds 1]

Driver, scheduler, workers and the hub's disk are servers with the costs that ``measure`` finds with a real
scheduler and a real hub on this machine. It keeps them in the file ``--costs``, where ``run`` finds them.
Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import os
import random
import statistics
import tempfile
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from measured import BEATS, Costs, measure
from timing import show

GROUPS = (1, 3, 10, 30, 100)
"""Members of a job."""


class Server:
    """One that serves in turn, to be asked in the order of time."""

    def __init__(self) -> None:
        self.free = 0.0
        """When it is free again."""

    def serve(self, now: float, cost: float) -> float:
        self.free = max(now, self.free) + cost
        return self.free


@dataclass(frozen=True)
class Outcome:
    """Of one simulated sweep."""

    rate: float
    """Jobs a second, in the middle half of the jobs."""
    training: float
    """Share of the workers' time, at that rate."""
    scheduler: float
    """Share of the time that it is busy, as that of the driver and of the disk."""
    driver: float
    disk: float
    waiting: float
    """Median seconds from a job that is trained to one that is written."""

    @property
    def bound(self) -> str:
        """What is busy most of all."""
        busy = {
            "workers": self.training,
            "scheduler": self.scheduler,
            "driver": self.driver,
            "disk": self.disk,
        }
        return max(busy, key=lambda name: busy[name])


def simulate(
    jobs: int,
    workers: int,
    seconds: float,
    group: int,
    costs: Costs,
    *,
    ahead: int = 2,
    spread: float = 0.3,
    seed: int = 0,
) -> Outcome:
    """A sweep of so many jobs that train ``group`` members for so long, and then write each of them.

    The driver keeps ``ahead`` jobs a worker in flight, as ours does. Durations are log-normal, with a
    standard deviation of ``spread`` times their mean.
    """
    chance, sigma = random.Random(seed), math.sqrt(math.log1p(spread * spread))
    driver, scheduler, disk = Server(), Server(), Server()
    coordinated = costs.scheduler * slowed(workers, costs)
    events: list[tuple[float, int, int]] = []
    new, sent, there, trained, written, told, heard, over = range(8)
    ready = 0  # with the scheduler, or by a worker that trains
    idle, left = deque(range(workers)), jobs
    ends, waits = list[float](), list[float]()

    def happens(when: float, what: int, worker: int = -1) -> None:
        heapq.heappush(events, (when, what, worker))

    def begin(now: float, worker: int) -> None:
        happens(now + seconds * chance.lognormvariate(-sigma * sigma / 2, sigma), trained, worker)

    for _ in range(min(jobs, ahead * workers)):
        left -= 1
        happens(0.0, new)
    while events:
        now, what, worker = heapq.heappop(events)
        if what == new:
            happens(driver.serve(now, costs.driver / 2), sent)
        elif what == sent:
            happens(scheduler.serve(now, coordinated / 2) + costs.latency, there)
        elif what == there:
            if idle:
                begin(now, idle.popleft())
            else:
                ready += 1
        elif what == trained:
            at = max(disk.serve(now, group * costs.stored), now + group * costs.publish)
            waits.append(at - now)
            happens(at, written, worker)
        elif what == written:
            happens(now + costs.latency, told)
            if ready:  # the next one is by the worker already
                ready -= 1
                begin(now, worker)
            else:
                idle.append(worker)
        elif what == told:
            happens(scheduler.serve(now, coordinated / 2), heard)
        elif what == heard:
            happens(driver.serve(now, costs.driver / 2), over)
        else:
            ends.append(now)
            if left:
                left -= 1
                happens(now, new)
    middle = ends[len(ends) // 4 : 3 * len(ends) // 4]
    rate = (len(middle) - 1) / (middle[-1] - middle[0])
    return Outcome(
        rate,
        rate * seconds / workers,
        rate * coordinated,
        rate * costs.driver,
        rate * group * costs.stored,
        statistics.median(waits),
    )


def slowed(workers: int, costs: Costs) -> float:
    """How many times longer the scheduler takes because of the heartbeats of its workers."""
    return 1 / max(1e-3, 1 - min(BEATS, 2.0 * workers) * costs.beat)


def run(members: int, workers: int, seconds: float, costs: Costs) -> None:
    """Where it bends: the same members in jobs of ever more of them."""
    print(f"\ncosts in seconds: {', '.join(f'{name} {cost:.3g}' for name, cost in asdict(costs).items())}")
    passed = 1 / max(costs.scheduler * slowed(workers, costs), costs.driver)
    print(
        f"\nThe driver prepares {members:,} members in {members * costs.prepare / 3600:.2f} hours. At most "
        f"{passed:,.0f} jobs a second pass driver and scheduler: to be busy always, {workers:,} workers "
        f"need jobs of {workers / passed:.0f} s. At most {1 / costs.stored:,.0f} members a second are stored."
    )
    columns = [
        "members a job", "jobs a second", "workers train", "scheduler busy", "driver busy", "disk busy",
        "wait for the disk (s)", f"hours for {members:,}", "bound by",
    ]  # fmt: skip
    for title, used in (
        ("one disk like this one takes every member", costs),
        ("each worker writes to a disk of its own, or to a store that grows with them",
         replace(costs, stored=costs.stored / workers)),
    ):  # fmt: skip
        rows = []
        for group in GROUPS:
            jobs = max(4 * workers, min(members // group, 12 * workers))
            found = simulate(jobs, workers, group * seconds, group, used)
            rows.append([
                group, f"{found.rate:,.0f}", f"{found.training:.0%}", f"{found.scheduler:.0%}",
                f"{found.driver:.0%}", f"{found.disk:.0%}", f"{found.waiting:.2g}",
                f"{members / group / found.rate / 3600:.2f}", found.bound,
            ])  # fmt: skip
        print(f"\n{workers:,} workers, members of {seconds:g} s, {title}")
        show(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("measure", "run"))
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a member trains")
    parser.add_argument("--cluster-workers", type=int, default=64)
    parser.add_argument("--costs", type=Path, default=Path(tempfile.gettempdir()) / "zoo-costs.json")
    given = parser.parse_args()
    print(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}; {os.cpu_count()} processors")
    if given.part == "measure":
        given.costs.write_text(json.dumps(asdict(measure(given.cluster_workers))))
    elif given.costs.exists():
        run(given.members, given.workers, given.seconds, Costs(**json.loads(given.costs.read_text())))
    else:
        raise SystemExit(f"there is no {given.costs}; make it with: python benchmarks/simulate.py measure")


if __name__ == "__main__":
    main()
