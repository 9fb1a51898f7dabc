"""Diagonal state-space layers: linear recurrent units and S4D."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.diagonal import convolve, linear_scan
from zoo.models.dynamics import Dynamics
from zoo.models.sequence import Readout
from zoo.specs.models.statespace import LRUSpec, S4DSpec, StateSpaceSpec


class Diagonal(nn.Module, ABC):
    """A layer with a diagonal state h, ``[…, modes]`` complex, and outputs ``[…, width]``.

    A new one gives the system in discrete time; a faster way to the outputs (``outputs``) is optional.
    """

    @abstractmethod
    def factor(self) -> Tensor:
        """Λ, ``[modes]``, complex."""

    @abstractmethod
    def drive(self, z: Tensor) -> Tensor:
        """What inputs ``[…, width]`` add to the state, ``[…, modes]``, complex."""

    @abstractmethod
    def read(self, h: Tensor, z: Tensor) -> Tensor:
        """Outputs ``[…, width]`` of states and inputs."""

    def states(self, z: Tensor) -> Tensor:
        """All states ``[batch, time, modes]`` for inputs ``[batch, time, width]``, by a scan."""
        return linear_scan(self.drive(z.transpose(0, 1)), self.factor()).transpose(0, 1)

    def outputs(self, z: Tensor) -> Tensor:
        """All outputs ``[batch, time, width]``."""
        return self.read(self.states(z), z)


class StateSpace(Dynamics):
    """Blocks with a diagonal layer each; noise is added to the whole state."""

    vectorises = True
    spec: StateSpaceSpec

    def __init__(self, spec: StateSpaceSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.encoder = nn.Linear(inputs, spec.width)
        self.norms = nn.ModuleList(nn.LayerNorm(spec.width) for _ in range(spec.layers))
        self.layers = nn.ModuleList(self.layer() for _ in range(spec.layers))
        gates = spec.layers if spec.block == "gated" else 0
        self.gates = nn.ModuleList(nn.Linear(spec.width, 2 * spec.width) for _ in range(gates))
        self.output = Readout(spec, outputs)

    @abstractmethod
    def layer(self) -> Diagonal:
        """A new layer."""

    @property
    def parts(self) -> Mapping[str, slice]:
        width, units = self.spec.width, 2 * self.spec.modes
        ends = [width + k * units for k in range(self.spec.layers)]
        return {"stream": slice(0, width), **{f"h{k + 1}": slice(a, a + units) for k, a in enumerate(ends)}}

    def decode(self, exposed: Tensor) -> Tensor:
        return self.output(exposed)

    def step(self, h: Tensor, u: Tensor, noise: Tensor | None = None) -> Tensor:
        stream, new = self.encoder(u), []
        for k in range(self.spec.layers):
            layer, z = self._layer(k), self.norms[k](stream)
            state = layer.factor() * _complex(h[:, self.parts[f"h{k + 1}"]]) + layer.drive(z)
            stream = self._block(k, stream, layer.read(state, z))
            new.append(_real(state))
        out = torch.cat([stream, *new], 1)
        return out if noise is None else out + noise

    def unroll(self, x: Tensor) -> Tensor:
        stream = self.encoder(x)
        for k in range(self.spec.layers):
            stream = self._block(k, stream, self._layer(k).outputs(self.norms[k](stream)))
        return stream

    def unroll_whole(self, x: Tensor) -> Tensor:
        stream, states = self.encoder(x), []
        for k in range(self.spec.layers):
            layer, z = self._layer(k), self.norms[k](stream)
            state = layer.states(z)
            stream = self._block(k, stream, layer.read(state, z))
            states.append(_real(state))
        return torch.cat([stream, *states], 2)

    def _layer(self, k: int) -> Diagonal:
        found: Any = self.layers[k]
        return found

    def _block(self, k: int, stream: Tensor, y: Tensor) -> Tensor:
        if self.spec.block == "plain":
            return y
        value, gate = self.gates[k](F.gelu(y)).chunk(2, -1)  # F.glu has no second derivative under vmap
        return stream + value * torch.sigmoid(gate)


class LRULayer(Diagonal):
    """h' = Λ h + γ B z, y = Re(C h') + D z."""

    def __init__(self, spec: LRUSpec) -> None:
        super().__init__()
        n, width = spec.state, spec.width
        smallest, largest = spec.radius
        squared = torch.rand(n) * (largest**2 - smallest**2) + smallest**2  # uniform on the ring's area
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squared.clamp_min(1e-12))))
        self.theta = nn.Parameter(torch.log(spec.phase * torch.rand(n).clamp_min(1e-6)))
        # real parts, then imaginary ones
        self.weight_in = nn.Parameter(torch.randn(2 * n, width) / math.sqrt(2 * width))
        self.weight_out = nn.Parameter(torch.randn(width, 2 * n) / math.sqrt(n))
        self.through = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        gain = torch.sqrt(1 - squared)
        begin = {"lru": torch.log(gain), "exponential": gain, "none": None}[spec.normalisation]
        self.gamma = None if begin is None else nn.Parameter(begin)

    def factor(self) -> Tensor:
        return torch.polar(torch.exp(-torch.exp(self.nu)), torch.exp(self.theta))

    def drive(self, z: Tensor) -> Tensor:
        weight: Tensor = self.weight_in
        if self.gamma is not None:
            weight = weight * torch.exp(self.gamma).repeat(2)[:, None]
        return _complex(F.linear(z, weight).to(weight.dtype))

    def read(self, h: Tensor, z: Tensor) -> Tensor:
        real, imaginary = self.weight_out.chunk(2, 1)
        weight = torch.cat([real, -imaginary, self.through], 1)
        return F.linear(torch.cat([_real(h), z], -1), weight)


class S4DLayer(Diagonal):
    """h' = Ā h + B̄ z and y = 2 Re(C h') + D z for each channel; modes of a channel lie next to each other."""

    def __init__(self, spec: S4DSpec) -> None:
        super().__init__()
        width, n = spec.width, spec.state
        self.bilinear = spec.discretisation == "bilinear"
        low, high = (math.log(value) for value in spec.dt)
        self.log_dt = nn.Parameter(torch.rand(width, 1) * (high - low) + low)
        self.log_decay = nn.Parameter(torch.full((width, n), math.log(0.5)))
        number = torch.arange(n, dtype=torch.float32)
        frequency = (
            math.pi * number
            if spec.spectrum == "linear"
            else 2 * n / math.pi * (2 * n / (2 * number + 1) - 1)
        )
        self.frequency = nn.Parameter(frequency.repeat(width, 1))
        self.weight = nn.Parameter(torch.randn(2, width, n) * math.sqrt(0.5))  # C, real and imaginary
        self.through = nn.Parameter(torch.randn(width))

    def system(self) -> tuple[Tensor, Tensor]:
        """Ā and B̄, ``[width, modes of a channel]``."""
        dt, a = torch.exp(self.log_dt), torch.complex(-torch.exp(self.log_decay), self.frequency)
        if self.bilinear:
            below = 1 - dt / 2 * a
            return (1 + dt / 2 * a) / below, dt / below
        factor = torch.exp(dt * a)
        return factor, (factor - 1) / a

    def factor(self) -> Tensor:
        return self.system()[0].flatten()

    def drive(self, z: Tensor) -> Tensor:
        return (self.system()[1] * z.to(self.weight.dtype)[..., None]).flatten(-2)

    def read(self, h: Tensor, z: Tensor) -> Tensor:
        real, imaginary = self.weight
        state = h.unflatten(-1, real.shape)
        return 2 * (real * state.real - imaginary * state.imag).sum(-1) + self.through * z

    def kernel(self, steps: int) -> Tensor:
        """What an impulse gives, ``[width, steps]``, without D."""
        factor, drive = self.system()
        times = torch.arange(steps, device=factor.device, dtype=self.weight.dtype)
        powers = torch.exp(torch.log(factor)[..., None] * times)
        return 2 * torch.einsum("cn,cnt->ct", torch.complex(*self.weight) * drive, powers).real

    def outputs(self, z: Tensor) -> Tensor:
        signal = z.to(self.weight.dtype).transpose(1, 2)
        return convolve(signal, self.kernel(z.shape[1])).transpose(1, 2) + self.through * z


class LRU(StateSpace):
    """Linear recurrent units; whole sequences by a scan."""

    spec: LRUSpec

    def layer(self) -> LRULayer:
        return LRULayer(self.spec)


class S4D(StateSpace):
    """S4D layers; whole sequences by FFT."""

    spec: S4DSpec

    def layer(self) -> S4DLayer:
        return S4DLayer(self.spec)


def _complex(flat: Tensor) -> Tensor:
    """``[…, modes]`` of real parts followed by imaginary ones."""
    return torch.complex(*flat.chunk(2, -1))


def _real(h: Tensor) -> Tensor:
    return torch.cat([h.real, h.imag], -1)
