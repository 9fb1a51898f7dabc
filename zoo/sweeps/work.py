"""What a worker does for a sweep. Its arguments are plain data, so that any version can read them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.engine.job import Failure
from zoo.errors import EngineError, HubError, TrainingError, ZooError

if TYPE_CHECKING:
    from zoo.sweeps.exchange import Exchange
    from zoo.training.run import Run

BEACONS = ".drivers"
"""The folder beside the runs in which a driver leaves a word that workers on the same disk can read."""
SMALL = 4 * 2**20
"""Bytes of a run up to which it comes back with the word that it is done, though it is on the hub as well."""
LARGEST = 64 * 2**20
"""Bytes of a run that comes back so where there is no hub, at most."""
_writes: set[str] = set()
"""Hubs to which this process has written."""


@dataclass(frozen=True)
class Outcome:
    """What became of a member: it failed, or is finished where the driver finds it, or here are its files."""

    failure: Failure | None = None
    files: dict[str, bytes] | None = None
    """As :func:`zoo.hub.parcels.packed` has them, with an index that says what they must be."""


def train(order: dict[str, Any], documents: Sequence[str]) -> list[Outcome]:
    """Train the members that these JSON documents declare, and say what became of each.

    ``order`` has the driver's ``home``, the name of its ``sweep`` and the ``word`` that it has left there;
    and where there is a hub its address, ``hub``, the names there of the driver's ``claim`` and of the
    ``states`` of these members, first their own, and after how many seconds, ``every``, these are saved.
    A worker that does not find the word there keeps to its own ``ZOO_HOME``.

    Raises :class:`EngineError` where the worker cannot use that hub.
    """
    shared = _sees(order)
    with _at_home(order["home"] if shared else None):
        from zoo.specs.experiment import ExperimentSpec
        from zoo.training.run import Run

        members = [ExperimentSpec.model_validate(json.loads(document)) for document in documents]
        print(f"process {os.getpid()} trains {', '.join(member.digest()[:12] for member in members)}")
        runs = [Run.of(member) for member in members]
        try:
            exchange = None if order["hub"] is None else _exchange(order)
            problems = _train(runs) if exchange is None else _train_through(exchange, order, runs)
            return [_outcome(run, each, exchange, shared) for run, each in zip(runs, problems, strict=True)]
        except OSError as problem:
            raise TrainingError(
                f"a worker cannot write its runs: {problem}. Free some space there, or set its ZOO_HOME."
            ) from problem


def _train(runs: Sequence[Run]) -> list[Exception | None]:
    from zoo.training.jobs import train_members

    problems = train_members([run.experiment for run in runs])
    for problem in filter(None, problems):
        print(Failure.of(problem).trace)
    return problems


def _train_through(exchange: Exchange, order: dict[str, Any], runs: Sequence[Run]) -> list[Exception | None]:
    """The same, with what is on the hub: finished runs are not trained, half-finished ones go on."""
    from zoo.sweeps.exchange import Courier

    exchange.fetch_all([run for run in runs if not run.finished])
    if left := [run for run in runs if not run.finished]:
        own = order["states"][0]
        resumed = next((name for name in order["states"] if exchange.resume(name, left)), None)
        if resumed is not None:
            print(f"{len(left)} members go on from a state on the hub")
        _check_writes(exchange, own, left)
        with Courier(exchange, own, left, order["every"]):
            problems = _train(runs)
        exchange.forget(own)
        return problems
    return [None] * len(runs)


def _outcome(run: Run, problem: Exception | None, exchange: Exchange | None, shared: bool) -> Outcome:
    """What the driver is told of a run, which is on the hub before, if there is one."""
    if problem is not None:
        return Outcome(Failure.of(problem))
    if shared and exchange is None:
        return Outcome()
    from zoo.hub.parcels import packed
    from zoo.sweeps.parts import run_files

    files = run_files(run)
    size, most = sum(map(len, files.values())), LARGEST
    if exchange is not None:
        try:
            ours = exchange.publish(run, files)
            most = SMALL if ours else -1  # of two, the one on the hub is what all drivers get
        except HubError as failed:
            print(f"{run.folder.name} is finished, and not on the hub: {failed}")
            if not shared and size > LARGEST:
                return Outcome(Failure.of(failed))
    if shared or (size > most and exchange is not None):
        return Outcome()
    if size <= most:
        return Outcome(files=packed(files))
    return Outcome(
        Failure.of(
            TrainingError(
                f"{run.folder.name} is finished, and its {size:,} bytes are more than the {LARGEST:,} that "
                "go back to a driver directly. Call again with --hub, or with a ZOO_HOME that is shared; "
                "where it was trained it is not trained again."
            )
        )
    )


def _sees(order: dict[str, Any]) -> bool:
    """Whether the folder of all runs is the same for driver and worker."""
    try:
        return beacon(Path(order["home"]), order["sweep"]).read_text() == order["word"]
    except (OSError, ValueError):
        return False


def beacon(home: Path, sweep: str) -> Path:
    """The file in which the driver of a sweep leaves its word."""
    return home / "runs" / BEACONS / sweep


@contextmanager
def _at_home(home: str | None) -> Iterator[None]:
    """With this ``ZOO_HOME``; without one, with that of the worker."""
    before = os.environ.get("ZOO_HOME")
    if home is not None:
        os.environ["ZOO_HOME"] = home
    try:
        yield
    finally:
        if before is not None:
            os.environ["ZOO_HOME"] = before
        elif home is not None:
            del os.environ["ZOO_HOME"]


def _exchange(order: dict[str, Any]) -> Exchange:
    """The hub. Raises :class:`EngineError` where it is not the driver's, or cannot be used here."""
    from zoo.hub.base import UnreachableError
    from zoo.sweeps.exchange import Exchange, patiently

    try:
        exchange = Exchange.at(order["hub"])
        there = patiently(lambda: exchange.hub.newest(order["claim"]))
    except UnreachableError:
        raise
    except ZooError as problem:
        raise EngineError(f"a worker cannot use the hub {order['hub']}: {problem}") from problem
    if there is None:
        raise EngineError(
            f"a worker does not find at {order['hub']} what its driver has written there. Give the address "
            "of a hub that driver and workers see: a server by 'zoo serve', an object store, or a directory "
            "on a disk that they share."
        )
    return exchange


def _check_writes(exchange: Exchange, state: str, runs: Sequence[Run]) -> None:
    """Write to the hub for the first time, so that hours of training do not show that it cannot be.

    Raises :class:`EngineError` where it refuses.
    """
    from zoo.hub.base import UnreachableError
    from zoo.sweeps.exchange import patiently

    if exchange.hub.where in _writes:
        return
    begun = {f"{run.folder.name}/spec.json": json.dumps(run.experiment.plain()).encode() for run in runs}
    try:
        patiently(lambda: exchange.begin(state, begun))
    except UnreachableError:
        raise
    except HubError as problem:
        raise EngineError(
            f"a worker cannot write to the hub: {problem} Variables with a token are set where workers run."
        ) from problem
    _writes.add(exchange.hub.where)
