"""Linear systems, simulated: one that is driven, one that commits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.models.systems import System
from zoo.specs.models.linear import DrivenLinearSpec, GivenMatrixSpec, SwitchingLinearSpec


class DrivenLinear(System):
    """x' = A x + ε M tanh(A x) + B u."""

    spec: DrivenLinearSpec
    dynamics: Tensor
    drive: Tensor

    def __init__(self, spec: DrivenLinearSpec, inputs: int, outputs: int) -> None:
        n = spec.dynamics.units
        super().__init__(spec, (inputs, outputs), (inputs, spec.observed or n), hidden=n)
        self.hold("dynamics", (n, n), self._draw_dynamics)
        self.hold("drive", (n, inputs), self._draw_drive)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        new = F.linear(h, self.dynamics)
        if self.spec.nonlinearity:
            straight, bent = new.tensor_split([self.spec.observed or 0], 1)
            new = torch.cat([straight, bent + self.spec.nonlinearity * torch.tanh(bent)], 1)
        new = new + F.linear(u, self.drive)
        return new if noise is None else new + noise

    def _draw_dynamics(self) -> Tensor:
        spec = self.spec.dynamics
        if isinstance(spec, GivenMatrixSpec):
            return torch.tensor(spec.rows, dtype=torch.float64)
        drawn = torch.randn(spec.units, spec.units, dtype=torch.float64, generator=_generator(spec.draw))
        return drawn * (spec.radius / torch.linalg.eigvals(drawn).abs().max())

    def _draw_drive(self) -> Tensor:
        n, spec, generator = self.hidden, self.spec.drive, _generator(self.spec.drive.draw)
        root = torch.randn(n, n, dtype=torch.float64, generator=generator)  # of the covariance
        white = torch.randn(n, self.inputs, dtype=torch.float64, generator=generator)
        return spec.scale * (root @ white)


class SwitchingLinear(System):
    """Leaky integrators that leak less, and hear less, once they are committed; their state has a clock."""

    spec: SwitchingLinearSpec
    basis: Tensor
    drive: Tensor

    def __init__(self, spec: SwitchingLinearSpec, inputs: int, outputs: int) -> None:
        n = spec.units
        super().__init__(spec, (inputs, outputs), (inputs, n), hidden=n)
        self.hold("basis", (n, n), lambda: torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q)
        self.hold("drive", (n, inputs), lambda: torch.randn(n, inputs))

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.hidden), "clock": slice(self.hidden, self.hidden + 1)}

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        (before, b), (after, c) = self.matrices(committed=False), self.matrices(committed=True)
        state, clock = h[:, : self.hidden], h[:, self.hidden :]
        state = torch.where(
            clock < self.spec.switch,
            F.linear(state, before) + F.linear(u, b),
            F.linear(state, after) + F.linear(u, c),
        )
        new = torch.cat([state, clock + 1], 1)
        return new if noise is None else new + noise

    def linear(self) -> tuple[Tensor, Tensor]:
        """A and B of the phase that it begins in."""
        return self.matrices(committed=self.spec.switch == 0)

    def matrices(self, committed: bool) -> tuple[Tensor, Tensor]:
        """A ``[units, units]`` and B ``[units, inputs]``, before the commitment or after it."""
        spec = self.spec
        slowest, gain = (spec.persistent, spec.gain) if committed else (spec.leaky, 1.0)
        rates = torch.arange(1, spec.units + 1, device=self.basis.device, dtype=self.basis.dtype)
        return (self.basis * (rates * (slowest / spec.units))) @ self.basis.T, gain * self.drive


def _generator(draw: int) -> torch.Generator:
    """One of many streams of random numbers that begin at this place in the experiment's."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, ())) ^ draw)
