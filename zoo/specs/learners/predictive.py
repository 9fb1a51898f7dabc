"""Predictive coding: layers predict the next, and settle before they learn."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.base import Positive
from zoo.specs.learners.rule import GradientRuleSpec


class PredictiveCodingSpec(GradientRuleSpec):
    """Predictive coding (Rao & Ballard 1999; Whittington & Bogacz 2017).

    Every hidden layer holds a value v_k that begins as what the layer below predicts, f_k(v_{k-1}). Values
    descend the energy Σ ½|v_k - f_k(v_{k-1})|² + loss, and then the weights of each layer its own term.
    """

    kind: Literal["predictive-coding"] = "predictive-coding"
    needs: ClassVar[str] = "layers"
    predictions: Literal["free", "fixed"] = "free"
    """Whether predictions and their derivatives follow the values, or stay as in the first pass (Millidge,
    Tschantz & Buckley 2022): then the update is the gradient of the loss once the values are at rest."""
    steps: Annotated[int, Field(ge=1, le=10_000)] = 20
    """In which values descend."""
    rate: Positive = 0.1
    """Size of these steps."""
