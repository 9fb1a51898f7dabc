"""Recurrent networks: rate, Elman, GRU, LSTM. Each is a ``step``; most have a fused pass as well."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.dynamics import Dynamics
from zoo.models.init import initialise
from zoo.models.kernels import ElmanPass
from zoo.specs.models.recurrent import ElmanSpec, GRUSpec, LSTMSpec, RateSpec, RecurrentSpec

PHI = {"tanh": torch.tanh, "relu": torch.relu}


class Recurrent(Dynamics):
    """One recurrent layer, held by torch's module for it, and a linear readout of ``h``."""

    vectorises = True
    spec: RecurrentSpec
    fused: bool = True
    """Whether torch's kernels for whole sequences are used, which ``vmap`` does not go through."""

    def __init__(self, spec: RecurrentSpec, inputs: int, outputs: int, cell: nn.RNNBase) -> None:
        super().__init__(spec, inputs, outputs)
        self.cell = cell
        self.output = nn.Linear(spec.hidden, outputs)
        if not self.output.weight.is_meta:
            weight_in, weight, bias_in, bias = self.weights
            initialise(spec.init, weight, [weight_in, bias_in, bias], self.output)

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input and recurrent weights, input and recurrent biases; gates stacked on the first axis."""
        cell: Any = self.cell
        return cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.spec.hidden)}

    def decode(self, exposed: Tensor) -> Tensor:
        return self.output(exposed)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        weight_in, _, bias_in, _ = self.weights
        return self.advance(h, F.linear(u, weight_in, bias_in), noise)

    @abstractmethod
    def advance(self, h: Tensor, drive: Tensor, noise: Tensor | None = None) -> Tensor:
        """The next state from what the input gives the gates, ``[batch, gates × hidden]``."""

    def unroll(self, x: Tensor) -> Tensor | None:
        if self.fused:
            return self.cell(x)[0]
        weight_in, _, bias_in, _ = self.weights
        h, states, part = self.initial_state(x.shape[0]), [], self.parts["h"]
        for drive in F.linear(x, weight_in, bias_in).unbind(1):
            h = self.advance(h, drive)
            states.append(h[:, part])
        return torch.stack(states, 1)

    def _recurrent(self, h: Tensor) -> Tensor:
        """The state's part of the gates' drive, ``[batch, gates × hidden]``."""
        _, weight, _, bias = self.weights
        return F.linear(h, weight, bias)


class Elman(Recurrent):
    """h' = φ(W h + b_h + W_in u + b_in); noise is added inside φ."""

    spec: ElmanSpec

    def __init__(self, spec: ElmanSpec, inputs: int, outputs: int) -> None:
        super().__init__(
            spec,
            inputs,
            outputs,
            nn.RNN(inputs, spec.hidden, nonlinearity=spec.nonlinearity, batch_first=True),
        )

    def advance(self, h: Tensor, drive: Tensor, noise: Tensor | None = None) -> Tensor:
        total = drive + self._recurrent(h)
        return PHI[self.spec.nonlinearity](total if noise is None else total + noise)

    def unroll(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
            return self.cell(x)[0]  # torch's own kernels are the faster ones there
        weight_in, weight, bias_in, bias = self.weights
        if self.fused:
            drive = F.linear(x.transpose(0, 1), weight_in, bias_in + bias)
        else:  # several networks side by side, whose inputs need not be copied then
            drive = F.linear(x, weight_in, bias_in + bias).transpose(0, 1)
        states: Tensor = ElmanPass.apply(drive, weight, self.spec.nonlinearity == "relu")
        return states.transpose(0, 1)


class GRU(Recurrent):
    """Gated recurrent unit; noise is added to the new state."""

    spec: GRUSpec

    def __init__(self, spec: GRUSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs, nn.GRU(inputs, spec.hidden, batch_first=True))

    def advance(self, h: Tensor, drive: Tensor, noise: Tensor | None = None) -> Tensor:
        recurrent = self._recurrent(h)
        (reset_u, update_u, new_u), (reset_h, update_h, new_h) = drive.chunk(3, 1), recurrent.chunk(3, 1)
        reset, update = torch.sigmoid(reset_u + reset_h), torch.sigmoid(update_u + update_h)
        new = torch.tanh(new_u + reset * new_h)
        out = new + update * (h - new)
        return out if noise is None else out + noise


class LSTM(Recurrent):
    """Long short-term memory; the flat state is (h, c), and noise is added to both."""

    spec: LSTMSpec

    def __init__(self, spec: LSTMSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs, nn.LSTM(inputs, spec.hidden, batch_first=True))

    @property
    def parts(self) -> Mapping[str, slice]:
        n = self.spec.hidden
        return {"h": slice(0, n), "c": slice(n, 2 * n)}

    def advance(self, h: Tensor, drive: Tensor, noise: Tensor | None = None) -> Tensor:
        hidden, cell = h.chunk(2, 1)
        take, forget, new, give = (drive + self._recurrent(hidden)).chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(take) * torch.tanh(new)
        out = torch.cat([torch.sigmoid(give) * torch.tanh(cell), cell], 1)
        return out if noise is None else out + noise


class Rate(Dynamics):
    """Rate network in the potential form: x' = (1-α) x + α (W φ(x) + W_in u + b) + √(2α) σ ξ."""

    vectorises = True
    spec: RateSpec

    def __init__(self, spec: RateSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.weight_in = nn.Parameter(torch.empty(spec.hidden, inputs))
        self.weight = nn.Parameter(torch.empty(spec.hidden, spec.hidden))
        self.bias = nn.Parameter(torch.empty(spec.hidden))
        self.output = nn.Linear(spec.hidden, outputs)
        self.alpha = 1.0 if spec.tau is None else spec.dt / spec.tau
        if not self.weight.is_meta:
            initialise(spec.init, self.weight, [self.weight_in, self.bias], self.output)

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.spec.hidden)}

    def decode(self, exposed: Tensor) -> Tensor:
        return self.output(PHI[self.spec.nonlinearity](exposed))

    def noise(self, batch: int, steps: int, generator: torch.Generator | None = None) -> Tensor | None:
        if not self.spec.noise:
            return None
        shape, like = (batch, steps, self.spec.hidden), self.weight
        return self.spec.noise * torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        return self._advance(h, F.linear(u, self.weight_in, self.bias), noise)

    def unroll(self, x: Tensor) -> Tensor:
        drive = F.linear(x, self.weight_in, self.bias)
        h, states = self.initial_state(x.shape[0]), []
        for t in range(x.shape[1]):
            h = self._advance(h, drive[:, t], None)
            states.append(h)
        return torch.stack(states, 1)

    def _advance(self, h: Tensor, drive: Tensor, noise: Tensor | None) -> Tensor:
        new = torch.addmm(drive, PHI[self.spec.nonlinearity](h), self.weight.t())
        if self.alpha != 1.0:
            new = h + self.alpha * (new - h)
        return new if noise is None else new + math.sqrt(2 * self.alpha) * noise
