"""Associative memories. Retrieval is their dynamics: a step is one sweep over the units.

What is stored is held in buffers: no gradient leads there. A cue is the input of the first step: inputs
displace the state, which begins at 0.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.models.base import Model
from zoo.models.dynamics import Dynamics
from zoo.models.layered import At, Layered
from zoo.models.storing import delta, hebb, pseudo_inverse
from zoo.specs.models.memory import DenseMemorySpec, HopfieldSpec, KeyValueMemorySpec

TIE = 1e-6
"""A field that is nearer to 0, relative to the largest that it could be, is a tie, not rounding."""


class Storing(Model):
    """A model that patterns are stored in. A new one gives ``store``."""

    @abstractmethod
    def store(self, rule: str, keys: Tensor, values: Tensor, rate: float = 1.0) -> dict[str, Tensor]:
        """Its tensors by name, when a rule (the kind of a learner) has stored these.

        Keys ``[pattern, inputs]``, values ``[pattern, outputs]``; several memories at once under ``vmap``.
        """


class Retrieving(Dynamics, Storing):
    """A memory that iterates; its units are its inputs and its outputs."""

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.inputs)}

    def decode(self, exposed: Tensor) -> Tensor:
        return exposed

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        new = self.sweep(h + u)
        return new if noise is None else new + noise

    @abstractmethod
    def sweep(self, state: Tensor) -> Tensor:
        """The state ``[batch, units]`` after all units were updated once."""


class Hopfield(Retrieving):
    """Signs of the fields, of all units at once or one after another."""

    spec: HopfieldSpec
    weight: Tensor

    def __init__(self, spec: HopfieldSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.register_buffer("weight", torch.zeros(inputs, inputs))

    def sweep(self, state: Tensor) -> Tensor:
        least = TIE * self.weight.abs().sum(1)
        if self.spec.update == "parallel":
            field = state @ self.weight.mT
            return torch.where(field.abs() > least, field.sign(), state)
        field, new = state @ self.weight.mT, []
        for unit, (old, weight) in enumerate(zip(state.unbind(1), self.weight.mT, strict=True)):
            now = field[:, unit]
            turned = torch.where(now.abs() > least[unit], now.sign(), old)
            field = field + (turned - old)[:, None] * weight
            new.append(turned)
        return torch.stack(new, 1)

    def energy(self, state: Tensor) -> Tensor:
        """``-h W h / 2`` of states ``[…, units]``, which a sequential sweep never raises (without
        self-coupling)."""
        return -0.5 * ((state @ self.weight.mT) * state).sum(-1)

    def store(self, rule: str, keys: Tensor, values: Tensor, rate: float = 1.0) -> dict[str, Tensor]:
        weight = hebb(keys, values) / self.inputs if rule == "hebb" else pseudo_inverse(keys, values)
        if not self.spec.self_coupling:
            weight = weight - torch.diag_embed(weight.diagonal(dim1=-2, dim2=-1))
        return {"weight": weight}


class DenseMemory(Retrieving):
    """Energies that fall more steeply towards each pattern than a quadratic one."""

    spec: DenseMemorySpec
    patterns: Tensor

    def __init__(self, spec: DenseMemorySpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.register_buffer("patterns", torch.zeros(spec.slots, inputs))

    def sweep(self, state: Tensor) -> Tensor:
        spec = self.spec
        if spec.energy == "softmax":
            return torch.softmax(spec.beta * (state @ self.patterns.mT), -1) @ self.patterns
        s = state.sign()
        overlap = s @ self.patterns.mT
        # The others being ±1, what turning unit i over would change follows from sums over patterns alone:
        # F(m) - F(m - 2 a), a = ξ_i s_i = ±1, is its mean over both a plus a times half its difference.
        keep, pull, fill = self._differences(overlap)
        turned = keep.sum(-1, keepdim=True) + s * (pull @ self.patterns)
        least = TIE * (keep.abs() + pull.abs()).sum(-1, keepdim=True)
        new = torch.where(turned < -least, -s, s)
        field = fill @ self.patterns  # of a unit without a state
        return torch.where(s == 0, field.sign() * (field.abs() > least), new)

    def _differences(self, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``F(m) - (F(m+2) + F(m-2)) / 2``, ``(F(m+2) - F(m-2)) / 2`` and ``F(m+1) - F(m-1)``, to a common
        factor."""
        if self.spec.energy == "exponential":
            beta = self.spec.beta
            # relative to the largest of an example, as the exponentials themselves leave every bound
            power = torch.exp(beta * (m - m.amax(-1, keepdim=True)))
            return (1 - math.cosh(2 * beta)) * power, math.sinh(2 * beta) * power, math.sinh(beta) * power
        m, one = m / self.inputs, 1 / self.inputs
        k = self.spec.degree
        up, down = (m + 2 * one) ** k, (m - 2 * one) ** k
        return m**k - (up + down) / 2, (up - down) / 2, (m + one) ** k - (m - one) ** k

    def energy(self, state: Tensor) -> Tensor:
        """``-Σ_μ F(ξ_μ · s)`` of signs ``[…, units]``, with F of the overlap (for the polynomial, of its
        share of the units); for the softmax, Ramsauer et al.'s eq. 2 without its constants."""
        overlap = state @ self.patterns.mT
        if self.spec.energy == "polynomial":
            return -((overlap / self.inputs) ** self.spec.degree).sum(-1)
        if self.spec.energy == "exponential":
            return -torch.exp(self.spec.beta * overlap).sum(-1)
        return 0.5 * state.square().sum(-1) - torch.logsumexp(self.spec.beta * overlap, -1) / self.spec.beta

    def store(self, rule: str, keys: Tensor, values: Tensor, rate: float = 1.0) -> dict[str, Tensor]:
        return {"patterns": keys}


class KeyValueMemory(Layered, Storing):
    """The value that a matrix gives for a key."""

    spec: KeyValueMemorySpec
    weight: Tensor

    def __init__(self, spec: KeyValueMemorySpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.register_buffer("weight", torch.zeros(outputs, inputs))

    @property
    def hidden(self) -> tuple[str, ...]:
        return ("value",)

    def compute(self, x: Tensor, at: At) -> Tensor:
        return at("value", x @ self.weight.mT)

    def store(self, rule: str, keys: Tensor, values: Tensor, rate: float = 1.0) -> dict[str, Tensor]:
        if rule == "delta-rule":
            return {"weight": delta(self.weight, keys, values, rate)}
        return {"weight": (hebb if rule == "hebb" else pseudo_inverse)(keys, values)}
