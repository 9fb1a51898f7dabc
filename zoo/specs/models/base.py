"""What all trained recurrent networks declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import model_validator

from zoo import registry
from zoo.specs.base import Count, located
from zoo.specs.families import ModelSpec
from zoo.specs.models.constraints import ConstraintsSpec, Frozen
from zoo.specs.models.init import InitSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class RecurrentSpec(ModelSpec):
    """What all recurrent networks share: one hidden layer and a linear readout."""

    signed: ClassVar[bool] = False
    """Whether a unit acts on others through weights of one kind only, which Dale's principle is about."""

    offers: ClassVar[frozenset[str]] = frozenset({"step"})

    parts: ClassVar[tuple[str, ...]] = ("h",)
    """What its state is made of."""

    plain_input: ClassVar[bool] = True
    """Whether an input acts on units through trained weights that are added, and through nothing else."""

    hidden: Count = 64
    """Units in the hidden layer."""
    init: InitSpec = InitSpec()
    constraints: ConstraintsSpec = ConstraintsSpec()
    """Signs, masks and areas that last, and weights that are not trained."""

    @property
    def lacks(self) -> tuple[Frozen, ...]:
        """Weights that it does not have, and that cannot be fixed."""
        return ()

    @model_validator(mode="after")
    def _layer_is_possible(self) -> Self:
        if self.init.rank is not None and self.init.rank > self.hidden:
            raise located(f"{self.init.rank} is above the {self.hidden} hidden units", "init", "rank")
        if self.constraints.dale and not self.signed:
            raise located(
                f"the units of a {self.kind!r} network have no sign, because gates and states of either sign "
                f"lie between them; choose one of {', '.join(_signed())}",
                "constraints",
                "dale",
            )
        for what in self.constraints.fixed:
            if what in self.lacks:
                raise located(f"the model has no {what} weights that are added", "constraints", "fixed")
        if self.constraints.learned_inputs is not None and not self.plain_input:
            raise located(
                f"inputs of a {self.kind!r} network do not act through trained weights alone; "
                "choose 'rate', 'elman' or 'gru', or fix all of them, with fixed: [input]",
                *("constraints", "learned_inputs"),
            )
        self.constraints.check(self.hidden, self.init, self.parts)
        return self

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        learned = self.constraints.learned_inputs
        if learned is None:
            return
        where = ("model", "constraints", "learned_inputs")
        if max(learned) >= experiment.task.inputs:
            last = experiment.task.inputs - 1
            raise located(f"the task has inputs 0 to {last}, and no {max(learned)}", *where)
        if experiment.learner.learns and experiment.learner.kind != "backprop":
            raise located(
                f"{experiment.learner.kind!r} would change the others, too: choose 'backprop', or fix all of "
                "them, with fixed: [input]",
                *where,
            )
        if getattr(getattr(experiment.learner, "optimizer", None), "weight_decay", 0):
            raise located("weight decay would change the others, too: set it to 0", "learner", "optimizer")


def _signed() -> list[str]:
    """Kinds of networks whose units have a sign."""
    kinds = sorted(registry.BUILTIN["models"])
    return [kind for kind in kinds if getattr(registry.spec_class("models", kind), "signed", False)]


def refuse_structure(spec: RecurrentSpec, why: str) -> None:
    """Raises for constraints on single connections between units, where the model has none."""
    constraints, default = spec.constraints, ConstraintsSpec()
    for name in type(constraints).model_fields:
        if name != "fixed" and getattr(constraints, name) != getattr(default, name):
            raise located(f"{why}, not one of connections between units: leave it out", "constraints", name)
