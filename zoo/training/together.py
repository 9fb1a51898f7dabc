"""Many runs at once: networks of one shape train side by side in one Lightning loop.

A member is the same experiment as by itself, with its own seed, data and rates, and in the end has the same
files in the same run folder. None touches another: one that diverges or reaches its target leaves the rest
as they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.func import vmap

from zoo import registry
from zoo.errors import DivergedError
from zoo.learners.backprop import schedule
from zoo.learners.base import Learner
from zoo.learners.stacked import clip_members, stacked_optimizer
from zoo.models.dynamics import Output
from zoo.models.stack import Stack, stack
from zoo.network import Network, build
from zoo.placing import UNFINISHED, write_whole
from zoo.specs.base import canonical_json
from zoo.specs.experiment import ExperimentSpec
from zoo.tasks.base import Batch, derive_seed
from zoo.training.data import BatchNumbers
from zoo.training.groups import begin, begun_in
from zoo.training.recorder import Log, Recorder, Subject
from zoo.training.run import RESULT, STATE, Run, lightning, origin, outcome, quiet_lightning, threads

FREE = ("train.seed", "model.init", "learner.optimizer.lr", "learner.optimizer.weight_decay")
"""In what members of a group may differ."""
MOST = 2**22
"""Numbers in the states of all members of a group over a batch, at most: more of them do not stay in a
processor's caches, and are no faster together than in groups one after another."""


def fit_all(runs: Sequence[Run], progress: bool = True) -> None:
    """Train all runs to the end: those of one shape together, the others one after another.

    Raises :class:`DivergedError` where members diverge, when all others have ended; and as
    :meth:`Run.fit` does.
    """
    failed: list[tuple[Run, DivergedError]] = []
    for group in groups([run for run in runs if not run.finished]):
        try:
            if len(group) == 1 and begun_in(group[0]) is None:
                group[0].fit(progress)
            else:
                _fit_group(group, progress)
        except GroupDivergedError as problem:
            failed += problem.failed
        except DivergedError as problem:
            if len(runs) == 1:
                raise
            failed.append((group[0], problem))
    if failed:
        raise GroupDivergedError(failed)


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that can train together, in groups that fit into memory; the others by themselves.

    Those that one group has begun stay together, as they are at one batch.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        alone = not can_join(run.experiment) or (run.folder / STATE).exists()  # begun by itself
        key = str(run.folder) if alone else f"{begun_in(run)} {_shape(run.experiment)}"
        found.setdefault(key, []).append(run)
    return [
        group[k : k + most]
        for group in found.values()
        for most in [_most(group[0])]
        for k in range(0, len(group), most)
    ]


def can_join(experiment: ExperimentSpec) -> bool:
    """Whether members of this experiment can be trained together."""
    train = experiment.train
    return bool(
        train.steps
        and registry.implementation("learners", experiment.learner.kind).vectorises
        and registry.implementation("models", experiment.model.kind).vectorises
        and train.precision in ("32-true", "64-true")
        and (train.devices, train.strategy) == (1, "auto")
    )


def _shape(experiment: ExperimentSpec) -> str:
    """What members of a group have in common."""
    data = experiment.plain()
    for path in (*ExperimentSpec.cosmetic, *FREE):
        node: Any = data
        *above, last = path.split(".")
        for key in above:
            node = node.get(key) or {}
        node.pop(last, None)
    return canonical_json(data)


