"""What happens at each unit of the cells that :mod:`zoo.models.scan` goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo.models.scan import tanh_

PHI = {"tanh": torch.tanh, "relu": torch.relu, "linear": lambda value: value}

Phi = Literal["tanh", "relu", "linear"]


@dataclass(frozen=True)
class Potential:
    """h' = (1-α) h + α a and r = φ(h): potentials that leak, and units that act by their rates."""

    alpha: float
    phi: Phi
    keeps: bool = False

    def acts(self, h: Tensor) -> Tensor:
        return PHI[self.phi](h)

    def becomes(self, h: Tensor, a: Tensor) -> Tensor:
        return torch.lerp(h, a, self.alpha)

    @property
    def direct(self) -> bool:
        return self.phi == "linear"

    def source(self, h: Tensor, out: Tensor) -> None:
        if self.phi == "relu":
            torch.clamp_min(h, 0, out=out)
        else:
            tanh_(out.copy_(h))

    def new(self, h: Tensor | None, a: Tensor, out: Tensor) -> None:
        if self.alpha != 1:
            a.mul_(self.alpha) if h is None else a.lerp_(h, 1 - self.alpha)

    def partials(
        self, h: Tensor, a: Tensor, sources: Tensor
    ) -> tuple[Tensor | float, Tensor | float, Tensor | None]:
        return 1 - self.alpha, self.alpha, None if self.direct else slope(self.phi, sources)


@dataclass(frozen=True)
class Activity:
    """h' = (1-α) h + α φ(a): activities that leak."""

    alpha: float
    phi: Phi
    direct: bool = True

    def acts(self, h: Tensor) -> Tensor:
        return h

    def becomes(self, h: Tensor, a: Tensor) -> Tensor:
        return torch.lerp(h, PHI[self.phi](a), self.alpha)

    @property
    def keeps(self) -> bool:
        return self.alpha != 1

    def source(self, h: Tensor, out: Tensor) -> None:
        raise NotImplementedError  # it is the state

    def new(self, h: Tensor | None, a: Tensor, out: Tensor) -> None:
        if self.phi == "relu":
            a.clamp_min_(0)
        elif self.phi == "tanh":
            tanh_(a)
        if self.keeps:
            torch.mul(a, self.alpha, out=out) if h is None else torch.lerp(h, a, self.alpha, out=out)

    def partials(
        self, h: Tensor, a: Tensor, sources: Tensor
    ) -> tuple[Tensor | float, Tensor | float, Tensor | None]:
        gain = self.alpha if self.phi == "linear" else slope(self.phi, a).mul_(self.alpha)
        return 1 - self.alpha, gain, None


@dataclass(frozen=True)
class Updated:
    """h' = g h + (1-g) c, with the candidate c = tanh(a_c) and the update gate g = σ(a_g)."""

    keeps: bool = True
    direct: bool = True

    def acts(self, h: Tensor) -> Tensor:
        return h

    def becomes(self, h: Tensor, a: Tensor) -> Tensor:
        candidate, gate = a.chunk(2, -1)
        return torch.lerp(torch.tanh(candidate), h, torch.sigmoid(gate))

    def source(self, h: Tensor, out: Tensor) -> None:
        raise NotImplementedError  # it is the state

    def new(self, h: Tensor | None, a: Tensor, out: Tensor) -> None:
        candidate, gate = a.chunk(2, -1)
        tanh_(candidate)
        gate.sigmoid_()
        torch.lerp(candidate, torch.zeros_like(candidate) if h is None else h, gate, out=out)

    def partials(
        self, h: Tensor, a: Tensor, sources: Tensor
    ) -> tuple[Tensor | float, Tensor | float, Tensor | None]:
        candidate, gate = a.chunk(2, -1)
        into = torch.empty_like(a)
        new, change = into.chunk(2, -1)
        torch.mul(1 - gate, 1 - candidate * candidate, out=new)
        torch.mul(h - candidate, gate * (1 - gate), out=change)
        return gate, into, None


def slope(phi: Phi, value: Tensor) -> Tensor:
    """φ' where φ is ``value``."""
    return (value > 0).to(value.dtype) if phi == "relu" else 1 - value * value
