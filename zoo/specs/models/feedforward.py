"""Feedforward networks: the multilayer perceptron."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Count, located
from zoo.specs.families import ModelSpec
from zoo.specs.models.init import InitSpec


class MLPSpec(ModelSpec):
    """Multilayer perceptron: h_k = φ(N(W_k h_{k-1} + b_k)), and a linear readout of the last layer.

    It is applied to each time step by itself. Its sites are ``h1``, ``h2``, …, after the nonlinearity.
    """

    kind: Literal["mlp"] = "mlp"
    offers: ClassVar = frozenset({"layers"})
    hidden: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=1000)] = (64, 64)
    """Units of each hidden layer."""
    nonlinearity: Literal["relu", "tanh", "sigmoid", "gelu", "linear"] = "relu"
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

    @model_validator(mode="after")
    def _init_fits(self) -> MLPSpec:
        if self.init.spectral_radius is not None:
            raise located("only square recurrent weights have one", "init", "spectral_radius")
        if self.init.rank is not None and self.init.rank > min(self.hidden):
            raise located(f"is above the {min(self.hidden)} units of the smallest layer", "init", "rank")
        return self
