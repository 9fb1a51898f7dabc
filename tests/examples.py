"""Small experiments that tests of every room start from."""

from __future__ import annotations

from typing import Any

from zoo.specs.experiment import ExperimentSpec

MODELS: dict[str, dict[str, Any]] = {
    "elman": {"kind": "elman", "hidden": 7},
    "elman-relu": {"kind": "elman", "hidden": 7, "nonlinearity": "relu"},
    "gru": {"kind": "gru", "hidden": 7},
    "lstm": {"kind": "lstm", "hidden": 7},
    "rate": {"kind": "rate", "hidden": 7},
    "rate-leaky": {"kind": "rate", "hidden": 7, "tau": 0.1, "dt": 0.02, "noise": 0.1, "nonlinearity": "relu"},
}
TASKS: dict[str, dict[str, Any]] = {
    "flip-flop": {"kind": "flip-flop", "bits": 2, "steps": 12, "splits": {"test": {"steps": 20}}},
    "sine": {"kind": "sine", "frequencies": [1.0, 2.5], "steps": 15},
}
LEARNERS: dict[str, dict[str, Any]] = {
    "backprop": {"kind": "backprop"},
    "backprop-clipped": {
        "kind": "backprop",
        "clip_norm": 0.5,
        "optimizer": {"kind": "adamw", "lr": 3e-3},
        "schedule": {"kind": "cosine", "warmup": 3},
        "activity_penalty": 0.01,
    },
    "backprop-sgd": {
        "kind": "backprop",
        "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9},
        "schedule": {"kind": "step", "every": 5},
    },
}


def experiment(
    model: str = "elman", task: str = "flip-flop", learner: str = "backprop", **changes: Any
) -> ExperimentSpec:
    """A tiny experiment; ``changes`` replace top-level fields."""
    document = {
        "name": "tiny",
        "model": MODELS[model],
        "task": TASKS[task],
        "learner": LEARNERS[learner],
        "train": {"steps": 12, "batch_size": 4, "validate_every": 5, "validation_trials": 8, "save_every": 5},
        "record": {
            "snapshots": {"base": 2},
            "ledger": {"split": "test", "trials": 6},
            "evaluation": {"splits": ["test"], "trials": 16},
        },
    }
    return ExperimentSpec.model_validate({**document, **changes})
