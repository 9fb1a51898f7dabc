"""How weights begin."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from zoo.specs.base import Count, Positive, Spec, located


class InitSpec(Spec):
    """How the weights begin. The defaults are torch's: uniform on ±1/√hidden."""

    distribution: Literal["uniform", "normal", "orthogonal", "identity"] = "uniform"
    """Recurrent weights: uniform ±gain/√hidden, normal with deviation gain/√hidden, or gain × an
    orthogonal or identity matrix. Gated cells: each gate's block on its own."""
    gain: Positive = 1.0
    spectral_radius: Positive | None = None
    """If given, each recurrent block is rescaled to this largest absolute eigenvalue."""
    rank: Count | None = None
    """If given, each recurrent block is replaced by its best approximation of this rank."""
    keep_norm: bool = False
    """Whether a block whose rank was cut has the Frobenius norm that it had before."""
    output_scale: Positive = 1.0
    """Factor on the readout weights: small is rich, large is lazy learning."""

    @model_validator(mode="after")
    def _norm_of_what_is_cut(self) -> Self:
        if self.keep_norm and self.rank is None:
            raise located("goes with a rank, which cuts the norm: give one, or leave it out", "keep_norm")
        return self
