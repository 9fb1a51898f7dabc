"""Particle filters: clouds of guesses at what is hidden, moved by each observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zoo.specs.base import NonNegative, Positive, located
from zoo.specs.models.systems import SystemSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class FilterSpec(SystemSpec):
    """What particle filters share: guesses s_i at a place in as many dimensions as there are outputs.

    An input is a direction x and what lies along it, z = u · x of the hidden place u; the loss of a guess is
    L_i = ½ (s_i · x - z)². Guesses begin as a cloud drawn from the experiment's seed, the same in all trials,
    and the output is their mean.
    """

    particles: Annotated[int, Field(ge=2, le=10_000)] = 100
    """n."""
    spread: Positive = 1.0
    """Deviation of the guesses that it begins with."""

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        task = experiment.task
        if task.inputs != task.outputs + 1:
            raise located(
                f"gives {task.inputs} inputs and {task.outputs} outputs, and {self.kind!r} takes a direction "
                "and a number, one input more than outputs: choose 'localization'",
                "task",
                "kind",
            )


class FlowFilterSpec(FilterSpec):
    """The resampling-free particle filter (Boopathy et al. 2024): guesses flow, none is thrown away.

    s_i ← s_i - γ ∇L_i - C (m - 2) / n Σ_j (s_i - s_j) (|s_i - s_j| + ε)^-m (L_i - mean L) in m dimensions,
    with the constant of Green's function C = Γ(m/2 + 1) / (m (m - 2) π^(m/2)) and
    ε = (γ n / C)^(1 / (2 - m)).
    """

    kind: Literal["flow-filter"] = "flow-filter"
    rate: Positive = 0.1
    """γ."""
    transport: Literal["own", "other", "none"] = "own"
    """Whose loss moves a guess past another: its own, as in the authors' code; the other's, with the sign
    turned, as transport by a potential has it; or no guess moves another."""

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        if experiment.task.outputs < 3:
            raise located(
                f"has {experiment.task.outputs} dimensions, and the flow is of 3 or more: give as many, "
                "or the model 'bootstrap-filter'",
                "task",
            )


class BootstrapFilterSpec(FilterSpec):
    """The particle filter that resamples (Gordon et al. 1993), Monte Carlo localization: at each step guesses
    are jittered, weighed by exp(-L_i), and as many are drawn from them with replacement.

    The random numbers follow from the experiment's seed and the step; from step 1,000 on they come again.
    """

    kind: Literal["bootstrap-filter"] = "bootstrap-filter"
    jitter: NonNegative = 0.1
    """Deviation of what is added to each guess."""
