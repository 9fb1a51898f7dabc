"""Nothing but parameters: what learning rules do to a point, without a network around it."""

from __future__ import annotations

from typing import Literal

from zoo.specs.families import ModelSpec


class ConstantSpec(ModelSpec):
    """A vector that is learned, and is the output whatever the input: y = θ, from θ = 0.

    Its only site between input and output is ``value``.
    """

    kind: Literal["constant"] = "constant"
