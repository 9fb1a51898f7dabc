"""Bilinear networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.cells import Readable
from zoo.models.init import initialise
from zoo.models.multiplicative import MultiplicativeScan, normalised
from zoo.specs.models.bilinear import BilinearSpec


class Bilinear(Readable):
    """h' = (Σ_k u_k W_k) h, with a linear network beside it (``affine``) and of length 1 (``normalise``)."""

    vectorises = True
    spec: BilinearSpec

    def __init__(self, spec: BilinearSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        n, blocks = spec.hidden, inputs + spec.affine
        self.weight = nn.Parameter(torch.empty(blocks * n, n))
        """W_k for each input, then W, one under the other."""
        self.start = nn.Parameter(torch.empty(n))
        self.weight_in = nn.Parameter(torch.empty(n, inputs)) if spec.affine else None
        self.bias = nn.Parameter(torch.empty(n)) if spec.affine else None
        self.output = nn.Linear(n, outputs)
        self.constraint = self.constrain()
        if not self.weight.is_meta:
            others = [] if self.weight_in is None or self.bias is None else [self.weight_in, self.bias]
            initialise(spec.init, self.weight, others, self.output, self.constraint)
            with torch.no_grad():
                self.start.normal_(0.0, n**-0.5)
        self.fix(
            input=[(self, "weight_in")] if spec.affine else [],
            recurrent=[(self, "weight")],
            bias=[(self, "bias")] if spec.affine else [],
        )

    @property
    def recurrent(self) -> Tensor:
        """The maps that act, ``[hidden, blocks × hidden]``: those of the inputs side by side, then W."""
        weight = self.weight if self.constraint is None else self.constraint.recurrent(self.weight)
        blocks = weight.unflatten(0, (-1, self.spec.hidden))
        return blocks.transpose(0, 1).flatten(1)

    def initial_state(self, batch: int) -> Tensor:
        start = normalised(self.start) if self.spec.normalise else self.start
        return start.expand(batch, -1)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        new = (self._factors(u)[..., None] * h[:, None]).flatten(1) @ self.recurrent.T
        drive = self._drive(u)
        new = new if drive is None else new + drive
        new = normalised(new) if self.spec.normalise else new
        return new if noise is None else new + noise

    def unroll(self, x: Tensor) -> Tensor:
        u, unit = x.transpose(0, 1), self.spec.normalise
        start = normalised(self.start) if unit else self.start
        made = MultiplicativeScan.apply(self._factors(u), self._drive(u), self.recurrent, start, unit)
        states: Tensor = made[0]
        return states.transpose(0, 1)

    def _factors(self, u: Tensor) -> Tensor:
        """What each map is multiplied by, ``[…, blocks]``."""
        return torch.cat([u, torch.ones_like(u[..., :1])], -1) if self.spec.affine else u

    def _drive(self, u: Tensor) -> Tensor | None:
        """What is added, ``[…, hidden]``."""
        return None if self.weight_in is None else F.linear(u, self.weight_in, self.bias)
