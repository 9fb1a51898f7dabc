"""Base of cells with one hidden layer, whose weights are held as they are used: an input map, a matrix, a
readout, and what constrains them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.constraints import Constraint, freeze
from zoo.models.dynamics import Dynamics
from zoo.models.init import initialise
from zoo.models.scan import Local, Scan, jacobians
from zoo.models.symmetry import Units
from zoo.specs.models.base import RecurrentSpec


class Readable(Dynamics):
    """A hidden layer with named areas, and a linear readout that constraints may narrow."""

    spec: RecurrentSpec
    output: nn.Linear
    constraint: Constraint | None

    def constrain(self) -> Constraint | None:
        """What holds the weights of the layer, drawn now; none where nothing does."""
        spec = self.spec.constraints
        return None if spec.free else Constraint(spec, self.spec.hidden)

    @property
    def parts(self) -> Mapping[str, slice]:
        areas = {} if self.constraint is None else self.constraint.areas
        return {"h": slice(0, self.spec.hidden), **areas}

    def plain_units(self, once: Sequence[str], recurrent: str) -> tuple[Units, ...]:
        """The units of one hidden layer without constraints: along the first axis of the tensors ``once``,
        both axes of ``recurrent`` and the second of the readout; none where constraints tell units apart."""
        if self.constraint is not None:
            return ()
        ends = ((recurrent, 0), (recurrent, 1), ("output.weight", 1))
        return (Units(self.spec.hidden, (*((name, 0) for name in once), *ends)),)

    def fix(self, **held: Sequence[tuple[nn.Module, str]]) -> None:
        """Makes buffers of what the spec says is not trained: the readout, or what is given as ``input``,
        ``recurrent`` and ``bias``, by owner and name."""
        held["readout"] = [(self.output, "weight"), (self.output, "bias")]
        for what in dict.fromkeys(self.spec.constraints.fixed):
            for owner, name in held[what]:
                freeze(owner, name)

    def local(self) -> Local | None:
        """What happens at each unit, where units interact through the weights alone; such a model's spec
        ``offers`` it to rules."""
        return None

    def acting(self) -> tuple[Tensor, Tensor, Tensor]:
        """What a = W_in u + W r(h) + b has of weights as they act, where the model is ``local``: input
        weights ``[gates × hidden, inputs]``, recurrent weights ``[gates × hidden, hidden]`` and biases
        ``[gates × hidden]``."""
        raise NotImplementedError(f"{type(self).__name__} is not local")

    def jacobians(self, h: Tensor, u: Tensor) -> Tensor | None:
        local = self.local()
        if local is None:
            return None
        weight_in, weight, bias = self.acting()
        return jacobians(h, F.linear(u, weight_in, bias), weight, local)

    def features(self, exposed: Tensor) -> Tensor:
        """What the linear readout reads, ``[…, hidden]``: the units themselves, or their rates."""
        return exposed

    def decode(self, exposed: Tensor) -> Tensor:
        exposed = self.features(exposed)
        if self.constraint is None:
            return self.output(exposed)
        return F.linear(exposed, self.constraint.leaving(self.output.weight), self.output.bias)


class Cell(Readable):
    """A cell driven by a linear map of its input. A new one gives ``advance``, and ``local`` if it can."""

    vectorises = True
    gates: ClassVar[int] = 1

    def __init__(self, spec: RecurrentSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        n, rows = spec.hidden, self.gates * spec.hidden
        self.weight_in = nn.Parameter(torch.empty(rows, inputs))
        self.weight = nn.Parameter(torch.empty(rows, n))
        self.bias = nn.Parameter(torch.empty(rows))
        self.output = nn.Linear(n, outputs)
        self.constraint = self.constrain()
        if not self.weight.is_meta:
            initialise(spec.init, self.weight, [self.weight_in, self.bias], self.output, self.constraint)
        self.fix(input=[(self, "weight_in")], recurrent=[(self, "weight")], bias=[(self, "bias")])

    @abstractmethod
    def advance(self, h: Tensor, drive: Tensor, weight: Tensor) -> Tensor:
        """The next state ``[batch, hidden]`` from what the input gives, ``[batch, gates × hidden]``, and the
        weights that act, ``[gates × hidden, hidden]``."""

    @property
    def recurrent(self) -> Tensor:
        """The weights that act among the units, ``[gates × hidden, hidden]``."""
        return self.weight if self.constraint is None else self.constraint.recurrent(self.weight)

    @property
    def entering(self) -> Tensor:
        """The input weights that act, ``[gates × hidden, inputs]``."""
        return self.weight_in if self.constraint is None else self.constraint.entering(self.weight_in)

    def acting(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.entering, self.recurrent, self.bias

    def drive(self, x: Tensor) -> Tensor:
        """What the input gives the gates, ``[…, gates × hidden]``."""
        return F.linear(x, self.entering, self.bias)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        new = self.advance(h, self.drive(u), self.recurrent)
        return new if noise is None else new + noise

    def unroll(self, x: Tensor) -> Tensor:
        local = self.local()
        if local is not None:
            return scan(self.drive(x.transpose(0, 1)), self.recurrent, local)
        weight, h, found = self.recurrent, self.initial_state(x.shape[0]), []
        for drive in self.drive(x).unbind(1):
            h = self.advance(h, drive, weight)
            found.append(h)
        return torch.stack(found, 1)


def scan(drive: Tensor, weight: Tensor, local: Local) -> Tensor:
    """States ``[batch, time, hidden]`` for drives ``[time, batch, gates × hidden]``."""
    states: Tensor = Scan.apply(drive, weight, local)[0]
    return states.transpose(0, 1)
