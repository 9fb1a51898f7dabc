"""Learning by forward passes alone."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.specs.base import Positive
from zoo.specs.learners.rule import GradientRuleSpec


class ForwardForwardSpec(GradientRuleSpec):
    """The forward-forward algorithm (Hinton 2022): each layer by itself lowers
    softplus(θ - g) for an input with its label and softplus(g - θ) with a wrong one, of its goodness g.

    Wrong labels are drawn evenly.
    """

    kind: Literal["forward-forward"] = "forward-forward"
    needs: ClassVar[str] = "goodness"
    losses: ClassVar[frozenset[str]] = frozenset({"cross-entropy"})
    threshold: Positive = 2.0
    """θ, of the mean of squared units."""
