"""Rules that follow no gradient: they try weights at random, and go where reward was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Line, Positive, located
from zoo.specs.learners.backprop import OptimizerSpec, SGDSpec
from zoo.specs.learners.pretraining import PretrainingSpec
from zoo.specs.learners.rule import GradientRuleSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class EvolutionStrategiesSpec(GradientRuleSpec):
    """Evolution strategies in the space of weights (Salimans et al. 2017; Qiu et al. 2025).

    Each step draws ``samples`` perturbations ε_i ~ N(0, 1) of all weights and gives the rewards R_i at
    θ + σ ε_i on one batch. What stands for the gradient is -Σ_i z_i ε_i / samples, with z the rewards as
    ``shaping`` has them; with plain steps of size α this is θ ← θ + α Σ_i z_i ε_i / samples.
    """

    kind: Literal["evolution-strategies"] = "evolution-strategies"
    optimizer: OptimizerSpec = SGDSpec()
    samples: Annotated[int, Field(ge=2, le=100_000)] = 30
    """Perturbations in a step; twins of ``antithetic`` count too."""
    sigma: Positive = 1e-3
    """σ, their deviation, in the unit of the weights."""
    shaping: Literal["standardised", "centred", "ranks"] = "standardised"
    """z: rewards to mean 0 and deviation 1, so that their scale does not matter (all equal, they change
    nothing); or less their mean and over σ, which follows the gradient of the smoothed reward; or their
    ranks, evenly from -1/2 to 1/2."""
    antithetic: bool = False
    """Whether each perturbation is tried in both directions."""
    reward: Line = "loss"
    """``loss``, of which less is better, or a metric of the task; it need not have a gradient."""
    pretraining: PretrainingSpec | None = None
    """If given, backpropagation before the first step."""

    @model_validator(mode="after")
    def _twins_pair(self) -> EvolutionStrategiesSpec:
        if self.antithetic and self.samples % 2:
            raise located(f"should be even where each has a twin: give {self.samples + 1}", "samples")
        return self

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        if self.pretraining is not None:
            self.pretraining.check(experiment)
