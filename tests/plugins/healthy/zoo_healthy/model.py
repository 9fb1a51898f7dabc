"""What it becomes."""

from collections.abc import Mapping

from torch import Tensor, nn

from zoo.models.dynamics import Dynamics
from zoo_healthy.spec import LeakyIntegratorSpec


class LeakyIntegrator(Dynamics):
    """h' = (1 - leak) h + W u."""

    spec: LeakyIntegratorSpec

    def __init__(self, spec: LeakyIntegratorSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.input = nn.Linear(inputs, spec.units)
        self.output = nn.Linear(spec.units, outputs)

    @property
    def parts(self) -> Mapping[str, slice]:
        return {"h": slice(0, self.spec.units)}

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        return (1 - self.spec.leak) * h + self.input(u) + (0 if noise is None else noise)

    def decode(self, exposed: Tensor) -> Tensor:
        return self.output(exposed)
