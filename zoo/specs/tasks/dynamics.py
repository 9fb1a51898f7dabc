"""Pattern generation: a sine wave on command."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zoo.specs.base import Positive, Several, located
from zoo.specs.families import TaskSpec


class SineSpec(TaskSpec):
    """Emit a sine wave whose frequency a constant input selects (Sussillo & Barak 2013).

    The input is (k + 1) / (number of frequencies) + 0.25 for frequency k, held through the trial; the target
    is sin(2π f t), with t = dt at the first step. With several contexts there is an input for each, which is
    1 where that is the context; in context c, the same k selects frequency k + c, round in circles.
    """

    kind: Literal["sine"] = "sine"
    frequencies: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = (1.0, 2.0, 3.0, 4.0)
    """In Hz."""
    dt: Positive = 0.02
    """Duration of a time step in seconds."""
    steps: Several = 100
    contexts: Annotated[int, Field(ge=1, le=1000)] = 1
    splits: dict[str, dict[str, Any]] = {"longer": {"steps": 300}}

    @property
    def inputs(self) -> int:
        return 1 if self.contexts == 1 else 1 + self.contexts

    @property
    def outputs(self) -> int:
        return 1

    @model_validator(mode="after")
    def _no_aliasing(self) -> SineSpec:
        nyquist = 0.5 / self.dt
        if max(self.frequencies) >= nyquist:
            raise ValueError(
                f"a frequency of {max(self.frequencies)} Hz is not below 1/(2 dt) = {nyquist} Hz"
            )
        return self

    @model_validator(mode="after")
    def _contexts_differ(self) -> SineSpec:
        if self.contexts > len(self.frequencies):
            raise located(
                f"{len(self.frequencies)} frequencies are the same again in later contexts", "contexts"
            )
        return self
