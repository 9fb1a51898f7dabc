"""Learning to tell noise from what it was added to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.learners.rule import GradientRuleSpec


class DenoisingSpec(GradientRuleSpec):
    """Denoising score matching in its simple form (Ho et al. 2020, eq. 14): |ε - ε_θ(x_t, t, c)|².

    Each example of a batch is seen at one level, drawn evenly; the noise is what its trial begins with.
    """

    kind: Literal["denoising"] = "denoising"
    needs: ClassVar[str] = "denoiser"
    losses: ClassVar[frozenset[str]] = frozenset({"mse"})
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the examples that are seen without their condition, which guidance needs (Ho & Salimans
    2022)."""
