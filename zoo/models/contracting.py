"""Assemblies of networks that are stable by construction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.cells import Readable
from zoo.models.init import fill
from zoo.models.rate import PHI
from zoo.specs.models.contracting import ContractingSpec


class Contracting(Readable):
    """Network of contracting networks; noise is added to the state after each step.

    The weights that are trained are free, and those that act are made from them at each pass, so that no
    update of any learning rule makes it unstable.
    """

    vectorises = True
    spec: ContractingSpec

    def __init__(self, spec: ContractingSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        n, each = spec.hidden, spec.hidden // spec.subnetworks
        self.weight_in = nn.Parameter(torch.empty(n, inputs))
        self.within = nn.Parameter(torch.empty(spec.subnetworks, each, each))
        """Ŵ before its singular values are bounded, a block each subnetwork."""
        self.between = nn.Parameter(torch.empty(n, n))
        """S is what of it is skew and between subnetworks, before it is bounded."""
        self.metric = nn.Parameter(torch.zeros(n))
        """Logarithm of the diagonal of Φ."""
        self.bias = nn.Parameter(torch.empty(n))
        self.output = nn.Linear(n, outputs)
        self.constraint = None
        if not self.weight_in.is_meta:
            self._begin()
        recurrent = [(self, name) for name in ("within", "between", "metric")]
        self.fix(input=[(self, "weight_in")], recurrent=recurrent, bias=[(self, "bias")])

    @torch.no_grad()
    def _begin(self) -> None:
        init, bound = self.spec.init, self.spec.hidden**-0.5
        for value in (self.weight_in, self.bias, self.output.weight, self.output.bias):
            value.uniform_(-bound, bound)
        for block in self.within:
            fill(block, init, len(block) ** -0.5)
        fill(self.between, init, bound)
        self.output.weight.mul_(init.output_scale)

    @property
    def matrices(self) -> tuple[Tensor, Tensor]:
        """W and L, ``[to, from]``."""
        spec, each = self.spec, self.within.shape[-1]
        blocks = bounded(self.within, spec.singular)
        whole = torch.block_diag(*blocks.unbind(0))
        number = torch.arange(spec.hidden, device=blocks.device) // each
        skew = (self.between - self.between.mT) * (number[:, None] != number)
        ratio = torch.exp(self.metric - self.metric[:, None])  # Φ_j / Φ_i for the connection from j to i
        return whole * ratio, bounded(skew, spec.feedback) * ratio

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """Of states ``[…, hidden]``, in the norm in which each step brings them nearer: ‖Φ (x - y)‖."""
        scaled: Tensor = (one - other) * self.metric.exp()
        return scaled.norm(dim=-1)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        new = self._next(h, F.linear(u, self.weight_in, self.bias), torch.cat(self.matrices, 1))
        return new if noise is None else new + noise

    def unroll(self, x: Tensor) -> Tensor:
        weight, h, found = torch.cat(self.matrices, 1), self.initial_state(x.shape[0]), []
        for drive in F.linear(x, self.weight_in, self.bias).unbind(1):
            h = self._next(h, drive, weight)
            found.append(h)
        return torch.stack(found, 1)

    def _next(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        sent = torch.cat([PHI[self.spec.nonlinearity](h), h], 1)
        return torch.lerp(h, torch.addmm(drive, sent, weight.t()), self.spec.alpha)


def bounded(weight: Tensor, most: float) -> Tensor:
    """Matrices ``[…, n, n]``, scaled down where their largest singular value is above ``most``."""
    largest = torch.linalg.matrix_norm(weight, 2, keepdim=True)
    return weight * (most / largest.clamp_min(1e-12)).clamp_max(1)
