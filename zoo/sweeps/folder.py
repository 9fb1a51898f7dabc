"""What a sweep keeps on disk beside the runs of its members: spec, failures, logs, how it stands."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from zoo.errors import SweepLockedError, TrainingError, UnknownNameError
from zoo.paths import home
from zoo.placing import write_whole
from zoo.registry import suggest
from zoo.specs.base import canonical_json
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.search import TPESearchSpec
from zoo.sweeps.trials import Trial, adaptive, beyond, listed

SPEC, STATE, DRIVER, TRIALS = "spec.json", "state.json", "driver.json", "trials.json"


@dataclass(frozen=True)
class FailedMember:
    """One row of the table of failures."""

    digest: str
    member: int
    """Its number in the population, from 0; −1 where the spec refuses it, so that there is no member."""
    varied: dict[str, Any]
    """Dotted path → value: what sets it apart from the other members."""
    kind: str
    """Name of the class of the error."""
    message: str
    log: str
    """File with the output of its last attempt."""
    worker: str = ""
    """Host and process that made it."""


@dataclass(frozen=True)
class SweepFolder:
    """A folder with ``spec.json``, ``state.json``, ``failures/`` and ``logs/``, a file a member each; and
    ``trials.json`` where a search finds the members."""

    path: Path

    @classmethod
    def of(cls, experiment: ExperimentSpec) -> Self:
        """The folder that the digest of the experiment with its population names."""
        return cls(sweeps() / f"{experiment.name}-{experiment.digest()[:12]}")

    @classmethod
    def named(cls, name: str) -> Self:
        """The sweep of a name, or of the beginning of one. Raises :class:`UnknownNameError`."""
        there = [folder.path.name for folder in all_sweeps()]
        found = [each for each in there if each == name] or [each for each in there if each.startswith(name)]
        if len(found) == 1:
            return cls(sweeps() / found[0])
        if found:
            raise UnknownNameError(f"{name!r} stands for {len(found)} sweeps: {', '.join(found)}. Give one.")
        known = f"there are: {', '.join(there)}." if there else "there is none yet."
        raise UnknownNameError(f"there is no sweep {name!r} in {sweeps()}; {known}{suggest(name, there)}")

    @property
    def experiment(self) -> ExperimentSpec:
        """What is swept. Raises :class:`TrainingError` where that cannot be read."""
        try:
            return ExperimentSpec.model_validate(json.loads((self.path / SPEC).read_bytes()))
        except (OSError, ValueError) as problem:
            raise TrainingError(
                f"{self.path / SPEC} cannot be read: {problem}. Call the same sweep again to write it anew."
            ) from problem

    @property
    def found(self) -> ExperimentSpec:
        """What is swept, with the points that its search has asked for so far in place of the search."""
        experiment = self.experiment
        search = adaptive(experiment)
        return experiment if search is None else listed(experiment, self.trials(search))

    @property
    def unfound(self) -> int:
        """How many members there are, or would have been, beyond those of :attr:`found`."""
        experiment = self.experiment
        search = adaptive(experiment)
        return 0 if search is None else beyond(experiment, self.trials(search))

    def trials(self, search: TPESearchSpec) -> list[Trial]:
        """What has been asked for, in order; nothing where that is damaged, as it can be asked for again."""
        rows = self._read(TRIALS).get("trials")
        try:
            found = [Trial(**row) for row in rows or ()]
        except TypeError:
            return []
        return found if all(search.holds(trial.point) for trial in found) else []

    def write_trials(self, trials: Sequence[Trial]) -> None:
        self._write(TRIALS, {"trials": [asdict(trial) for trial in trials]})

    @contextlib.contextmanager
    def driven(self, experiment: ExperimentSpec) -> Iterator[None]:
        """Be the one driver of this sweep. A lock goes with its process.

        Raises :class:`SweepLockedError` where there is one, :class:`TrainingError` where the disk refuses.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path / ".lock", timeout=1):  # a moment, as `has_driver` takes it
                write_whole(self.path / SPEC, canonical_json(experiment.plain()))
                self._write(DRIVER, {"host": socket.gethostname(), "process": os.getpid()})
                yield
        except Timeout as problem:
            driver = self._read(DRIVER)
            who = f"process {driver['process']} on {driver['host']}" if driver else "another process"
            raise SweepLockedError(
                f"{who} is driving the sweep {self.path.name}. Look at it with: zoo status {self.path.name}; "
                "or stop it and call again, and this one goes on."
            ) from problem
        except OSError as problem:
            raise TrainingError(
                f"the sweep folder {self.path} cannot be written: {problem.strerror or problem}. "
                "Free some space, or set ZOO_HOME to a folder that can be written, and call again."
            ) from problem

    @property
    def has_driver(self) -> bool:
        """Whether a process is driving this sweep now, as far as the lock tells."""
        from filelock import FileLock, Timeout

        if not (self.path / ".lock").exists():
            return False
        try:
            with FileLock(self.path / ".lock", timeout=0):
                return False
        except Timeout:
            return True

    # How it stands ----------------------------------------------------------------------------

    def log(self, digest: str) -> Path:
        return self.path / "logs" / f"{digest[:12]}.log"

    def write_state(self, state: dict[str, Any]) -> None:
        self._write(STATE, state)

    @property
    def state(self) -> dict[str, Any]:
        """What the driver said last; empty where it never did."""
        return self._read(STATE)

    def failures(self) -> list[FailedMember]:
        """What failed when it was last tried, by number of the member."""
        found = []
        for path in (self.path / "failures").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):  # being written, or damaged
                found.append(FailedMember(**json.loads(path.read_bytes())))
        return sorted(found, key=lambda failed: failed.member)

    def keep_failure(self, failed: FailedMember) -> None:
        self._write(f"failures/{failed.digest[:12]}.json", asdict(failed))

    def forget_failure(self, digest: str) -> None:
        (self.path / "failures" / f"{digest[:12]}.json").unlink(missing_ok=True)

    def _write(self, name: str, data: dict[str, Any]) -> None:
        write_whole(self.path / name, json.dumps(data))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            data = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}


def sweeps() -> Path:
    """The folder that holds those of all sweeps."""
    return home() / "sweeps"


def all_sweeps() -> list[SweepFolder]:
    """Every sweep of this ``ZOO_HOME``, by name."""
    return [SweepFolder(spec.parent) for spec in sorted(sweeps().glob(f"*/{SPEC}"))]
