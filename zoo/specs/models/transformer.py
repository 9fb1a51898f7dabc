"""Decoder transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from zoo.specs.base import Count, located
from zoo.specs.models.sequence import SequenceSpec

if TYPE_CHECKING:
    from zoo.specs.experiment import ExperimentSpec


class TransformerSpec(SequenceSpec):
    """Decoder transformer (Vaswani et al. 2017; norms before each part as in Radford et al. 2019).

    Each time step attends to itself and to those before it. The stream is r_0 = W_in u + b + its position's
    code; a layer is r' = r + Attention(N(r)) and r'' = r' + W_2 GELU(W_1 N(r') + b_1) + b_2. The sites are
    ``embedding`` (r_0) and, of each layer, ``attention1`` (r') and ``block1`` (r''); without an MLP, the last
    ``attention`` is read out.
    """

    kind: Literal["transformer"] = "transformer"
    width: Count = 64
    heads: Count = 4
    """Of attention; they share the width equally."""
    mlp: Count | None = 256
    """Hidden units of each layer's MLP; without it, layers are of attention alone."""
    position: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """Code of a position, which is added to the embedding."""
    context: Count = 512
    """Positions that there are codes of, where they are learned; longer sequences are refused."""
    residual: Literal["stream", "normed"] = "stream"
    """What the output of attention is added to: r, or N(r) (Ostrow et al. 2024)."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise located(f"{self.heads} cannot share the width {self.width} equally", "heads")
        if self.position == "sinusoidal" and self.width % 2:
            raise located("sinusoidal codes of positions come in pairs: choose an even number", "width")
        return self

    def check(self, experiment: ExperimentSpec) -> None:
        task = experiment.task
        for split in task.split_names() if self.position == "learned" else ():
            steps = getattr(task.for_split(split), "steps", 0)
            if steps > self.context:
                raise located(
                    f"{self.context} positions, and trials of the split {split!r} have {steps} steps: give "
                    "as many, or the position 'sinusoidal' or 'none'",
                    "model",
                    "context",
                )
