"""One run: an experiment trained in a folder of its own, resumable, never run twice."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import RunLockedError, SpecChangedError, TrainingError
from zoo.paths import home
from zoo.placing import UNFINISHED, write_whole
from zoo.specs.base import canonical_json
from zoo.specs.experiment import ExperimentSpec, TrainSpec
from zoo.training.place import Place

if TYPE_CHECKING:
    import lightning.pytorch as L
    import torch

    from zoo.training.recorder import Log, Recorder

SNAPSHOTS, STATE, RESULT = "snapshots", "state.ckpt", "result.json"


@dataclass(frozen=True)
class Run:
    """A folder with ``spec.json``, ``snapshots/``, ``logs/``, ``state.ckpt`` while it trains and
    ``result.json`` when it is done."""

    experiment: ExperimentSpec
    folder: Path

    @classmethod
    def of(cls, experiment: ExperimentSpec, folder: Path | None = None) -> Run:
        """The run of an experiment, in the folder that its digest names unless another is given."""
        digest = experiment.digest()
        return cls(experiment, folder or home() / "runs" / f"{experiment.name}-{digest[:12]}")

    @property
    def finished(self) -> bool:
        return (self.folder / RESULT).exists()

    @property
    def result(self) -> dict[str, Any]:
        """What :meth:`fit` wrote at its end: steps, stopped, metrics, curve, kept (steps of the snapshots),
        wall_time, code, environment."""
        return json.loads((self.folder / RESULT).read_text())

    def snapshot(self, step: int) -> Path:
        return self.folder / SNAPSHOTS / f"{step:010d}.safetensors"

    def check(self) -> None:
        """Raises :class:`SpecChangedError` where the folder was begun under another spec."""
        path = self.folder / "spec.json"
        if not path.exists():
            return
        try:
            before = ExperimentSpec.model_validate(json.loads(path.read_text()))
        except ValueError as problem:
            raise TrainingError(
                f"{path} cannot be read: {problem}. Remove the folder to train anew."
            ) from problem
        if before.digest() != self.experiment.digest():
            raise SpecChangedError(
                f"{self.folder} was begun under another spec; changed since: "
                f"{'; '.join(changes(before, self.experiment))}. Train in another folder, or remove this one."
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time, with those that train beside it; a lock goes with its process."""
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock", timeout=0) if self.place.first else contextlib.nullcontext():
                yield
        except Timeout as problem:
            raise RunLockedError(
                f"another process is training in {self.folder}. Wait for it, or stop it and call again."
            ) from problem
        except OSError as problem:
            raise TrainingError(
                f"the run folder {self.folder} cannot be written: {problem.strerror or problem}. "
                "Free some space, or set ZOO_HOME to a folder that can be written."
            ) from problem

    @property
    def place(self) -> Place:
        """Which this process is of those that a launcher has started for this run."""
        return Place.of(self.experiment.train)

    def fit(self, progress: bool = True) -> dict[str, Any]:
        """Train to the end, from the last saved state if there is one. Returns the result.

        On several devices, processes are started here, one a device, unless torchrun or srun has done so:
        then each of them calls this, and each returns.

        Raises :class:`SpecChangedError`, :class:`RunLockedError`, :class:`DivergedError`,
        :class:`RankLostError`.
        """
        place = self.place
        self.check()
        if self.finished:
            return self.result
        with self.locked():
            if place.first:
                for leftover in self.folder.rglob(f"*{UNFINISHED}"):  # of a killed process
                    leftover.unlink()
                write_whole(self.folder / "spec.json", canonical_json(self.experiment.plain()).encode())
            if not self.experiment.train.steps:
                if place.first:  # there is nothing to share
                    self.train(progress)
            elif self.experiment.train.devices > 1 and place.world == 1:
                self._launch(progress)
            else:
                self.train(progress)
            place.wait_for(self.folder / RESULT)
            return self.result

    def _launch(self, progress: bool) -> None:
        from zoo import registry
        from zoo.training.data import check_shareable
        from zoo.training.ranks import launch
        from zoo.training.strategies import accelerator

        accelerator(self.experiment.train, Place())
        check_shareable(registry.resolve(self.experiment)[0])
        launch(self.experiment, self.folder, progress)

    def train(self, progress: bool) -> None:
        """What each process of a run does, once the folder is ready."""
        import torch

        with quiet_lightning(), threads(self.experiment.train.threads), torch.random.fork_rng():
            self._train(progress)

    def _train(self, progress: bool) -> None:
        import torch

        from zoo import registry
        from zoo.checkpoints.network import evaluate
        from zoo.tasks.base import derive_seed
        from zoo.training.data import check_shareable
        from zoo.training.recorder import Log, Recorder, Subject

        spec = self.experiment.train
        learner, data = registry.resolve(self.experiment)
        network = learner.network
        if self.place.world > 1:
            check_shareable(learner)
        log = Log(self.experiment, Subject.of(learner), self.folder)
        recorder = Recorder([log], network, self.folder)
        torch.manual_seed(derive_seed("noise", spec.seed))
        label = f"{self.experiment.name} seed {spec.seed}"
        trainer = lightning(spec, self.folder, recorder, learner, data, label if progress else None)
        if trainer.is_global_zero:
            metrics = evaluate(network) if trainer.world_size == 1 else self.evaluated(network.batches_seen)
            result = outcome(log, network.batches_seen, metrics, recorder.elapsed, origin(learner.device))
            write_whole(self.folder / RESULT, json.dumps(result).encode())
            (self.folder / STATE).unlink(missing_ok=True)

    def evaluated(self, step: int) -> dict[str, float | None]:
        """What the network of a snapshot measures."""
        from zoo.checkpoints.network import empty, evaluate, fill
        from zoo.training.recorder import read_snapshot

        network = empty(self.experiment)
        kept = read_snapshot(self.snapshot(step))
        fill(network, kept.weights, str(self.folder))
        network.owned = lambda: kept.owned
        return evaluate(network)


