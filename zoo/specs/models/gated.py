"""Cells with one gate: the update gate RNN and the minimal gated unit."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.specs.models.base import RecurrentSpec


class OneGateSpec(RecurrentSpec):
    """What cells with one gate share."""

    gate_bias: float = 0.0
    """Added to the initial biases of the gate."""


class UGRUSpec(OneGateSpec):
    """Update gate RNN (Collins, Sohl-Dickstein & Sussillo 2017, eqs. 5-7).

    h' = g h + (1-g) c with c = tanh(W_c h + V_c u + b_c) and g = σ(W_g h + V_g u + b_g).
    """

    kind: Literal["ugru"] = "ugru"
    offers: ClassVar[frozenset[str]] = frozenset({"step", "local"})


class MGUSpec(OneGateSpec):
    """Minimal gated unit (Zhou, Wu, Zhang & Zhou 2016, eqs. 6a-6c).

    h' = (1-f) h + f c with f = σ(W_f h + V_f u + b_f) and c = tanh(W_c (f h) + V_c u + b_c).
    """

    kind: Literal["mgu"] = "mgu"
