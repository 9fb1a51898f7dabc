"""Cells in continuous time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.cells import Readable
from zoo.models.init import fill
from zoo.models.liquid_scan import LiquidScan
from zoo.specs.models.continuous import LTCSpec, NeuralODESpec

STEEP, MIDDLE, STRONG = (3.0, 8.0), (0.3, 0.8), (0.001, 1.0)
"""Ranges that s, m and w begin in: those of the authors' code, as are the next ones."""
CAPACITY, LEAK, REST = (0.4, 0.6), (0.001, 1.0), (-0.2, 0.2)
EXCITATORY = 2 / 3
"""Share of synapses with E = 1, and not -1; half of those from inputs."""


class Synapses(nn.Module):
    """Conductances that sources open: w σ(s (v - m)), each with a potential E that it pulls to."""

    def __init__(self, targets: int, sources: int, each: bool) -> None:
        super().__init__()
        gate = (targets, sources) if each else (sources,)
        self.strength = nn.Parameter(torch.empty(targets, sources))
        """w before softplus, ``[target, source]``."""
        self.reversal = nn.Parameter(torch.empty(targets, sources))
        """E."""
        self.slope = nn.Parameter(torch.empty(gate))
        """s, of each synapse or of each source."""
        self.middle = nn.Parameter(torch.empty(gate))
        """m."""

    @torch.no_grad()
    def begin(self, gain: float, excitatory: float) -> None:
        """Draws initial values."""
        self.strength.uniform_(*STRONG).mul_(gain)
        self.strength.copy_(unsoftplus(self.strength))
        self.reversal.copy_(torch.where(torch.rand_like(self.reversal) < excitatory, 1.0, -1.0))
        self.slope.uniform_(*STEEP)
        self.middle.uniform_(*MIDDLE)


