"""The verb ``sweep``: every member of a population trained, wherever the engine has its workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.engine.base import Engine
from zoo.engine.opening import open_engine
from zoo.errors import TrainingError
from zoo.hub.lookup import open_hub
from zoo.hub.parcels import named, parcels
from zoo.specs.experiment import ExperimentSpec
from zoo.sweeps.asking import optuna
from zoo.sweeps.claim import Claim
from zoo.sweeps.declaring import Grid, declared
from zoo.sweeps.driving import Driver
from zoo.sweeps.folder import SweepFolder
from zoo.sweeps.live import Live
from zoo.sweeps.searching import SearchDriver, found
from zoo.sweeps.standing import Standing, standing
from zoo.sweeps.trials import adaptive

if TYPE_CHECKING:
    from zoo.checkpoints.folder import CheckpointFolder
    from zoo.sweeps.results import Best


@dataclass(frozen=True)
class Sweep:
    """A population on its way: how it stands, and its checkpoint in the end."""

    experiment: ExperimentSpec
    """What was declared; of a search by outcomes, with the points that it has asked for in its place."""
    folder: SweepFolder

    @property
    def name(self) -> str:
        return self.folder.path.name

    @property
    def standing(self) -> Standing:
        """How many members are done, and a row for each that failed when it was last tried."""
        return standing(self.folder)

    @property
    def trained(self) -> ExperimentSpec | None:
        """The population whose members are all finished; none while some are not.

        Of a search by outcomes, the population of the points that it has found, without those that failed.
        """
        if adaptive(self.folder.experiment):
            return found(self.folder)
        return None if self.standing.left else self.experiment

    def best(self, metric: str | None = None, maximise: bool | None = None) -> Best | None:
        """Which of the finished combinations is best by a metric, averaged over the seeds; none where none
        is finished. Without a metric, by what the search is after, or else the least ``validation/loss``.

        Raises :class:`TrainingError` where the members have no such metric.
        """
        from zoo.sweeps.results import best

        search = adaptive(self.folder.experiment)
        if metric is None and search is not None:
            metric = search.metric
        if maximise is None:
            maximise = search is not None and metric == search.metric and search.direction == "maximise"
        return best(self.experiment, metric or "validation/loss", maximise)

    def checkpoint(self) -> CheckpointFolder:
        """The checkpoint folder of the population, every member of which is finished.

        Raises :class:`TrainingError` where one is not.
        """
        from zoo.training.train import train

        if self.trained is None:
            standing = self.standing
            raise TrainingError(
                f"{standing.left} of {standing.members} members of the sweep {self.name} are not finished. "
                "Call the same sweep again to go on."
            )
        return train(self.trained, progress=False)


def sweep(
    spec: str | Path | ExperimentSpec,
    overrides: Sequence[str] = (),
    *,
    grid: Grid | None = None,
    seeds: int | None = None,
    search: Mapping[str, Any] | None = None,
    engine: str | Engine = "here",
    hub: str | Path | None = None,
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
        search: What to change in the search of the spec's own population, or a whole one: as in a spec,
            ``{"kind": "random", "trials": 50, "space": {path: {"kind": "uniform", "low": 0, "high": 1}}}``.
        engine: Where members train: ``here``, ``local:4``, ``dask://host:8786``, ``slurm:workers=4``, a YAML
            file, or an engine that is open, which stays open.
        hub: Where drivers and workers that share no disk exchange what they train: a server by ``zoo serve``
            with an organisation, ``https://host/lab``, an object store, ``s3://bucket/folder``, or a
            directory. What is finished there is not trained again, whoever has finished it.
        group: Members that a worker gets at a time.
        fail_fast: End at the first member that fails.
        progress: A live table on standard error, where that is a terminal.

    Members that fail are listed in ``standing.failed`` of the result, each with its error and its log; the
    next call tries them again. Finished members are never trained again, and half-finished ones go on.

    Raises:
        SpecError: The spec, the grid or a member of it is not valid.
        SweepLockedError: Another process is driving this sweep.
        EngineError: The engine cannot be reached, or is gone; or a worker cannot use the hub.
        HubError: The hub cannot be read or written.
        MissingDependencyError: The engine needs a library that is not installed.
        TrainingError: The sweep's folder cannot be written.
    """
    if group < 1:
        raise TrainingError(f"a group has one member at least, not {group}.")
    experiment = declared(spec, overrides, grid, seeds, search)
    folder = SweepFolder.of(experiment)
    if adaptive(experiment):
        optuna()  # that it is missing is known before anything is trained
    meeting = None if hub is None else parcels(open_hub(hub))
    opened = open_engine(engine)
    with ExitStack() as stack:
        stack.enter_context(folder.driven(experiment))
        claim = None
        if meeting is not None:
            name = named("sweep", experiment.digest())
            claim = stack.enter_context(Claim(meeting, name, experiment, folder.path))
        if opened is not engine:
            stack.enter_context(opened)
        driver = (SearchDriver if adaptive(experiment) else Driver)(folder, experiment, opened, group, claim)
        with Live(driver, shown=progress):
            driver.run(fail_fast)
        if opened is not engine:
            opened.close(cancel=bool(driver.running))
    return Sweep(folder.found if adaptive(experiment) else experiment, folder)
