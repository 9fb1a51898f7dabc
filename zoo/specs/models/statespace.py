"""Diagonal state-space layers: linear recurrent units and S4D."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Positive, located
from zoo.specs.models.sequence import SequenceSpec

MAX_MODES = 10**6
"""In all layers together."""


class StateSpaceSpec(SequenceSpec):
    """Layers h' = Λ h + B z, y = Re(C h') + D z with a complex diagonal Λ, in blocks.

    z is the stream after a layer normalisation. A ``gated`` block adds GLU(W GELU(y)) to the stream
    (Orvieto et al. 2023; Gu et al. 2022); a ``plain`` one puts y in its place (Ostrow et al. 2024). The state
    is the stream after the last block (``stream``, which is read out) and of each layer the real parts of h
    followed by the imaginary ones (``h1``, ``h2``, …).
    """

    state: Count = 16
    """Complex modes: of each layer (lru), or of each channel of each layer (s4d)."""
    block: Literal["gated", "plain"] = "gated"

    @property
    def modes(self) -> int:
        """Complex modes of a layer."""
        return self.state

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        total = self.modes * self.layers
        if total > MAX_MODES:
            raise located(
                f"there would be {total:,} complex modes in all; at most {MAX_MODES:,} are possible", "state"
            )
        return self


class LRUSpec(StateSpaceSpec):
    """Linear recurrent units (Orvieto et al. 2023): Λ = exp(-exp ν + i exp θ), h' = Λ h + γ B z.

    Λ begins uniform on the ring between the two radii, at angles between 0 and ``phase``. B and C are dense
    and complex, D is a dense matrix. ν, θ, B, C, D and, where there is one, γ are trained.
    """

    kind: Literal["lru"] = "lru"
    radius: Annotated[tuple[float, float], Field(strict=False)] = (0.8, 0.99)
    """Of the ring in which Λ begins: smallest and largest."""
    phase: Annotated[float, Field(gt=0, le=2 * math.pi)] = 2 * math.pi
    """Largest angle of Λ at the beginning."""
    normalisation: Literal["lru", "exponential", "none"] = "lru"
    """What γ begins as: √(1-|Λ|²), by which white inputs give states of variance 1 (Orvieto et al. 2023,
    eq. 7); exp √(1-|Λ|²), between 1 and e, which the code of Ostrow et al. (2024) takes for it; or no γ."""

    @model_validator(mode="after")
    def _ring(self) -> Self:
        smallest, largest = self.radius
        if not 0 <= smallest < largest < 1:
            raise located("should be two numbers with 0 ≤ the first < the second < 1", "radius")
        return self


class S4DSpec(StateSpaceSpec):
    """S4D (Gu, Gupta, Goel & Ré 2022): channels by themselves, each a diagonal system in continuous time.

    dh/dt = A h + z, y = 2 Re(C h) + D z with Re A < 0, sampled at steps Δ of the channel's own. Of two
    conjugate modes the first is held. A, C, D and Δ are trained, with Re A and Δ by their logarithms.
    """

    kind: Literal["s4d"] = "s4d"
    spectrum: Literal["linear", "inverse"] = "linear"
    """Where A begins: -½ + iπn (S4D-Lin), or -½ + i N/π (N/(2n+1) - 1) (S4D-Inv), for N twice the modes."""
    discretisation: Literal["zoh", "bilinear"] = "zoh"
    """Of the input between samples: held, or by the trapezoidal rule."""
    dt: Annotated[tuple[Positive, Positive], Field(strict=False)] = (1e-3, 1e-1)
    """Smallest and largest Δ at the beginning, drawn uniformly on a logarithmic scale."""

    @property
    def modes(self) -> int:
        return self.state * self.width

    @model_validator(mode="after")
    def _steps(self) -> Self:
        if self.dt[0] > self.dt[1]:
            raise located("should be the smallest and the largest, in this order", "dt")
        return self
