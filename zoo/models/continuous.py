"""Cells in continuous time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.cells import Readable
from zoo.models.liquid_scan import LiquidScan
from zoo.specs.models.continuous import LTCSpec

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
    def acting(self) -> tuple[Tensor, Tensor]:
        """Conductances w and their pull w E that act among the units, ``[to, from]``."""
        weight: Tensor = F.softplus(self.synapses.strength)
        reversal: Tensor = self.synapses.reversal
        if self.constraint is not None:
            reversal, mask = self.constraint.signed(reversal), self.constraint.connections(weight)
            weight = weight if mask is None else weight * mask
        return weight, weight * reversal

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        pull, total, capacity = self._driven(u)
        weight, toward = self.acting
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
        weight, toward = self.acting
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


def unsoftplus(value: Tensor) -> Tensor:
    """What softplus makes ``value`` of."""
    return value + torch.log(-torch.expm1(-value))