class LTC(Readable):
    """Liquid time-constant network; noise is added to the potentials after each step."""

    vectorises = True
    spec: LTCSpec

    def __init__(self, spec: LTCSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        n = spec.hidden
        self.input = Synapses(n, inputs, each=True)
        self.synapses = Synapses(n, n, each=spec.gating == "synapse")
        self.capacity = nn.Parameter(torch.empty(n))
        """c before softplus."""
        self.leak = nn.Parameter(torch.empty(n))
        """g before softplus."""
        self.rest = nn.Parameter(torch.empty(n))
        """V."""
        self.output = nn.Linear(n, outputs)
        self.constraint = self.constrain()
        if not self.leak.is_meta:
            self._begin()
        every = ("strength", "reversal", "slope", "middle")
        self.fix(
            input=[(self.input, name) for name in every],
            recurrent=[(self.synapses, name) for name in every],
            bias=[(self, name) for name in ("capacity", "leak", "rest")],
        )

    @torch.no_grad()
    def _begin(self) -> None:
        init, bound = self.spec.init, self.spec.hidden**-0.5
        self.input.begin(1.0, 0.5)
        self.synapses.begin(init.gain, EXCITATORY)
        self.capacity.copy_(unsoftplus(self.capacity.uniform_(*CAPACITY)))
        self.leak.copy_(unsoftplus(self.leak.uniform_(*LEAK)))
        self.rest.uniform_(*REST)
        self.output.weight.uniform_(-bound, bound).mul_(init.output_scale)
        self.output.bias.uniform_(-bound, bound)

    @property
    def matrices(self) -> tuple[Tensor, Tensor]:
        """Conductances w and their pull w E that act among the units, ``[to, from]``."""
        weight: Tensor = F.softplus(self.synapses.strength)
        reversal: Tensor = self.synapses.reversal
        if self.constraint is not None:
            reversal, mask = self.constraint.signed(reversal), self.constraint.connections(weight)
            weight = weight if mask is None else weight * mask
        return weight, weight * reversal

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        pull, total, capacity = self._driven(u)
        weight, toward = self.matrices
        slope, middle = self.synapses.slope, self.synapses.middle
        for _ in range(self.spec.unfolds):
            if self.spec.gating == "neuron":
                opened = torch.sigmoid(slope * (h - middle))
                pulled, sum_ = opened @ toward.T, opened @ weight.T
            else:
                opened = torch.sigmoid(slope * (h[:, None] - middle))
                pulled, sum_ = (opened * toward).sum(-1), (opened * weight).sum(-1)
            h = (capacity * h + pull + pulled) / (total + sum_)
        return h if noise is None else h + noise

    def unroll(self, x: Tensor) -> Tensor:
        pull, total, capacity = self._driven(x.transpose(0, 1))
        weight, toward = self.matrices
        slope = self.synapses.slope
        states: Tensor = LiquidScan.apply(
            pull, total, capacity, slope, slope * self.synapses.middle, toward, weight, self.spec.unfolds
        )[0]
        return states.transpose(0, 1)

    def _driven(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the input and the leak add to the numerator and, with c, to the denominator, ``[…, hidden]``;
        and c over the time of a solver step, ``[hidden]``."""
        opened = torch.sigmoid(self.input.slope * (u[..., None, :] - self.input.middle))
        weight = F.softplus(self.input.strength)
        if self.constraint is not None:
            weight = self.constraint.entering(weight)
        leak, capacity = F.softplus(self.leak), F.softplus(self.capacity) * (self.spec.unfolds / self.spec.dt)
        pull = torch.einsum("...ji,ji->...j", opened, weight * self.input.reversal)
        total = torch.einsum("...ji,ji->...j", opened, weight)
        return pull + leak * self.rest, total + leak + capacity, capacity


class NeuralODE(Readable):
    """State of a differential equation of two layers; noise is added to the state after each step."""

    vectorises = True
    spec: NeuralODESpec

    def __init__(self, spec: NeuralODESpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.weight_in = nn.Parameter(torch.empty(spec.width, inputs))
        self.inner = nn.Parameter(torch.empty(spec.width, spec.hidden))
        """W₁."""
        self.bias = nn.Parameter(torch.empty(spec.width))
        """b₁."""
        self.outer = nn.Parameter(torch.empty(spec.hidden, spec.width))
        """W₂."""
        self.shift = nn.Parameter(torch.empty(spec.hidden))
        """b₂."""
        self.output = nn.Linear(spec.hidden, outputs)
        self.constraint = None
        if not self.inner.is_meta:
            self._begin()
        self.fix(
            input=[(self, "weight_in")],
            recurrent=[(self, "inner"), (self, "outer")],
            bias=[(self, "bias"), (self, "shift")],
        )

    @torch.no_grad()
    def _begin(self) -> None:
        init, narrow, wide = self.spec.init, self.spec.hidden**-0.5, self.spec.width**-0.5
        for value in (self.weight_in, self.bias, self.output.weight, self.output.bias):
            value.uniform_(-narrow, narrow)
        self.shift.uniform_(-wide, wide)
        fill(self.inner, init, narrow)
        fill(self.outer, init, wide)
        self.output.weight.mul_(init.output_scale)

    def field(self, h: Tensor, drive: Tensor) -> Tensor:
        """dh/dt ``[batch, hidden]`` where the input gives the layer ``drive`` ``[batch, width]``."""
        slope = torch.addmm(self.shift, torch.tanh(torch.addmm(drive, h, self.inner.t())), self.outer.t())
        return slope if self.spec.tau is None else slope - h / self.spec.tau

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        h = self._flow(h, F.linear(u, self.weight_in, self.bias))
        return h if noise is None else h + noise

    def unroll(self, x: Tensor) -> Tensor:
        h, found = self.initial_state(x.shape[0]), []
        for drive in F.linear(x, self.weight_in, self.bias).unbind(1):
            h = self._flow(h, drive)
            found.append(h)
        return torch.stack(found, 1)

    def _flow(self, h: Tensor, drive: Tensor) -> Tensor:
        size = self.spec.dt / self.spec.unfolds
        for _ in range(self.spec.unfolds):
            first = self.field(h, drive)
            if self.spec.solver == "euler":
                h = h + size * first
                continue
            second = self.field(h + size / 2 * first, drive)
            if self.spec.solver == "midpoint":
                h = h + size * second
                continue
            third = self.field(h + size / 2 * second, drive)
            fourth = self.field(h + size * third, drive)
            h = h + size / 6 * (first + 2 * (second + third) + fourth)
        return h


def unsoftplus(value: Tensor) -> Tensor:
    """What softplus makes ``value`` of."""
    return value + torch.log(-torch.expm1(-value))
