"""The five families of kinds: what a field of type model, task, learner, analysis or operation accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ValidationError, model_validator
from pydantic_core import PydanticCustomError

from zoo.errors import SpecError, cut
from zoo.registry import suggest
from zoo.specs.base import KindSpec, located, nested
from zoo.specs.stream import NOW, StreamSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class ModelSpec(KindSpec):
    """An architecture, its initialisation and its constraints."""

    family: ClassVar[str] = "models"
    learnable: ClassVar[bool] = True
    """Whether it has parameters that a learner could change."""
    offers: ClassVar[frozenset[str]] = frozenset()
    """What it has beside its pass that rules may need: see ``zoo.specs.learners.rule``."""

    def check(self, experiment: ExperimentSpec) -> None:
        """Refuses, before anything is built, a task or a learner that the model cannot serve.

        Raises what :func:`zoo.specs.base.located` gives, at a path in the experiment.
        """


class LearnerSpec(KindSpec):
    """How parameters change."""

    family: ClassVar[str] = "learners"
    learns: ClassVar[bool] = True
    """Whether it changes anything."""

    loss: Literal["mse", "cross-entropy"] | None = None
    """What is minimised and measured. Without one, the loss that the task declares."""

    def check(self, experiment: ExperimentSpec) -> None:
        """Refuses, before anything is built, a model, a task or a training that the rule cannot serve.

        Raises what :func:`zoo.specs.base.located` gives, at a path in the experiment.
        """


class AnalysisSpec(KindSpec):
    """What is asked of one checkpoint, a pair, a series or a population."""

    family: ClassVar[str] = "analyses"


class OperationSpec(KindSpec):
    """What makes the weights of a network of those of others, its parents."""

    family: ClassVar[str] = "operations"
    least: ClassVar[int] = 1
    """Parents that it takes, at least."""
    most: ClassVar[int | None] = 1
    """And at most; none where there is no limit."""

    def check(self, parents: int) -> None:
        """Refuses, before any is fetched, another number of parents than it takes. Raises ValueError."""
        if parents < self.least or (self.most is not None and parents > self.most):
            takes = f"{self.least}" if self.least == self.most else f"{self.least} or more"
            if self.most is not None and self.most > self.least:
                takes = f"{self.least} to {self.most}"
            raise ValueError(f"the operation {self.kind!r} takes {takes} of them, not {parents}")


STANDARD_SPLITS = ("train", "validation", "test")
FIXED = frozenset({"kind", "splits", "stream"})
"""Fields that are the same in all splits."""


class TaskSpec(KindSpec):
    """Where data come from, deterministic from (spec, split, seed, step).

    A task has the splits train, validation and test, and named shifts of itself:
    ``splits`` maps a split to the fields that differ there, for example
    ``{"longer": {"steps": 300}}``. Each split draws its own examples.

    Likewise a task may become another while it is learned: ``stream`` maps batches of the split train to the
    fields that differ there. Then the split ``test-2`` is the split test of task 2, ``train-now`` the split
    train of the task that is being learned, and so on; and any other split than train has examples of all
    tasks in equal parts.
    """

    family: ClassVar[str] = "tasks"
    loss: ClassVar[str] = "mse"
    """The natural loss of the task; a learner may choose another."""

    splits: dict[str, dict[str, Any]] = {}
    stream: StreamSpec | None = None
    """If given, the task becomes another every so many batches."""

    @property
    def inputs(self) -> int:
        """Width of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} must say its inputs")

    @property
    def outputs(self) -> int:
        """Width of ``y``."""
        raise NotImplementedError(f"{type(self).__name__} must say its outputs")

    def split_names(self) -> tuple[str, ...]:
        """Every split that this task has, but for those of single tasks of a stream."""
        return tuple(dict.fromkeys([*STANDARD_SPLITS, *self.splits]))

    def has_split(self, split: str) -> bool:
        """Whether there is a split of this name, be it of a single task of a stream."""
        return split in self.split_names() or self._single(split) is not None

    def for_split(self, split: str) -> Self:
        """The task as it is on a split. Raises :class:`SpecError` for one that it does not have."""
        if split not in self.split_names():
            if self._single(split) is not None:
                return self.mixture(split)[0]
            known = self.split_names()
            named = "" if self.stream is None else f"; of single tasks too, as in test-{len(self.stream) - 1}"
            raise SpecError(
                f"the task {self.kind!r} has no split {split!r}.{suggest(split, known)} "
                f"It has: {cut(', '.join(known), 1000)}{named}."
            )
        changes = self.splits.get(split, {})
        return _shifted(self, split) if changes else self

    # Streams of tasks -----------------------------------------------------------------------

    def stage(self, step: int) -> int:
        """How many tasks of a stream have ended before batch ``step`` of training; 0 where there is none."""
        return 0 if self.stream is None else self.stream.stage(step)

    def task_numbers(self, split: str, step: int = 0) -> tuple[int, ...]:
        """Of the tasks in batch ``step`` of a split, among those of the stream; without one, 0."""
        if self.stream is None:
            return (0,)
        single = self._single(split)
        if split == "train" or (single is not None and single[1] is None):
            return (self.stream.number(step),)
        return tuple(range(len(self.stream))) if single is None else (single[1] or 0,)

    def mixture(self, split: str, step: int = 0) -> tuple[Self, ...]:
        """What a batch is made of, in equal parts: the task as it is on a split; of a stream, as it is there
        at batch ``step``, or each of its tasks.

        Raises :class:`SpecError` for a split that it does not have.
        """
        single = self._single(split)
        name = split if single is None else single[0]
        if self.stream is None or name not in self.split_names():
            return (self.for_split(name),)
        return tuple(self.single(number).for_split(name) for number in self.task_numbers(split, step))

    def single(self, number: int) -> Self:
        """One task of a stream, by its number."""
        changes = {} if self.stream is None else self.stream.changes(number)
        return type(self).model_validate({**dict(self), **changes, "stream": None})

    def current(self, split: str, seen: int) -> str:
        """The name of a split after ``seen`` batches of training, with the number of the task that the last
        of them belonged to for ``now``."""
        single = self._single(split)
        if self.stream is None or single is None or single[1] is not None:
            return split
        return f"{single[0]}-{self.stream.number(max(0, seen - 1))}"

    def _single(self, split: str) -> tuple[str, int | None] | None:
        """For a split of a single task of a stream, the split and the number of the task; none for now."""
        name, dash, number = split.rpartition("-")
        if self.stream is None or not dash or split in self.split_names() or name not in self.split_names():
            return None
        if number == NOW:
            return name, None
        whole = number.isascii() and number.isdigit() and len(number) < 7 and str(int(number)) == number
        return (name, int(number)) if whole and int(number) < len(self.stream) else None

    @model_validator(mode="after")
    def _splits_hold(self) -> Self:
        for split, changes in self.splits.items():
            if FIXED & changes.keys():
                raise located(f"a split may not change {_quoted(FIXED)}", "splits", split)
            try:
                shifted = type(self).model_validate({**dict(self), **changes, "splits": {}})
            except ValidationError as problem:
                raise self._at_fault(problem, {"splits": {}}, "splits", split) from problem
            if (shifted.inputs, shifted.outputs) != (self.inputs, self.outputs):
                raise located("a split may not change the width of the inputs or outputs", "splits", split)
        return self

    @model_validator(mode="after")
    def _stream_holds(self) -> Self:
        stream = self.stream
        if stream is None:
            return self
        # Of seeds the last is as good as any other.
        for number in range(len(stream)) if stream.seeded is None else {0, len(stream) - 1}:
            changes = stream.changes(number)
            place = ("stream", "seeded") if stream.seeded is not None else ("stream", "tasks", number)
            if (FIXED | {"part"}) & changes.keys():
                raise located(f"a task of a stream may not change {_quoted(FIXED | {'part'})}", *place)
            try:
                single = self.single(number)
            except ValidationError as problem:
                raise self._at_fault(problem, {"stream": None}, *place) from problem
            shape = (single.inputs, single.outputs, getattr(single, "steps", None))
            if shape != (self.inputs, self.outputs, getattr(self, "steps", None)):
                raise located(
                    "the tasks of a stream have the same widths and steps; this one differs", *place
                )
        return self

    def _at_fault(
        self, problem: ValidationError, without: dict[str, Any], *place: str | int
    ) -> PydanticCustomError:
        """What is wrong with the task itself, ``without`` variants; where nothing is, with one, at its place.

        Variants are validated before the fields of the task have been compared with each other.
        """
        try:
            type(self).model_validate({**dict(self), **without})
        except ValidationError as own:
            return nested(own, type(self))
        return nested(problem, type(self), *place)


def _quoted(names: frozenset[str]) -> str:
    *others, last = (repr(name) for name in sorted(names))
    return f"{', '.join(others)} or {last}"


def _shifted(task: TaskSpec, split: str) -> Any:
    return type(task).model_validate({**dict(task), **task.splits[split], "splits": {}})
