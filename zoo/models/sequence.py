"""What sequence models share: the readout."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.specs.models.sequence import SequenceSpec


class Readout(nn.Module):
    """A layer normalisation, hidden layers if any, and a linear map: ``[…, width]`` → ``[…, outputs]``."""

    def __init__(self, spec: SequenceSpec, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(spec.width)
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in pairwise((spec.width, *spec.readout, outputs))
        )

    def forward(self, stream: Tensor) -> Tensor:
        first, *others = self.layers
        y = first(self.norm(stream))
        for layer in others:
            y = layer(F.gelu(y))
        return y
