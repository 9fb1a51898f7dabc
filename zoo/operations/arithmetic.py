"""Linear combinations of the weights of several networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from zoo.network import Network
from zoo.operations.base import Operation, alike, combined
from zoo.specs.operations.arithmetic import InterpolateSpec, TaskArithmeticSpec


class Interpolate(Operation):
    """Σ wᵢ θᵢ."""

    spec: InterpolateSpec

    def apply(self, parents: Sequence[Network]) -> Mapping[str, Tensor]:
        return combined(alike(parents), self.spec.shares(len(parents)))


class TaskArithmetic(Operation):
    """θ₀ + Σ λᵢ (θᵢ - θ₀)."""

    spec: TaskArithmeticSpec

    def apply(self, parents: Sequence[Network]) -> Mapping[str, Tensor]:
        factors = self.spec.factors(len(parents))
        return combined(alike(parents), (1 - sum(factors), *factors))
