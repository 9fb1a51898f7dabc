"""Which of the processes that train one network together this one is, whoever started them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import RankLostError, TrainingError
from zoo.specs.experiment import TrainSpec

PATIENCE = 600.0
"""Seconds that a process waits for what the first one writes when all have trained."""
_ALONE = ContextVar("_ALONE", default=False)


@dataclass(frozen=True)
class Place:
    """A rank among ``world`` processes on ``nodes`` machines, as many on each; by itself, a world of one."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """The rank among the processes of its machine, which picks its device."""
    nodes: int = 1
    launcher: str = ""
    """What started the processes, for messages."""

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    @classmethod
    def of(cls, train: TrainSpec, environment: Mapping[str, str] = os.environ) -> Place:
        """The place of this process in a run, by what a launcher left in the environment.

        A run on one device is a matter of this process alone, whatever started it. Raises
        :class:`TrainingError` where another number of processes was started than the run wants.
        """
        if train.devices == 1 or _ALONE.get():
            return cls()
        found = _launched(environment)
        if found.world not in (1, train.devices):
            raise TrainingError(
                f"{found.launcher} has started {found.world} processes, and train.devices is "
                f"{train.devices}: there is one process a device. Start {train.devices}, or give "
                f"train.devices={found.world}; or start a single one, which starts the others itself."
            )
        return found

    def wait_for(self, path: Path) -> None:
        """Wait until the first process has written a file or folder. Raises :class:`RankLostError`."""
        until = time.monotonic() + PATIENCE
        while not path.exists():
            if time.monotonic() > until:
                raise RankLostError(
                    f"the first of {self.world} processes has not written {path} within {PATIENCE:.0f} s. "
                    "All of them have to see the same folder. Look into the log of the first one, and call "
                    "again."
                )
            time.sleep(0.05)


@contextmanager
def by_itself() -> Iterator[None]:
    """While it lasts, this process trains for itself: workers of a cluster may have been started by a
    launcher, and not to train one network together."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _launched(environment: Mapping[str, str]) -> Place:
    """What torchrun, srun, or whoever else sets ``RANK`` and ``WORLD_SIZE``, says of this process."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        rank, world = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        here = int(environment.get("LOCAL_WORLD_SIZE", world))
        local = int(environment.get("LOCAL_RANK", rank % here))
        by = "torchrun" if "TORCHELASTIC_RUN_ID" in environment else "the launcher"
        return _even(Place(rank, world, local, -(-world // here), by), world == here * -(-world // here))
    if "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
        rank, world = int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"])
        nodes = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
        local = int(environment.get("SLURM_LOCALID", "0"))
        even = "," not in environment.get("SLURM_STEP_TASKS_PER_NODE", "")
        return _even(Place(rank, world, local, nodes, "srun"), even)
    return Place()


def _even(place: Place, even: bool) -> Place:
    if even:
        return place
    raise TrainingError(
        f"{place.launcher} has started {place.world} processes on {place.nodes} nodes, not as many on each. "
        "Start the same number on each node (srun: --ntasks-per-node)."
    )
