"""Recurrent networks: rate, Elman, GRU, LSTM. Each is a ``step``; most have a fused pass as well."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.cells import Cell, Readable, scan
from zoo.models.init import fill, initialise
from zoo.models.kernels import ElmanPass, RateWeights, rate_networks
from zoo.models.local import Activity, Potential
from zoo.models.scan import weighed
from zoo.models.symmetry import Units
from zoo.specs.models.recurrent import ElmanSpec, GRUSpec, LSTMSpec, RateSpec, RecurrentSpec

PHI = {"tanh": torch.tanh, "relu": torch.relu}


class Recurrent(Readable):
    """One recurrent layer, held by torch's module for it, and a linear readout of ``h``."""

    vectorises = True
    spec: RecurrentSpec
    fused: bool = True
    """Whether torch's kernels for whole sequences are used, which ``vmap`` does not go through."""

    def __init__(self, spec: RecurrentSpec, inputs: int, outputs: int, cell: nn.RNNBase) -> None:
        super().__init__(spec, inputs, outputs)
        self.cell = cell
        self.output = nn.Linear(spec.hidden, outputs)
        self.constraint = self.constrain()
        if not self.output.weight.is_meta:
            weight_in, weight, bias_in, bias = self._held
            initialise(spec.init, weight, [weight_in, bias_in, bias], self.output, self.constraint)
        self.fix(
            input=[(cell, "weight_ih_l0")],
            recurrent=[(cell, "weight_hh_l0")],
            bias=[(cell, "bias_ih_l0"), (cell, "bias_hh_l0")],
        )

    @property
    def plain(self) -> bool:
        """Whether weights act as they are held."""
        return self.constraint is None

    @property
    def _held(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        cell: Any = self.cell
        return cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input and recurrent weights that act, input and recurrent biases; gates stacked on axis 0."""
        weight_in, weight, bias_in, bias = self._held
        if self.constraint is not None:
            weight_in, weight = self.constraint.entering(weight_in), self.constraint.recurrent(weight)
        return weight_in, weight, bias_in, bias

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        weight_in, weight, bias_in, bias = self.weights
        return self.advance(h, F.linear(u, weight_in, bias_in), weight, bias, noise)

    @abstractmethod
    def advance(
        self, h: Tensor, drive: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """The next state from what the input gives the gates, ``[batch, gates × hidden]``, and the weights
        and biases of the state's part."""

    def unroll(self, x: Tensor) -> Tensor | None:
        if self.fused:
            return self.cell(x)[0] if self.plain else self._fused(x)
        weight_in, weight, bias_in, bias = self.weights
        h, states, part = self.initial_state(x.shape[0]), [], self.parts["h"]
        for drive in F.linear(x, weight_in, bias_in).unbind(1):
            h = self.advance(h, drive, weight, bias)
            states.append(h[:, part])
        return torch.stack(states, 1)

    def _fused(self, x: Tensor) -> Tensor:
        """By torch's kernel, with the weights that act."""
        cell = self.cell
        kernels: dict[str, Any] = {
            "RNN_TANH": torch.rnn_tanh,
            "RNN_RELU": torch.rnn_relu,
            "GRU": torch.gru,
            "LSTM": torch.lstm,
        }
        h = x.new_zeros(1, x.shape[0], cell.hidden_size)
        start: Any = (h, h) if cell.mode == "LSTM" else h
        return kernels[cell.mode](x, start, list(self.weights), True, 1, 0.0, False, False, True)[0]


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
        if spec.parametrisation == "ntk" and not self.output.weight.is_meta:
            self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Of the NTK parametrisation: weights as large as units have inputs more, and no biases."""
        weight_in, weight, bias_in, bias = self._held
        for each in (weight_in, self.output.weight):
            fill(each, self.spec.init.model_copy(update={"rank": None}), each.shape[1] ** -0.5)
            each.mul_(math.sqrt(each.shape[1]))
        weight.mul_(math.sqrt(self.spec.hidden))
        self.output.weight.mul_(self.spec.init.output_scale)
        for each in (bias_in, bias, self.output.bias):
            each.zero_()

    @property
    def plain(self) -> bool:
        return super().plain and self.spec.parametrisation == "standard"

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight_in, weight, bias_in, bias = super().weights
        if self.spec.parametrisation == "standard":
            return weight_in, weight, bias_in, bias
        return weight_in / math.sqrt(self.inputs), weight / math.sqrt(self.spec.hidden), bias_in, bias

    def features(self, exposed: Tensor) -> Tensor:
        ntk = self.spec.parametrisation == "ntk"
        return exposed / math.sqrt(self.spec.hidden) if ntk else exposed

    def local(self) -> Activity:
        return Activity(1.0, self.spec.nonlinearity)

    def acting(self) -> tuple[Tensor, Tensor, Tensor]:
        weight_in, weight, bias_in, bias = self.weights
        return weight_in, weight, bias_in + bias

    def advance(
        self, h: Tensor, drive: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        total = drive + F.linear(h, weight, bias)
        return PHI[self.spec.nonlinearity](total if noise is None else total + noise)

    def unroll(self, x: Tensor) -> Tensor | None:
        if not self.fused or x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
            return super().unroll(x)  # torch's own kernels are the faster ones on other devices
        weight_in, weight, bias_in, bias = self.weights
        drive = F.linear(x.transpose(0, 1), weight_in, bias_in + bias)
        states: Tensor = ElmanPass.apply(drive, weight, self.spec.nonlinearity == "relu")
        return states.transpose(0, 1)

    def symmetries(self) -> tuple[Units, ...]:
        names = ("cell.weight_ih_l0", "cell.bias_ih_l0", "cell.bias_hh_l0")
        return self.plain_units(names, "cell.weight_hh_l0")

    @classmethod
    def many(
        cls,
        specs: Sequence[ElmanSpec],
        weights: Mapping[str, Tensor],
        x: Tensor,
        noise: Tensor | None = None,
        states: bool = False,
    ) -> tuple[Tensor, Tensor | None] | None:
        if not specs[0].constraints.free or specs[0].parametrisation == "ntk":
            return None
        of = RateWeights(
            weights["cell.weight_ih_l0"],
            weights["cell.weight_hh_l0"],
            weights["cell.bias_ih_l0"] + weights["cell.bias_hh_l0"],
            weights["output.weight"],
            weights["output.bias"],
        )
        return rate_networks(of, x, specs[0].nonlinearity == "relu", noise, "rates" if states else None)


class GRU(Recurrent):
    """Gated recurrent unit; noise is added to the new state."""

    spec: GRUSpec

    def __init__(self, spec: GRUSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs, nn.GRU(inputs, spec.hidden, batch_first=True))

    def advance(
        self, h: Tensor, drive: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        recurrent = F.linear(h, weight, bias)
        (reset_u, update_u, new_u), (reset_h, update_h, new_h) = drive.chunk(3, 1), recurrent.chunk(3, 1)
        reset, update = torch.sigmoid(reset_u + reset_h), torch.sigmoid(update_u + update_h)
        new = torch.tanh(new_u + reset * new_h)
        out = new + update * (h - new)
        return out if noise is None else out + noise

    def jacobians(self, h: Tensor, u: Tensor) -> Tensor:
        weight_in, weight, bias_in, bias = self.weights
        driven, recurrent = F.linear(u, weight_in, bias_in), F.linear(h, weight, bias)
        (reset_u, update_u, new_u), (reset_h, update_h, new_h) = driven.chunk(3, 1), recurrent.chunk(3, 1)
        reset, update = torch.sigmoid(reset_u + reset_h), torch.sigmoid(update_u + update_h)
        new = torch.tanh(new_u + reset * new_h)
        inside = (1 - update) * (1 - new * new)
        of_reset, of_update = inside * new_h * reset * (1 - reset), (h - new) * update * (1 - update)
        found = weighed(torch.cat([of_reset, of_update, inside * reset], 1), weight)
        found.diagonal(dim1=1, dim2=2).add_(update)
        return found


class LSTM(Recurrent):
    """Long short-term memory; the flat state is (h, c), and noise is added to both."""

    spec: LSTMSpec

    def __init__(self, spec: LSTMSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs, nn.LSTM(inputs, spec.hidden, batch_first=True))

    @property
    def parts(self) -> Mapping[str, slice]:
        n = self.spec.hidden
        return {**super().parts, "c": slice(n, 2 * n)}

    def advance(
        self, h: Tensor, drive: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        hidden, cell = h.chunk(2, 1)
        take, forget, new, give = (drive + F.linear(hidden, weight, bias)).chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(take) * torch.tanh(new)
        out = torch.cat([torch.sigmoid(give) * torch.tanh(cell), cell], 1)
        return out if noise is None else out + noise

    def jacobians(self, h: Tensor, u: Tensor) -> Tensor:
        weight_in, weight, bias_in, bias = self.weights
        n, (hidden, cell) = self.spec.hidden, h.chunk(2, 1)
        total = F.linear(u, weight_in, bias_in) + F.linear(hidden, weight, bias)
        take, forget, new, give = total.chunk(4, 1)
        take, forget, new, give = take.sigmoid(), forget.sigmoid(), new.tanh(), give.sigmoid()
        seen = torch.tanh(forget * cell + take * new)
        through = give * (1 - seen * seen)
        of_gates = [take * (1 - take) * new, forget * (1 - forget) * cell, take * (1 - new * new)]
        found = h.new_zeros(len(h), 2 * n, 2 * n)
        found[:, n:, :n] = of_cell = weighed(torch.cat(of_gates, 1), weight[: 3 * n])
        found[:, :n, :n] = weighed(give * (1 - give) * seen, weight[3 * n :]).addcmul_(
            through[..., None], of_cell
        )
        found[:, n:, n:].diagonal(dim1=1, dim2=2).copy_(forget)
        found[:, :n, n:].diagonal(dim1=1, dim2=2).copy_(through * forget)
        return found


class Rate(Cell):
    """Rate network in the potential form: x' = (1-α) x + α (W φ(x) + W_in u + b) + √(2α) σ ξ."""

    spec: RateSpec

    def __init__(self, spec: RateSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        if spec.input_scale != 1 and not self.weight_in.is_meta:
            with torch.no_grad():
                self.weight_in.mul_(spec.input_scale)

    def features(self, exposed: Tensor) -> Tensor:
        return PHI[self.spec.nonlinearity](exposed)

    def symmetries(self) -> tuple[Units, ...]:
        return self.plain_units(("weight_in", "bias"), "weight")

    def noise(self, batch: int, steps: int, generator: torch.Generator | None = None) -> Tensor | None:
        if not self.spec.noise:
            return None
        shape, like = (batch, steps, self.spec.hidden), self.weight
        return self.spec.noise * torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    @classmethod
    def varies(cls, spec: RateSpec) -> frozenset[str]:
        return frozenset({"tau", "dt", "noise"} if spec.constraints.free else {"noise"})

    @classmethod
    def many(
        cls,
        specs: Sequence[RateSpec],
        weights: Mapping[str, Tensor],
        x: Tensor,
        noise: Tensor | None = None,
        states: bool = False,
    ) -> tuple[Tensor, Tensor | None] | None:
        if not specs[0].constraints.free:
            return None
        alpha = x.new_tensor([spec.alpha for spec in specs])
        of = RateWeights(
            weights["weight_in"],
            weights["weight"],
            weights["bias"],
            weights["output.weight"],
            weights["output.bias"],
            None if (alpha == 1).all() else alpha,
        )
        pushed = None if noise is None else (2 * alpha).sqrt()[:, None, None, None] * noise
        return rate_networks(of, x, specs[0].nonlinearity == "relu", pushed, "potentials" if states else None)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        return super().step(h, u, None if noise is None else math.sqrt(2 * self.spec.alpha) * noise)

    def advance(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        new = torch.addmm(drive, PHI[self.spec.nonlinearity](h), weight.t())
        return new if self.spec.alpha == 1 else torch.lerp(h, new, self.spec.alpha)

    def local(self) -> Potential:
        return Potential(self.spec.alpha, self.spec.nonlinearity)

    def unroll_noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        push = math.sqrt(2 / self.spec.alpha) * noise.transpose(0, 1)  # the same, as a part of the drive
        return scan(self.drive(x.transpose(0, 1)) + push, self.recurrent, self.local())
