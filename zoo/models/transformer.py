"""Decoder transformers, with attention written out, so that any derivative goes through it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import AnalysisError
from zoo.models.layered import At, Layered
from zoo.models.sequence import Readout
from zoo.specs.models.transformer import TransformerSpec


class Transformer(Layered):
    """Decoder transformer: attention to the past, and an MLP for each time step."""

    vectorises = True
    spec: TransformerSpec

    def __init__(self, spec: TransformerSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.encoder = nn.Linear(inputs, spec.width)
        codes = nn.Parameter(torch.empty(spec.context, spec.width).normal_(0, 0.02))
        self.codes = codes if spec.position == "learned" else None
        self.layers = nn.ModuleList(Block(spec) for _ in range(spec.layers))
        self.output = Readout(spec, outputs)

    @property
    def hidden(self) -> tuple[str, ...]:
        parts = ("attention",) if self.spec.mlp is None else ("attention", "block")
        return ("embedding", *(f"{part}{k + 1}" for k in range(self.spec.layers) for part in parts))

    def compute(self, x: Tensor, at: At) -> Tensor:
        stream = at("embedding", self._embedded(x))
        for k, layer in enumerate(self.layers):
            block: Any = layer
            normed = block.norm(stream)
            base = normed if self.spec.residual == "normed" else stream
            stream = at(f"attention{k + 1}", base + block.attention(normed))
            if block.mlp is not None:
                stream = at(f"block{k + 1}", stream + block.mlp(stream))
        return self.output(stream)

    def _embedded(self, x: Tensor) -> Tensor:
        stream, steps = self.encoder(x), x.shape[1]
        if self.codes is not None:
            if steps > len(self.codes):
                raise AnalysisError(
                    f"the sequence has {steps} steps, and the transformer has learned the codes of "
                    f"{len(self.codes)} positions. Give shorter trials; or train one with 'model.context' of "
                    f"{steps}, or with sinusoidal codes or none, which have no end."
                )
            return stream + self.codes[:steps]
        return stream + sinusoids(steps, stream) if self.spec.position == "sinusoidal" else stream


class Block(nn.Module):
    """A layer: attention and, if wanted, an MLP, each of a normalised stream."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(spec.width)
        self.attention = Attention(spec)
        self.mlp = None if spec.mlp is None else Perceptron(spec.width, spec.mlp)
        with torch.no_grad():  # as many add to the stream, each adds less (Radford et al. 2019)
            added = spec.layers * (1 if self.mlp is None else 2)
            self.attention.back.weight.div_(math.sqrt(added))
            if self.mlp is not None:
                self.mlp.back.weight.div_(math.sqrt(added))


class Attention(nn.Module):
    """Causal scaled dot-product attention with several heads (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.into = nn.Linear(spec.width, 3 * spec.width)
        """Queries, keys and values."""
        self.back = nn.Linear(spec.width, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._split(part) for part in self.into(x).chunk(3, -1))
        mixed = self.weights(query, key) @ value
        return self.back(mixed.transpose(-3, -2).flatten(-2))

    def weights(self, query: Tensor, key: Tensor) -> Tensor:
        """How much each step attends to each other, ``[…, head, time, time]``; rows sum to 1."""
        scores = (query / math.sqrt(query.shape[-1])) @ key.mT
        steps = scores.shape[-1]
        future = torch.ones(steps, steps, dtype=torch.bool, device=scores.device).triu(1)
        return torch.softmax(scores.masked_fill(future, -math.inf), -1)

    def _split(self, x: Tensor) -> Tensor:
        """``[…, time, width]`` → ``[…, head, time, width of a head]``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)


class Perceptron(nn.Module):
    """W_2 GELU(W_1 N(r) + b_1) + b_2."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.into = nn.Linear(width, hidden)
        self.back = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.back(F.gelu(self.into(self.norm(x))))


def sinusoids(steps: int, like: Tensor) -> Tensor:
    """Codes ``[steps, width]`` of positions (Vaswani et al. 2017, section 3.5): sines, then cosines."""
    half = like.shape[-1] // 2
    rates = torch.exp(torch.arange(half, device=like.device) * (-math.log(10_000) / half))
    angles = torch.arange(steps, device=like.device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1).to(like.dtype)
