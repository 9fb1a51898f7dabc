"""Two-phase learning in networks that settle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.base import Positive, located
from zoo.specs.learners.rule import RuleSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class EquilibriumPropagationSpec(RuleSpec):
    """Equilibrium propagation (Scellier & Bengio 2017).

    The network settles with the input of the last step held; then its output is nudged down the cost
    C = ½|out - y|², with strength β, and it settles again. Weights change by the difference between what both
    states say of the energy's slope: ΔW_k = rate_k/β (s_k s_{k-1}ᵀ nudged - free), the mean over a batch.
    """

    kind: Literal["equilibrium-propagation"] = "equilibrium-propagation"
    needs: ClassVar[str] = "energy"
    losses: ClassVar[frozenset[str]] = frozenset({"mse"})
    sizes: ClassVar[frozenset[str]] = frozenset({"rates", "schedule"})
    rates: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = (0.1,)
    """Of each layer from the first to the output, or one for all. Large ones lead to chance."""
    nudge: Positive = 0.5
    """β."""
    nudging: Literal["positive", "random", "symmetric"] = "random"
    """Towards the target; in a batch at random towards it or away; or both ways, each from the free state,
    with half their difference (Laborieux et al. 2021)."""
    nudged_steps: Annotated[int, Field(ge=1, le=10_000)] = 10
    """In which it settles again."""

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        layers = len(getattr(experiment.model, "hidden", ())) + 1
        if len(self.rates) not in (1, layers):
            message = f"has {len(self.rates)} entries for {layers} layers: give {layers}, or one for all"
            raise located(message, "learner", "rates")
