"""Reservoirs."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.models.cells import Cell, scan
from zoo.models.constraints import freeze
from zoo.models.local import Activity
from zoo.specs.models.reservoir import EchoStateSpec


class EchoState(Cell):
    """h' = (1-a) h + a tanh(W h + W_in u + b) with constant weights; noise is added to h'."""

    spec: EchoStateSpec

    def __init__(self, spec: EchoStateSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        if not self.weight.is_meta:
            with torch.no_grad():
                self.weight_in.uniform_(-spec.input_scale, spec.input_scale)
                self.bias.uniform_(-1, 1).mul_(spec.bias_scale)
        for name in ("weight_in", "weight", "bias"):
            freeze(self, name)

    def advance(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        return torch.lerp(h, torch.tanh(torch.addmm(drive, h, weight.t())), self.spec.leak)

    def local(self) -> Activity:
        return Activity(self.spec.leak, "tanh")

    def initial_state(self, batch: int) -> Tensor:
        h = super().initial_state(1)
        if self.spec.washout:
            h = self.rollout(h, steps=self.spec.washout)[:, -1]
        return h.expand(batch, -1)

    def unroll(self, x: Tensor) -> Tensor:
        before = self.spec.washout
        if not before:
            return super().unroll(x)
        still = x.new_zeros(1, 1, x.shape[2]).expand(before, x.shape[0], -1)
        states = scan(self.drive(torch.cat([still, x.transpose(0, 1)])), self.recurrent, self.local())
        return states[:, before:]
