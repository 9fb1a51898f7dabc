"""Networks whose layers say how well an input and a label go together."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.base import Count, Positive
from zoo.specs.families import ModelSpec


class GoodnessSpec(ModelSpec):
    """Layers h_k = relu(W_k n(h_{k-1}) + b_k) over an input beside a label, n to length 1 (Hinton 2022).

    The goodness of a layer is the mean of its squared units. It is run with every label, and the output for
    each is the goodness of its layers together. The sites hold the activity with all labels side by side.
    """

    kind: Literal["goodness"] = "goodness"
    offers: ClassVar = frozenset({"goodness"})
    hidden: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=100)] = (200, 200)
    """Units of each layer."""
    label_scale: Positive = 1.0
    """What an input has for the label that it is shown with, beside zeros for the others."""
    counted: Literal["all", "deep"] = "all"
    """Whether the goodness of the first layer counts."""
