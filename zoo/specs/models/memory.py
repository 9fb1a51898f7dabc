"""Associative memories: networks whose states come to rest at what was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.base import Positive, located
from zoo.specs.families import ModelSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec

MOST_UNITS = 20_000


class MemorySpec(ModelSpec):
    """What memories share: a rule that stores patterns at once, and takes no gradients."""

    rules: ClassVar[tuple[str, ...]] = ()
    """Kinds of learner that can store something in it."""
    associates: ClassVar[bool] = False
    """Whether values may differ in width from keys; otherwise a pattern is both."""

    def check(self, experiment: ExperimentSpec) -> None:
        learner, task = experiment.learner, experiment.task
        if learner.learns and learner.kind not in self.rules:
            rules = " or ".join((*self.rules, "none"))
            raise located(
                f"should be {rules}: {self.kind!r} follows no gradient of {learner.kind!r}", "learner", "kind"
            )
        if not self.associates and task.inputs != task.outputs:
            raise located(
                f"{self.kind!r} gives back what it was shown, and the task {task.kind!r} has {task.inputs} "
                f"inputs and {task.outputs} outputs: choose 'patterns', or the model 'kv-memory'",
                "task",
                "kind",
            )
        if max(task.inputs, task.outputs) > MOST_UNITS:
            raise located(
                f"gives the memory {max(task.inputs, task.outputs):,} units; at most {MOST_UNITS:,} are held",
                "task",
            )


class HopfieldSpec(MemorySpec):
    """Hopfield network (Hopfield 1982): h' = sign(W (h + u)), a unit without a field keeps its state.

    It has as many units as the task has inputs; a cue is the input of the first step, and a step is one
    sweep. W is symmetric, and empty until patterns are stored by ``hebb`` or ``pseudo-inverse``.
    """

    rules: ClassVar[tuple[str, ...]] = ("hebb", "pseudo-inverse")

    kind: Literal["hopfield"] = "hopfield"
    update: Literal["parallel", "sequential"] = "parallel"
    """All units at once, or one after another in their order, which never raises the energy."""
    self_coupling: bool = False
    """Whether a unit acts on itself."""


class DenseMemorySpec(MemorySpec):
    """Dense associative memory (Krotov & Hopfield 2016, eqs. 1-3), a step is one sweep of all units at once.

    The energy is E(s) = -Σ_μ F(ξ_μ · s), and a unit takes the sign that has the lower one, given the others.
    ``polynomial``: F(x) = x^degree, of which 2 is the Hopfield network with Hebb's rule. ``exponential``:
    F(x) = exp(beta x) (Demircigil et al. 2017). ``softmax``: continuous states,
    h' = Xᵀ softmax(beta X (h + u)) (Ramsauer et al. 2021, eq. 3).
    """

    rules: ClassVar[tuple[str, ...]] = ("store",)

    kind: Literal["dense-memory"] = "dense-memory"
    slots: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Patterns that it holds."""
    energy: Literal["polynomial", "exponential", "softmax"] = "polynomial"
    degree: Annotated[int, Field(ge=2, le=20)] = 3
    """Of the polynomial."""
    beta: Positive = 1.0
    """Inverse temperature of the exponential and the softmax."""

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        if self.slots * experiment.task.inputs > 2**28:
            raise located(
                f"times {experiment.task.inputs} units is too many; at most 2**28", "model", "slots"
            )
        stored = getattr(experiment.task, "stored", None)
        if experiment.learner.learns and stored is not None and stored != self.slots:
            raise located(
                f"{self.slots} slots, and the task stores {stored} patterns: give model.slots={stored}",
                "model",
                "slots",
            )


class KeyValueMemorySpec(MemorySpec):
    """Key-value memory as a matrix: y = M x, with M = Σ_n v_n k_nᵀ (Gershman, Fiete & Irie 2025).

    It does not iterate. M is empty until pairs are stored by ``hebb`` (their outer products), by
    ``pseudo-inverse`` (the exact values, where keys are independent) or by ``delta-rule``.
    """

    rules: ClassVar[tuple[str, ...]] = ("hebb", "pseudo-inverse", "delta-rule")
    associates: ClassVar[bool] = True

    kind: Literal["kv-memory"] = "kv-memory"
