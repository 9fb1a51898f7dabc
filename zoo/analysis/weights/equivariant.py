"""A network whose inputs are the weights of perceptrons, and that no order of their units matters to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

Features = tuple[list[Tensor], list[Tensor]]
"""Of each layer: matrices ``[network, out, in, channel]``, biases ``[network, out, channel]``."""


class Equivariant(nn.Module):
    """Features of weights and biases from those of the same layer and its neighbours, so that a permutation
    of units permutes them alike (Zhou et al. 2023, the NF-Layer of neuron permutations)."""

    def __init__(self, layers: int, before: int, after: int) -> None:
        super().__init__()
        self.itself = nn.ModuleList(nn.Linear(before, after, bias=False) for _ in range(layers))
        self.rows = nn.ModuleList(nn.Linear(3 * before, after, bias=False) for _ in range(layers))
        self.columns = nn.ModuleList(nn.Linear(3 * before, after, bias=False) for _ in range(layers))
        self.whole = nn.ModuleList(nn.Linear(before, after) for _ in range(layers))
        self.biases = nn.ModuleList(nn.Linear(4 * before, after) for _ in range(layers))

    def forward(self, features: Features) -> Features:
        weights, biases = features
        into = [weight.mean(2) for weight in weights]  # [network, out, channel]
        out = [weight.mean(1) for weight in weights]  # [network, in, channel]
        found: Features = ([], [])
        for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            above = out[k + 1] if k + 1 < len(weights) else torch.zeros_like(bias)
            below = (into[k - 1], biases[k - 1]) if k else (torch.zeros_like(out[k]),) * 2
            whole = weight.mean((1, 2))
            rows = self.rows[k](torch.cat([into[k], bias, above], -1)) + self.whole[k](whole)[:, None]
            columns = self.columns[k](torch.cat([out[k], *below], -1))
            found[0].append(self.itself[k](weight) + rows[:, :, None] + columns[:, None])
            parts = [bias, into[k], above, whole[:, None].expand_as(bias)]
            found[1].append(self.biases[k](torch.cat(parts, -1)))
        return found


class Predictor(nn.Module):
    """One number from the weights of a perceptron; the same for every order of its hidden units."""

    def __init__(self, layers: int, channels: int, depth: int) -> None:
        super().__init__()
        widths = [1] + [channels] * depth
        self.blocks = nn.ModuleList(Equivariant(layers, before, after) for before, after in pairwise(widths))
        self.readout = nn.Linear(2 * layers * channels, 1)

    def forward(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
        """``[network]`` from ``[network, out, in]`` and ``[network, out]`` of each layer."""
        features: Features = ([w[..., None] for w in weights], [b[..., None] for b in biases])
        for block in self.blocks:
            matrices, vectors = block(features)
            features = ([m.relu() for m in matrices], [v.relu() for v in vectors])
        means = [m.mean((1, 2)) for m in features[0]] + [v.mean(1) for v in features[1]]
        prediction: Tensor = self.readout(torch.cat(means, -1))[:, 0]
        return prediction


def fitted(
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    target: Tensor,
    *,
    channels: int,
    depth: int,
    epochs: int,
    rate: float,
    seed: int,
) -> Predictor:
    """A predictor that has been trained to the least squared error, on all networks at each step."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        made = Predictor(len(weights), channels, depth)
    optimizer = torch.optim.Adam(made.parameters(), rate)
    with torch.enable_grad():
        for _ in range(epochs):
            optimizer.zero_grad()
            (made(weights, biases) - target).square().mean().backward()
            optimizer.step()
    return made.eval()
