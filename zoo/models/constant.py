"""Nothing but parameters: what learning rules do to a point, without a network around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models.layered import At, Layered
from zoo.specs.models.constant import ConstantSpec


class Constant(Layered):
    """y = θ ``[output]`` at each step of each example."""

    vectorises = True
    spec: ConstantSpec

    def __init__(self, spec: ConstantSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.value = nn.Parameter(torch.zeros(outputs))

    @property
    def hidden(self) -> tuple[str, ...]:
        return ("value",)

    def compute(self, x: Tensor, at: At) -> Tensor:
        return at("value", self.value.expand(*x.shape[:-1], self.outputs))
