"""No learning at all: for systems that are simulated, and for networks as they were initialised."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.specs.families import LearnerSpec


class NoneSpec(LearnerSpec):
    """Nothing is learned: the initial network is the checkpoint, and ``train.steps`` is 0."""

    kind: Literal["none"] = "none"
    learns: ClassVar[bool] = False
