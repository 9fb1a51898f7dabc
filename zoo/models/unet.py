"""A sampler of images: denoising diffusion by a U-Net."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.diffusion import Diffusion
from zoo.specs.models.diffusion import UNetDiffusionSpec


class UNetDiffusion(Diffusion):
    """Blocks on the way down, a bottleneck, and blocks on the way up with skips (Ronneberger et al. 2015)."""

    spec: UNetDiffusionSpec

    def __init__(self, spec: UNetDiffusionSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.side = round(outputs**0.5)
        widths, wide, groups = spec.channels, 2 * spec.channels[-1], spec.groups
        self.embedding = nn.Sequential(nn.Linear(self.features, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.first = nn.Conv2d(1, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Block(width, width, wide, groups) for width in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(above, below, 3, 2, 1) for above, below in pairwise(widths))
        self.middle = nn.ModuleList(Block(widths[-1], widths[-1], wide, groups) for _ in range(2))
        self.attention = Attention(widths[-1], groups) if spec.attention else None
        self.up = nn.ModuleList(Block(2 * width, width, wide, groups) for width in widths)
        self.grow = nn.ModuleList(nn.Conv2d(below, above, 3, padding=1) for above, below in pairwise(widths))
        self.norm = nn.GroupNorm(groups, widths[0])
        self.last = nn.Conv2d(widths[0], 1, 3, padding=1)

    @property
    def inner_sites(self) -> tuple[str, ...]:
        return ("latent", "middle")

    def predict(self, x: Tensor, level: Tensor, condition: Tensor, known: Tensor | None = None) -> Tensor:
        wide = F.silu(self.embedding(self.encoded(level, condition, known)))
        value = self.first(x.view(-1, 1, self.side, self.side))
        skips = []
        for k, block in enumerate(self.down):
            if k:
                value = self.shrink[k - 1](value)
            value = block(value, wide)
            skips.append(value)
        value = skips[-1] = self._site("latent", value)
        value = self.middle[0](value, wide)
        if self.attention is not None:
            value = self.attention(value)
        value = self._site("middle", self.middle[1](value, wide))
        for k in reversed(range(len(self.up))):
            value = self.up[k](torch.cat([value, skips[k]], 1), wide)
            if k:
                value = self.grow[k - 1](F.interpolate(value, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(value))).flatten(1)

    def _site(self, name: str, value: Tensor) -> Tensor:
        return self.at(name, value.flatten(1)).view_as(value)


class Block(nn.Module):
    """Two convolutions with a skip; encodings ``[batch, wide]`` scale and shift what lies between them."""

    def __init__(self, before: int, after: int, wide: int, groups: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(groups, width) for width in (before, after))
        self.layers = nn.ModuleList(nn.Conv2d(width, after, 3, padding=1) for width in (before, after))
        self.modulation = nn.Linear(wide, 2 * after)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, wide: Tensor) -> Tensor:
        scale, shift = self.modulation(wide)[:, :, None, None].chunk(2, 1)
        value = self.layers[0](F.silu(self.norms[0](x)))
        value = self.norms[1](value) * (1 + scale) + shift
        return self.skip(x) + self.layers[1](F.silu(value))


class Attention(nn.Module):
    """Self-attention among the places of an image, with one head, and a skip."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.ask = nn.Linear(channels, 3 * channels)
        self.answer = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        places = self.norm(x).flatten(2).mT
        query, key, value = self.ask(places).chunk(3, -1)
        weight = torch.softmax(query @ key.mT / query.shape[-1] ** 0.5, -1)
        return x + self.answer(weight @ value).mT.reshape(x.shape)
