"""Networks that were trained elsewhere, as their authors would save them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

HIDDEN = 6


class Theirs(nn.Module):
    """A recurrent layer of torch's and a readout: three inputs and outputs, as a flip-flop of three bits."""

    def __init__(self, kind: str = "gru", seed: int = 0, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(seed)
        layers: dict[str, Any] = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
        self.rnn = layers[kind](3, HIDDEN, batch_first=True, **options)
        self.fc = nn.Linear(HIDDEN, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0])


NAMES = "spec: mapping/1\nrename: {'rnn.{name}': 'cell.{name}', 'fc.{name}': 'output.{name}'}\n"
"""The mapping of their names to ours."""


def ours(model: Theirs) -> dict[str, Tensor]:
    """Their weights under our names."""
    return {
        key.replace("rnn.", "cell.").replace("fc.", "output."): value
        for key, value in model.state_dict().items()
    }
