"""Delay lines: networks without a memory but that of past inputs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from zoo.specs.base import Count, located, nested
from zoo.specs.families import ModelSpec
from zoo.specs.models.feedforward import MLPSpec
from zoo.specs.models.init import InitSpec

MAX_WINDOW = 10**5


class DelayMLPSpec(ModelSpec):
    """Perceptron of the last inputs u_t, u_{t-τ}, …, u_{t-(q-1)τ} (Takens 1981; Waibel et al. 1989).

    The state is the delay line (``window``), the newest input first; before the first input it holds zeros.
    """

    kind: Literal["delay-mlp"] = "delay-mlp"
    delays: Count = 10
    """q, inputs that are seen, the present one among them."""
    interval: Count = 1
    """τ, steps between them."""
    normalise: bool = False
    """Whether they pass through a layer normalisation."""
    hidden: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=1000)] = (64,)
    """Units of each hidden layer."""
    nonlinearity: Literal["relu", "tanh", "sigmoid", "gelu", "linear"] = "relu"
    init: InitSpec = InitSpec()
    """Of each layer's weights, as for ``mlp``."""

    @property
    def window(self) -> int:
        """Steps in the delay line."""
        return (self.delays - 1) * self.interval + 1

    @property
    def perceptron(self) -> MLPSpec:
        """What sees the inputs in the delay line."""
        return MLPSpec(hidden=self.hidden, nonlinearity=self.nonlinearity, init=self.init)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.window > MAX_WINDOW:
            message = f"the window has {self.window:,} steps; at most {MAX_WINDOW:,} are possible"
            raise located(message, "delays")
        try:
            self.perceptron  # noqa: B018 - its own checks
        except ValidationError as problem:
            raise nested(problem, MLPSpec) from problem
        return self
