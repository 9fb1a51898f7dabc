"""A spec that is fine; its implementation is not."""

from typing import Literal

from zoo.specs.families import ModelSpec


class HalfSpec(ModelSpec):
    """Can be declared, cannot be built."""

    kind: Literal["half"] = "half"