def outcome(
    log: Log, steps: int, metrics: dict[str, float | None], seconds: float, facts: dict[str, Any]
) -> dict[str, Any]:
    """What is known of a run when it has ended."""
    kept = {"curve": log.curve, "kept": log.kept, "wall_time": seconds}
    return {"steps": steps, "stopped": log.stopped, "metrics": metrics, **kept, **facts}


def origin(device: torch.device) -> dict[str, Any]:
    """The code that trains here, and what it runs on."""
    from zoo.training.provenance import code_version, environment

    return {"code": code_version().plain(), "environment": environment(device).plain()}


def lightning(
    spec: TrainSpec, folder: Path, recorder: Recorder, learner: Any, data: Any, label: str | None
) -> L.Trainer:
    """Run Lightning's loop in a folder, from the state that was saved there if there is one.

    ``label`` names the run on its progress bar; without one there is none.
    """
    import lightning.pytorch as L

    from zoo.training.progress import Progress
    from zoo.training.strategies import losses_explained, options

    place = Place.of(spec)

    callbacks: list[L.Callback] = [recorder]
    if label is not None:
        callbacks.append(Progress(label, spec.steps))
    trainer = L.Trainer(
        max_steps=spec.steps,
        **options(spec, place if spec.steps else Place()),
        logger=_loggers(spec, folder),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
        default_root_dir=folder,
    )
    state = folder / STATE
    if not spec.steps:  # the initial network is what was asked for; Lightning would not even begin
        recorder.on_train_start(trainer, learner)
        return trainer
    try:
        with losses_explained(place.world):
            trainer.fit(learner, data, ckpt_path=state if state.exists() else None, weights_only=True)
    except SystemExit:  # how Lightning ends on Ctrl-C
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    return trainer


def _loggers(spec: TrainSpec, folder: Path) -> Any:
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    logs = folder / "logs"
    attempt = len(list(logs.glob("attempt-*"))) if logs.exists() else 0
    loggers: list[Any] = []
    for kind in spec.loggers:
        make = CSVLogger if kind == "csv" else TensorBoardLogger
        try:
            loggers.append(make(folder, name="logs", version=f"attempt-{attempt}"))
        except ModuleNotFoundError as problem:
            from zoo.errors import MissingDependencyError

            raise MissingDependencyError("tensorboardX", "track", "the TensorBoard logger") from problem
    return loggers or False


def changes(before: ExperimentSpec, after: ExperimentSpec) -> list[str]:
    """``path: old → new`` for each field that determines the result and differs."""

    def flat(node: Any, path: str = "") -> dict[str, Any]:
        if not isinstance(node, dict):
            return {path: node}
        return {
            k: v for key, value in node.items() for k, v in flat(value, f"{path}.{key}".lstrip(".")).items()
        }

    old, new = flat(before.plain()), flat(after.plain())
    cosmetic = (*ExperimentSpec.cosmetic, *(f"train.{field}" for field in type(before.train).cosmetic))
    return [
        f"{path}: {old.get(path, 'absent')} → {new.get(path, 'absent')}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not path.startswith(cosmetic)
    ]


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch on this many threads, and on as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """No tips, no hardware lines, and no warnings about what is done here on purpose."""
    import lightning.pytorch  # noqa: F401  # which sets the levels of its logs

    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*LeafSpec.*deprecated", category=FutureWarning)
            warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
            warnings.filterwarnings("ignore", message=r".*`srun` command is available.*")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
