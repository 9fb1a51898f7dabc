"""Layers set back."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.specs.base import Line, Seed
from zoo.specs.families import OperationSpec


class ResetSpec(OperationSpec):
    """Some layers as they were, or anew, the others as they are (Zhang, Bengio & Singer 2022:
    re-initialisation and re-randomisation).

    With a second parent, layers are taken from it: of ``net#64``, as they were after 64 batches.
    """

    kind: Literal["reset"] = "reset"
    least: ClassVar[int] = 1
    most: ClassVar[int | None] = 2

    layers: Annotated[tuple[Line, ...], Field(strict=False, min_length=1)]
    """Names of tensors, the beginnings of them that end at a dot (``layers.0``), or globs of either."""
    seed: Seed | None = None
    """Weights are drawn anew from this seed; without one, and without a second parent, from that of the
    network, which gives those that it began with."""

    def check(self, parents: int) -> None:
        super().check(parents)
        if parents == 2 and self.seed is not None:
            raise ValueError("layers come from the second parent or from a seed, not from both")
