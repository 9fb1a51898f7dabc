"""An experiment: a model on a task under a learner, how it is run and recorded, what it claims."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from zoo.errors import brief
from zoo.registry import suggest
from zoo.specs.base import Count, Line, Lines, Name, Seed, Spec, Text, located
from zoo.specs.claim import ClaimSpec
from zoo.specs.families import LearnerSpec, ModelSpec, TaskSpec
from zoo.specs.license import License
from zoo.specs.lineage import LineageSpec, ParentSpec
from zoo.specs.population import PopulationSpec
from zoo.specs.problems import explain


class StopSpec(Spec):
    """Stop before the last step once a metric reaches a target."""

    metric: Line = "train/loss"
    """``train/loss`` is looked at every step; ``validation/...`` whenever there is a validation."""
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give exactly one of 'at_most' and 'at_least'")
        return self

    def reached(self, value: float) -> bool:
        """Whether a value of the metric is the target or better."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)


class TrainSpec(Spec):
    """How long, on how much, from which seed; and on what hardware, which does not change identity."""

    cosmetic: ClassVar = frozenset(
        {"accelerator", "devices", "strategy", "loggers", "log_every", "save_every"}
    )

    seed: Seed = 0
    """Of the initial weights, the data stream and the noise."""
    steps: Annotated[int, Field(ge=0, le=10**9)] = 1000
    """Batches at most; 0 keeps the initial network."""
    batch_size: Count = 64
    """Trials in a batch, over all devices together."""
    validate_every: Count = 100
    validation_trials: Count = 256
    stop: StopSpec | None = None
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Of torch on the CPU; more are slower on networks as small as most of ours."""
    loggers: Annotated[tuple[Literal["csv", "tensorboard"], ...], Field(strict=False)] = ("csv",)
    log_every: Count = 10
    save_every: Count = 250
    """Steps between the states that a killed run resumes from."""

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.devices:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared equally by {self.devices} devices"
            )
        return self


class SnapshotSpec(Spec):
    """Steps at which the weights are kept: 0, 1, base, base², …, and the last one."""

    base: Annotated[float, Field(gt=1, le=1e9)] = 2.0
    at: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = ()
    """Further steps."""

    def steps(self, last: int) -> list[int]:
        """The scheduled steps up to and with ``last``, ascending."""
        found = {0, last, *(step for step in self.at if step <= last)}
        power = 1.0
        while power <= last:
            found.add(round(power))
            power *= self.base
        return sorted(found)


class LedgerSpec(Spec):
    """Numbers of each example of a fixed set, at every snapshot."""

    split: Line = "test"
    trials: Count = 64


class UpdatesSpec(Spec):
    """How the learner's update compares with the gradient of the loss, at every validation and at the end.

    The metrics ``update/angle`` (degrees), ``update/norm`` and ``update/cost`` (in backward passes of the
    loss), the first two also by layer.
    """

    trials: Count = 64
    """Examples of the split train that both are computed of."""


class EvaluationSpec(Spec):
    """What the final network is measured on."""

    splits: Lines = ("test",)
    trials: Count = 512


class RecordSpec(Spec):
    """What a run keeps beside its final weights."""

    snapshots: SnapshotSpec | None = SnapshotSpec()
    ledger: LedgerSpec | None = None
    updates: UpdatesSpec | None = None
    curve: Lines = ()
    """Further splits, beside validation, that are measured at every validation."""
    evaluation: EvaluationSpec = EvaluationSpec()
    golden_trials: Count = 4
    """Trials of the test split stored with their outputs, replayed by ``zoo verify``."""


class ExperimentSpec(Spec):
    """Everything that determines a trained network, or a population of them."""

    cosmetic: ClassVar = frozenset({"name", "title", "description", "paper", "tags", "claims", "license"})

    spec: Literal["experiment/1"] = "experiment/1"
    name: Name
    title: Line = ""
    description: Text = ""
    paper: Name | None = None
    """Key of the paper whose result this is, as in ``specs/<paper>/paper.yaml``."""
    tags: Lines = ()
    license: License = "CC0-1.0"
    """Of the weights: an SPDX expression. The code has its own."""
    model: ModelSpec
    task: TaskSpec
    learner: LearnerSpec
    train: TrainSpec = TrainSpec()
    record: RecordSpec = RecordSpec()
    population: PopulationSpec | None = None
    start: ParentSpec | None = None
    """The published network whose weights training begins with, by name and digest. Without one, they are
    drawn from the seed."""
    derived: LineageSpec | None = None
    """Of what its weights were made, where they are no outcome of training (``zoo derive`` writes it)."""
    claims: Annotated[tuple[ClaimSpec, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        known = self.task.split_names()
        for where, splits in (
            (("record", "evaluation", "splits"), self.record.evaluation.splits),
            (("record", "curve"), self.record.curve),
            (("record", "ledger", "split"), (self.record.ledger.split,) if self.record.ledger else ()),
        ):
            for split in splits:
                if not self.task.has_split(split):
                    close = suggest(split, known)
                    message = f"the task has no split {split!r}; it has {', '.join(known)}.{close}"
                    raise located(message, *where)
        stop, looked = self.train.stop, ("validation", *self.record.curve)
        if stop is not None and stop.metric != "train/loss" and stop.metric.partition("/")[0] not in looked:
            message = (
                f"{stop.metric!r} is not looked at while training: give train/loss or a metric of "
                f"{' or '.join(looked)}, or name its split in record.curve"
            )
            raise located(message, "train", "stop", "metric")
        if self.train.steps and not self.learner.learns:
            message = f"should be 0 with the learner {self.learner.kind!r}, which learns nothing"
            raise located(message, "train", "steps")
        if self.learner.learns and not self.model.learnable:
            message = f"should be none, and train.steps 0: the model {self.model.kind!r} has nothing to learn"
            raise located(message, "learner", "kind")
        self.model.check(self)
        self.learner.check(self)
        self._claims_are_measured()
        if self.population is not None and self.train.seed + self.population.members > 2**63:
            raise located("leaves no room for the seeds of all members below 2**63", "train", "seed")
        if self.population is not None and self.population.paths:
            for index in self.population.combinations():
                self.member(index)  # one of each: seeds cannot be wrong
        search = self.population.search if self.population is not None else None
        if search is not None and search.kind == "tpe":
            measured = dict.fromkeys(("validation", *self.record.evaluation.splits))
            if search.metric.partition("/")[0] not in measured:
                message = f"should be of {' or '.join(measured)}, for example validation/loss"
                raise located(message, "population", "search", "metric")
        return self

    def _claims_are_measured(self) -> None:
        record, known = self.record, self.task.split_names()
        measured = (*record.evaluation.splits, *(("update",) if record.updates else ()))
        for number, claim in enumerate(self.claims):
            for field in ("metric", "minus", "per"):
                given = getattr(claim, field)
                for metric in given if field == "per" else (given,):
                    split, _, name = (metric or "train/steps").partition("/")
                    if (name and split in measured) or f"{split}/{name}" == "train/steps":
                        continue
                    if name and split in known:
                        mend = f"{split!r} is not measured: name it in record.evaluation.splits"
                    elif name and split == "update":
                        mend = "say with record.updates that updates are compared with the gradient"
                    else:
                        mend = (
                            f"begin with what is measured: {', '.join(measured)}.{suggest(split, measured)}"
                        )
                    raise located(f"{metric!r} would fail: {mend}", "claims", number, field)

    def members(self) -> list[ExperimentSpec]:
        """One experiment for each member; just this one where there is no population.

        Raises :class:`SpecError` where a search has to find them.
        """
        return [self] if self.population is None else [self.member(k) for k in range(len(self.population))]

    def member(self, index: int) -> ExperimentSpec:
        """The experiment of one member of the population. Raises :class:`IndexError` beyond the last."""
        if self.population is None:
            return self
        variation = self.population.variation(index, self.train.seed)
        if not self.population.paths:  # known to be valid, and this is on the way of every load
            train = self.train.model_copy(update={"seed": variation["train.seed"]})
            return self.model_copy(update={"population": None, "train": train})
        return self.varied(variation)

    def varied(self, variation: dict[str, Any]) -> ExperimentSpec:
        """The experiment of a single member, with these values at dotted paths.

        Raises :class:`ValueError`, located in the population, where there is no such path or the values
        cannot stand there.
        """
        population = self.population or PopulationSpec()
        # What does not vary is known to be valid: only the rest is written out, and read again.
        parts = self.model_dump(mode="json", include={path.partition(".")[0] for path in variation})
        data: dict[str, Any] = {**dict(self), **parts, "population": None}
        for path, value in variation.items():
            *parents, last = path.split(".")
            node: Any = data
            for key in parents:
                node = node.get(key) if isinstance(node, dict) else None
            if not isinstance(node, dict) or last not in node or path in ("population", "name"):
                there = population.place(path)
                raise located("there is no such field in this experiment", "population", *there)
            node[last] = value
        try:
            return ExperimentSpec.model_validate(data)
        except ValidationError as problem:
            member = ", ".join(f"{path}={value!r}" for path, value in sorted(variation.items()))
            why = explain(problem, ExperimentSpec)[0]
            message = f"the member with {brief(member, 200)} is refused: {why}"
            place = "search" if population.search else "points" if population.points else "grid"
            raise located(message, "population", place) from problem
