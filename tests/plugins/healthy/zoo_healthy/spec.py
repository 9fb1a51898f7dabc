"""What a user declares."""

from typing import Literal

from zoo.specs.base import Count, Fraction
from zoo.specs.families import ModelSpec


class LeakyIntegratorSpec(ModelSpec):
    """Units that sum their input and forget."""

    kind: Literal["leaky-integrator"] = "leaky-integrator"
    units: Count = 16
    leak: Fraction = 0.1
    """Part of the state lost at each step."""
