"""What all trained recurrent networks declare."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from zoo.specs.base import Count, located
from zoo.specs.families import ModelSpec
from zoo.specs.models.constraints import ConstraintsSpec, Frozen
from zoo.specs.models.init import InitSpec


class RecurrentSpec(ModelSpec):
    """What all recurrent networks share: one hidden layer and a linear readout."""

    signed: ClassVar[bool] = False
    """Whether a unit acts on others through weights of one kind only, which Dale's principle is about."""

    offers: ClassVar[frozenset[str]] = frozenset({"step"})

    parts: ClassVar[tuple[str, ...]] = ("h",)
    """What its state is made of."""

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
                "lie between them; choose 'rate', 'elman' or 'lif'",
                "constraints",
                "dale",
            )
        for what in self.constraints.fixed:
            if what in self.lacks:
                raise located(f"the model has no {what} weights that are added", "constraints", "fixed")
        self.constraints.check(self.hidden, self.init, self.parts)
        return self


def refuse_structure(spec: RecurrentSpec, why: str) -> None:
    """Raises for constraints on single connections between units, where the model has none."""
    constraints, default = spec.constraints, ConstraintsSpec()
    for name in type(constraints).model_fields:
        if name != "fixed" and getattr(constraints, name) != getattr(default, name):
            raise located(f"{why}, not one of connections between units: leave it out", "constraints", name)
