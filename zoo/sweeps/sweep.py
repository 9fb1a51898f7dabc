"""The verb ``sweep``: every member of a population trained, wherever the engine has its workers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.engine.base import Engine
from zoo.engine.opening import open_engine
from zoo.errors import TrainingError
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps.declaring import Grid, declared
from zoo.sweeps.driving import Driver
from zoo.sweeps.folder import SweepFolder
from zoo.sweeps.live import Live
from zoo.sweeps.standing import Standing, standing

if TYPE_CHECKING:
    from zoo.checkpoints.folder import CheckpointFolder


@dataclass(frozen=True)
class Sweep:
    """A population on its way: how it stands, and its checkpoint in the end."""

    experiment: ExperimentSpec
    folder: SweepFolder

    @property
    def name(self) -> str:
        return self.folder.path.name

    @property
    def standing(self) -> Standing:
        """How many members are done, and a row for each that failed when it was last tried."""
        return standing(self.folder)

    def checkpoint(self) -> CheckpointFolder:
        """The checkpoint folder of the population, every member of which is finished.

        Raises :class:`TrainingError` where one is not.
        """
        from zoo.training.train import train

        found = self.standing
        if found.left:
            raise TrainingError(
                f"{found.left} of {found.members} members of the sweep {self.name} are not finished. "
                "Call the same sweep again to go on."
            )
        return train(self.experiment, progress=False)


def sweep(
    spec: str | Path | ExperimentSpec,
    overrides: Sequence[str] = (),
    *,
    grid: Grid | None = None,
    seeds: int | None = None,
    engine: str | Engine = "here",
    group: int = 1,
    fail_fast: bool = False,
    progress: bool = True,
) -> Sweep:
    """Train every member of a population through an engine. Call it again to go on where it stopped.

    Args:
        spec: A name of the catalogue, a YAML file or an :class:`ExperimentSpec`.
        overrides: ``"dotted.path=value"``.
        grid: Dotted path → values, beside those of the spec's own population.
        seeds: Seeds for each combination of the grid, instead of the spec's own number.
        engine: Where members train: ``here``, ``local:4``, ``dask://host:8786``, ``slurm:workers=4``, a YAML
            file, or an engine that is open, which stays open.
        group: Members that a worker gets at a time.
        fail_fast: End at the first member that fails.
        progress: A live table on standard error, where that is a terminal.

    Members that fail are listed in ``standing.failed`` of the result, each with its error and its log; the
    next call tries them again. Finished members are never trained again, and half-finished ones go on.

    Raises:
        SpecError: The spec, the grid or a member of it is not valid.
        SweepLockedError: Another process is driving this sweep.
        EngineError: The engine cannot be reached, or is gone.
        MissingDependencyError: The engine needs a library that is not installed.
        TrainingError: The sweep's folder cannot be written.
    """
    if group < 1:
        raise TrainingError(f"a group has one member at least, not {group}.")
    experiment = declared(spec, overrides, grid, seeds)
    folder = SweepFolder.of(experiment)
    opened = open_engine(engine)
    with ExitStack() as stack:
        stack.enter_context(folder.driven(experiment))
        if opened is not engine:
            stack.enter_context(opened)
        driver = Driver(folder, experiment, opened, group)
        with Live(driver, shown=progress):
            driver.run(fail_fast)
        if opened is not engine:
            opened.close(cancel=bool(driver.running))
    return Sweep(experiment, folder)
