"""The five families of kinds: what a field of type model, task, learner, analysis or operation accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ValidationError, model_validator

from zoo.errors import SpecError
from zoo.registry import suggest
from zoo.specs.base import KindSpec, located, nested

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


class TaskSpec(KindSpec):
    """Where data come from, deterministic from (spec, split, seed, step).

    A task has the splits train, validation and test, and named shifts of itself:
    ``splits`` maps a split to the fields that differ there, for example
    ``{"longer": {"steps": 300}}``. Each split draws its own examples.
    """

    family: ClassVar[str] = "tasks"
    loss: ClassVar[str] = "mse"
    """The natural loss of the task; a learner may choose another."""

    splits: dict[str, dict[str, Any]] = {}

    @property
    def inputs(self) -> int:
        """Width of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} must say its inputs")

    @property
    def outputs(self) -> int:
        """Width of ``y``."""
        raise NotImplementedError(f"{type(self).__name__} must say its outputs")

    def split_names(self) -> tuple[str, ...]:
        """Every split that this task has."""
        return tuple(dict.fromkeys([*STANDARD_SPLITS, *self.splits]))

    def for_split(self, split: str) -> Self:
        """The task as it is on a split. Raises :class:`SpecError` for one that it does not have."""
        if split not in self.split_names():
            raise SpecError(
                f"the task {self.kind!r} has no split {split!r}.{suggest(split, self.split_names())} "
                f"It has: {', '.join(self.split_names())}."
            )
        changes = self.splits.get(split, {})
        return _shifted(self, split) if changes else self

    @model_validator(mode="after")
    def _splits_hold(self) -> Self:
        for split, changes in self.splits.items():
            if "kind" in changes or "splits" in changes:
                raise located("a split may not change 'kind' or 'splits'", "splits", split)
            try:
                shifted = type(self).model_validate({**dict(self), **changes, "splits": {}})
            except ValidationError as problem:
                raise nested(problem, type(self), "splits", split) from problem
            if (shifted.inputs, shifted.outputs) != (self.inputs, self.outputs):
                raise located("a split may not change the width of the inputs or outputs", "splits", split)
        return self


def _shifted(task: TaskSpec, split: str) -> Any:
    return type(task).model_validate({**dict(task), **task.splits[split], "splits": {}})
