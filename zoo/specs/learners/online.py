"""Rules for networks that iterate, which need little of the past or none: BPTT cut short, and traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from zoo.specs.base import Count, Fraction, NonNegative, located
from zoo.specs.learners.rule import GradientRuleSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec

LARGEST = 2**28
"""Numbers in the traces of a batch."""


class TruncatedBPTTSpec(GradientRuleSpec):
    """Truncated backpropagation through time (Williams & Peng 1990): the error of each step goes back through
    the last ``window`` steps, its own among them.

    With 1 nothing goes back through the recurrent weights; from the length of the sequence on it is the
    gradient.
    """

    kind: Literal["tbptt"] = "tbptt"
    needs: ClassVar[str] = "step"
    window: Count = 10
    """For each of these steps the errors of all are sent back by one, so that the cost grows with it."""


class TraceSpec(GradientRuleSpec):
    """What rules share that carry forward in time how each state depends on the weights."""

    needs: ClassVar[str] = "local"
    whole: ClassVar[bool] = False
    """Whether traces are of all units, or each of those weights alone that lead to the unit."""

    def check(self, experiment: ExperimentSpec) -> None:
        super().check(experiment)
        units, inputs = getattr(experiment.model, "hidden", 1), experiment.task.inputs
        numbers = experiment.train.batch_size * units * (units + inputs + 1) * (units if self.whole else 1)
        if numbers > LARGEST:
            message = (
                f"{units} are too many for {self.kind!r}, whose traces would be {numbers:,} numbers for a "
                f"batch of {experiment.train.batch_size}, more than {LARGEST:,}: give fewer units, a smaller "
                "train.batch_size, or take tbptt"
            )
            raise located(message, "model", "hidden")


class RTRLSpec(TraceSpec):
    """Real-time recurrent learning (Williams & Zipser 1989): the gradient, forward in time.

    The trace ∂h_t/∂θ = J_t ∂h_{t-1}/∂θ + ∂step/∂θ has the full Jacobian J_t: exact, and of the order of
    units⁴ in cost.
    """

    kind: Literal["rtrl"] = "rtrl"
    needs: ClassVar[str] = "step"
    whole: ClassVar[bool] = True


class EligibilityTraceSpec(TraceSpec):
    """Traces of a weight and its own unit, e_ij(t) = D_i(t) e_ij(t-1) + ∂h_i(t)/∂W_ij, times a learning
    signal of the unit."""

    feedback: Literal["random", "symmetric"] = "random"
    """How errors of the output reach the units: by constant weights, normal with deviation
    ``scale`` / √units, or by those of the readout."""
    scale: NonNegative = 1.0


class RFLOSpec(EligibilityTraceSpec):
    """Random feedback local online learning (Murray 2019): D is what a unit keeps of itself by its leak.

    With symmetric feedback it is a three-factor rule: the gradient with the recurrent current held constant.
    """

    kind: Literal["rflo"] = "rflo"
    leak: Fraction | None = None
    """D, where it is not what the model has: 1 - α of leaky units, the gate of a UGRU, 0 of others."""


class EPropSpec(EligibilityTraceSpec):
    """E-prop (Bellec et al. 2020): D is the diagonal of the step's Jacobian, ∂h_i(t)/∂h_i(t-1).

    Without self-connections it is the trace of the paper, which does not go through them; with them it is
    that of SnAp-1 (Menick et al. 2021).
    """

    kind: Literal["e-prop"] = "e-prop"
    feedback: Literal["random", "symmetric"] = "symmetric"
