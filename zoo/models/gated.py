"""Cells with one gate."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.models.cells import Cell
from zoo.models.local import Updated
from zoo.specs.models.gated import MGUSpec, OneGateSpec, UGRUSpec


class OneGate(Cell):
    """Weights and biases hold the candidate's rows, then the gate's."""

    gates = 2
    spec: OneGateSpec

    def __init__(self, spec: OneGateSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        if not self.bias.is_meta:
            self.bias.data[spec.hidden :] += spec.gate_bias


class UGRU(OneGate):
    """Update gate RNN: h' = g h + (1-g) c; noise is added to the new state."""

    spec: UGRUSpec

    def advance(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        candidate, gate = (drive + F.linear(h, weight)).chunk(2, 1)
        return torch.lerp(torch.tanh(candidate), h, torch.sigmoid(gate))

    def local(self) -> Updated:
        return Updated()


class MGU(OneGate):
    """Minimal gated unit: h' = (1-f) h + f c, where c sees the state through f; noise is added to h'."""

    spec: MGUSpec

    def advance(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        to_candidate, to_gate = weight.chunk(2)
        candidate, gate = drive.chunk(2, 1)
        gate = torch.sigmoid(torch.addmm(gate, h, to_gate.t()))
        new = torch.tanh(torch.addmm(candidate, gate * h, to_candidate.t()))
        return torch.lerp(h, new, gate)
