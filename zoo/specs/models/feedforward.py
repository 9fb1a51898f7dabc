"""Feedforward networks: the multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, NonNegative, Positive, Spec, located
from zoo.specs.families import ModelSpec
from zoo.specs.models.init import InitSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class ActivityNoiseSpec(Spec):
    """Noise on the activity of hidden layers while training: h + c ξ |h|^(e/2), with ξ normal.

    Its variance grows with activity as |h|^e: with e = 0 it is white, with 1 as of Poisson counts, with 2
    multiplicative. For |h|^(e/2) there is (h² + 10⁻⁶)^(e/4), whose slope at 0 is finite.
    """

    strength: Positive = 0.1
    """c."""
    exponent: Annotated[float, Field(ge=0, le=4)] = 1.0
    """e."""


class PenaltySpec(Spec):
    """What a pass costs beside the loss of the task, in training: a sum of terms, each with its coefficient.

    Matrices W of all layers and of the readout count, biases do not; h are hidden activities, and E is the
    mean over the examples of a batch.
    """

    weights: NonNegative = 0.0
    """Of Σ W²."""
    absolute: NonNegative = 0.0
    """Of Σ |W|."""
    activity: NonNegative = 0.0
    """Of Σ E h²."""
    weighted_activity: NonNegative = 0.0
    """Of Σ_l E Σ_ij (W^(l+1)_ji)² |h^l_i|^α: the variance that noise on the activity, which grows as |h|^α,
    has one layer on (Qian et al. 2025)."""
    exponent: Annotated[float, Field(ge=1, le=4)] = 2.0
    """α."""

    @property
    def any(self) -> bool:
        """Whether there is anything to pay."""
        return bool(self.weights or self.absolute or self.activity or self.weighted_activity)


class MLPSpec(ModelSpec):
    """Multilayer perceptron: h_k = φ(N(W_k h_{k-1} + b_k)), and a linear readout of the last layer.

    It is applied to each time step by itself. Its sites are ``h1``, ``h2``, …, after the nonlinearity.
    """

    kind: Literal["mlp"] = "mlp"
    offers: ClassVar = frozenset({"layers"})
    hidden: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=1000)] = (64, 64)
    """Units of each hidden layer."""
    nonlinearity: Literal["relu", "leaky-relu", "tanh", "sigmoid", "gelu", "linear"] = "relu"
    """``leaky-relu`` has the slope 0.1 below 0."""
    norm: Literal["none", "layer", "batch"] = "none"
    """N: nothing, or layer normalisation (Ba et al. 2016), with a gain and a bias for each unit, or mean 0
    and variance 1 over the examples of whatever batch there is, in use as in training."""
    parametrisation: Literal["standard", "ntk"] = "standard"
    """With ``ntk`` (Jacot et al. 2018) h_k = φ(N(W_k h_{k-1} / √(its inputs) + b_k)), weights begin that much
    larger, readout as layers, and biases at 0."""
    bias: bool = True
    """Whether layers and readout have biases."""
    init: InitSpec = InitSpec()
    """Of each layer's weights, with √(its inputs) in the place of √hidden; biases as torch's."""
    noise: ActivityNoiseSpec | None = None
    """On every hidden layer; only while training, unless noise is passed in."""
    penalty: PenaltySpec = PenaltySpec()
    """What the learner lowers beside the loss."""

    @model_validator(mode="after")
    def _init_fits(self) -> MLPSpec:
        if self.init.spectral_radius is not None:
            raise located("only square recurrent weights have one", "init", "spectral_radius")
        if self.init.rank is not None and self.init.rank > min(self.hidden):
            raise located(f"is above the {min(self.hidden)} units of the smallest layer", "init", "rank")
        return self

    def check(self, experiment: ExperimentSpec) -> None:
        if experiment.learner.kind in ("backprop", "none"):
            return
        for name, there in (("noise", self.noise is not None), ("penalty", self.penalty.any)):
            if there:
                message = (
                    f"acts in a pass whose loss is differentiated, which the learner "
                    f"{experiment.learner.kind!r} does not do: leave it out, or take the learner backprop"
                )
                raise located(message, "model", name)