def _most(run: Run) -> int:
    """Members of a group at most, by the numbers in the states of one."""
    experiment = run.experiment
    units = getattr(experiment.model, "hidden", 1)
    return max(1, MOST // max(1, experiment.train.batch_size * getattr(experiment.task, "steps", 1) * units))


def _fit_group(runs: Sequence[Run], progress: bool) -> None:
    """Train a group, from its last saved state if there is one."""
    for run in runs:
        run.check()
    with (
        contextlib.ExitStack() as held,
        quiet_lightning(),
        threads(runs[0].experiment.train.threads),
        torch.random.fork_rng(),
    ):
        for run in runs:
            held.enter_context(run.locked())
        keep_freed_memory()
        if left := [run for run in runs if not run.finished]:
            _fit_locked(left, progress)


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for what is asked for next, where it is glibc.

    It would give large blocks back to the system, and to have them again at each batch costs more than the
    arithmetic on them.
    """
    most, threshold, trim = 2**30, -3, -1
    with contextlib.suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(threshold, most)
        library.mallopt(trim, most)


def _fit_locked(runs: Sequence[Run], progress: bool) -> None:
    spec = runs[0].experiment.train
    begun = begin(runs)
    for run in runs:
        for leftover in run.folder.rglob(f"*{UNFINISHED}"):  # of a killed process
            leftover.unlink()
        write_whole(run.folder / "spec.json", canonical_json(run.experiment.plain()).encode())
    group = Together([run.experiment for run in begun.runs])
    logs = [Log(run.experiment, group.subject(index), run.folder) for index, run in enumerate(begun.runs)]
    for log, trains in zip(logs, begun.training, strict=True):
        log.aside = not trains
    recorder = Recorder(logs, group, begun.folder)
    label = f"{runs[0].experiment.name}, {len(runs)} members"
    lightning(spec, begun.folder, recorder, group, GroupData(group), label if progress else None)
    facts = origin(group.device)
    trained = [(run, log) for run, log in zip(begun.runs, logs, strict=True) if not log.aside]
    for run, log in trained:
        if log.ended is not None:
            result = outcome(log, log.ended, _evaluate(run, log.ended), recorder.elapsed / len(runs), facts)
            write_whole(run.folder / RESULT, json.dumps(result).encode())
    failed = [(run, log.failed) for run, log in trained if log.failed is not None]
    begun.end()
    if failed:
        raise GroupDivergedError(failed)


class GroupDivergedError(DivergedError):
    """Some members of a group diverged; the others have ended well."""

    def __init__(self, failed: Sequence[tuple[Run, DivergedError]]) -> None:
        first = failed[0][1]
        super().__init__(first.step, first.causes)
        self.failed = tuple(failed)
        listed = "\n".join(
            f"{run.experiment.name} seed {run.experiment.train.seed}: {problem}"
            for run, problem in failed[:5]
        )
        self.args = (f"{len(failed)} members diverged; the others have ended, and are kept.\n{listed}",)


class Together(L.LightningModule):
    """The learners of a group as one: the sum of their losses, and an optimizer with the rates of each."""

    def __init__(self, experiments: Sequence[ExperimentSpec]) -> None:
        super().__init__()
        self.experiments = list(experiments)
        self.networks = [build(experiment) for experiment in experiments]
        self.stack = Stack([network.model for network in self.networks])
        first = registry.implementation("learners", experiments[0].learner.kind)
        self._learner: list[Learner] = [first(experiments[0].learner, self.networks[0])]
        self.batches_seen = 0
        seeds = [derive_seed("noise", experiment.train.seed) for experiment in experiments]
        self._noise = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._measured: dict[tuple[str, int, int], list[Mapping[str, Tensor]]] = {}

    @property
    def network(self) -> Network:
        """The first member, whose task and loss are those of all."""
        return self._learner[0].network

    def subject(self, index: int) -> Subject:
        """One of the members, for its log."""
        return Subject(
            lambda: self.stack.member(index), lambda split, trials: self._measure(split, trials)[index]
        )

    # Lightning's hooks ----------------------------------------------------------------------

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.batches_seen += 1
        self._measured.clear()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        output = self.stack(batch.x, self._noises(batch))
        losses = self._each(self._loss, output, batch)
        return {"loss": losses.sum(), "losses": losses.detach()}

    def configure_optimizers(self) -> Any:
        specs = [experiment.learner.optimizer for experiment in self.experiments]  # type: ignore[attr-defined]
        optimizer = stacked_optimizer(specs, list(self.stack.weights))
        scale = schedule(self._learner[0].spec.schedule, self.experiments[0].train.steps)  # type: ignore[attr-defined]
        if scale is None:
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        most = self._learner[0].spec.clip_norm  # type: ignore[attr-defined]
        if most is not None:
            clip_members(list(self.stack.weights), most)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        states = [generator.get_state() for generator in self._noise]
        checkpoint["zoo"] = {"batches_seen": self.batches_seen, "noise": states}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches_seen = checkpoint["zoo"]["batches_seen"]
        for generator, state in zip(self._noise, checkpoint["zoo"]["noise"], strict=True):
            generator.set_state(state)

    # What they do ---------------------------------------------------------------------------

    def batch(self, number: int) -> Batch:
        """The batch of each member, ``[member, example, …]``."""
        like, train = self.stack.like, self.experiments[0].train
        seeds = [experiment.train.seed for experiment in self.experiments]
        drawn = self.network.task.batches("train", seeds, number, train.batch_size, like.device)
        return drawn.to(like.device, like.dtype)

    def _noises(self, batch: Batch) -> Tensor | None:
        """Noise that each member asks for, from a stream of its own."""
        members, examples, steps = batch.x.shape[:3]
        model = self.networks[0].model
        like = self.stack.like
        drawn = [model.noise(examples, steps, self._noise[k]) for k in range(members)]
        found = stack(drawn)
        return None if found is None else found.to(like.device, like.dtype)

    def _each(self, what: Any, output: Output, batch: Batch) -> Any:
        """Something of the output and the batch of each member."""
        ((first, states),) = output.states.items()

        def one(y: Tensor, states: Tensor, x: Tensor, target: Tensor, mask: Tensor) -> Any:
            ids = torch.zeros((), dtype=torch.int64)
            return what(Output(y, {first: states}), Batch(x, target, mask, ids, {}))

        return vmap(one)(output.y, states, batch.x, batch.y, batch.mask)

    def _loss(self, output: Output, batch: Batch) -> Tensor:
        return self._learner[0].loss(output, batch)

    @torch.no_grad()
    def _measure(self, split: str, trials: int) -> list[Mapping[str, Tensor]]:
        """What each member measures now, computed for all at once and kept until the next batch."""
        key = (split, trials, self.batches_seen)
        if key not in self._measured:
            like = self.stack.like  # which may have moved to a device that the members have not
            batch = self.network.batch(split, 0, 0, trials).to(like.device, like.dtype)
            found: list[list[Mapping[str, Tensor]]] = [[] for _ in self.networks]
            for start in range(0, trials, CHUNK):
                rows = batch[start : start + CHUNK]
                y = self.stack(rows.x, shared=True).y
                for index, member in enumerate(y):
                    measured = {"loss": self.network.losses(member, rows)}
                    found[index].append(measured | self.network.task.metrics(member, rows))
            self._measured[key] = [
                {name: torch.cat([part[name] for part in parts]) for name in parts[0]} for parts in found
            ]
        return self._measured[key]


CHUNK = 512
"""Examples that are measured at a time, as by :meth:`Network.measure`."""


class GroupData(L.LightningDataModule):
    """The batches of a group."""

    def __init__(self, group: Together) -> None:
        super().__init__()
        self.group = group

    def train_dataloader(self) -> BatchNumbers:
        return BatchNumbers(self.group)

    def transfer_batch_to_device(self, batch: int, device: Any, dataloader_idx: int) -> Batch:
        """Turns the number of a batch into the batch."""
        return self.group.batch(batch)


def _evaluate(run: Run, step: int) -> dict[str, float | None]:
    """What the network measures that a run ended with."""
    from safetensors.torch import load_file

    from zoo.checkpoints.network import empty, evaluate, fill
    from zoo.training.recorder import LEDGER

    network = empty(run.experiment)
    tensors = load_file(run.snapshot(step))
    fill(network, {n: t for n, t in tensors.items() if not n.startswith(LEDGER)}, str(run.folder))
    return evaluate(network)
