"""The kinds that ship with the zoo: the line to add when there is a new one."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """Where a kind's spec class and its implementation live, as ``"module:attribute"``."""

    spec: str
    implementation: str


BUILTIN: dict[str, dict[str, Kind]] = {
    "models": {
        "rate": Kind("zoo.specs.models.recurrent:RateSpec", "zoo.models.recurrent:Rate"),
        "elman": Kind("zoo.specs.models.recurrent:ElmanSpec", "zoo.models.recurrent:Elman"),
        "gru": Kind("zoo.specs.models.recurrent:GRUSpec", "zoo.models.recurrent:GRU"),
        "lstm": Kind("zoo.specs.models.recurrent:LSTMSpec", "zoo.models.recurrent:LSTM"),
    },
    "tasks": {
        "flip-flop": Kind("zoo.specs.tasks.memory:FlipFlopSpec", "zoo.tasks.memory:FlipFlop"),
        "sine": Kind("zoo.specs.tasks.dynamics:SineSpec", "zoo.tasks.dynamics:Sine"),
    },
    "learners": {
        "backprop": Kind("zoo.specs.learners.backprop:BackpropSpec", "zoo.learners.backprop:Backprop"),
    },
    "analyses": {
        "cka": Kind("zoo.specs.analyses.geometry:CKASpec", "zoo.analysis.geometry.cka:CKA"),
        "procrustes": Kind(
            "zoo.specs.analyses.geometry:ProcrustesSpec", "zoo.analysis.geometry.procrustes:Procrustes"
        ),
        "rsa": Kind("zoo.specs.analyses.geometry:RSASpec", "zoo.analysis.geometry.rsa:RSA"),
        "dsa": Kind("zoo.specs.analyses.dynamics:DSASpec", "zoo.analysis.dynamics.dsa:DSA"),
    },
}
