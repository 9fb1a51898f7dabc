"""Networks whose output is where they come to rest."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.base import Count, Fraction, Positive
from zoo.specs.families import ModelSpec


class SettlingSpec(ModelSpec):
    """Layered Hopfield network with symmetric connections (Hopfield 1984; Scellier & Bengio 2017).

    The input and all layers s_1, …, s_L in [0, 1], the last of which is the output, have the energy
    E = Σ_k (½|s_k|² - b_k·s_k - s_k·W_k s_{k-1}), and a step is s' = clip(s - ``dt`` ∂E/∂s, 0, 1) with the
    input held. The state is all layers side by side; it begins at 0.
    """

    kind: Literal["settling"] = "settling"
    offers: ClassVar = frozenset({"energy"})
    hidden: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=100)] = (64,)
    """Units of each hidden layer."""
    dt: Fraction = 0.5
    gain: Positive = 1.0
    """Weights begin uniform on ± gain √(6 / (units below + units)) (Glorot & Bengio 2010), biases at 0."""
