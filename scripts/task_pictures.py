"""Draws docs/tasks.png: a trial of each of some tasks, as `zoo trials` would. Run it when a task changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from zoo import registry
from zoo.analysis.figures import INK
from zoo.analysis.trials import draw_trial
from zoo.specs.problems import validate

ROOT = Path(__file__).resolve().parents[1]
SHOWN: list[tuple[str, dict[str, Any]]] = [
    ("multi-task: dly-anti", {"kind": "multi-task", "only": ["dly-anti"], "noise": 0.002}),
    ("multi-task: ctx-dly-dm1", {"kind": "multi-task", "only": ["ctx-dly-dm1"], "noise": 0.002}),
    ("evidence, 2 channels", {"kind": "evidence", "channels": 2, "coherence": [0.15]}),
    ("delayed-comparison", {"kind": "delayed-comparison"}),
    ("working-memory", {"kind": "working-memory", "distractors": 2}),
    ("go-no-go", {"kind": "go-no-go", "go_probability": 1.0}),
    ("flip-flop", {"kind": "flip-flop"}),
    ("sine, 2 contexts", {"kind": "sine", "contexts": 2}),
    ("head-direction", {"kind": "head-direction", "memory": 0.8}),
    ("path-integration", {"kind": "path-integration", "steps": 300}),
    ("modular-counter (parity)", {"kind": "modular-counter", "steps": 20}),
    ("word-problem", {"kind": "word-problem"}),
    ("regular-language", {"kind": "regular-language", "language": "tomita-7"}),
    ("dyck", {"kind": "dyck"}),
    ("copy, scattered", {"kind": "copy", "scattered": True, "length": 5}),
    ("associative-recall", {"kind": "associative-recall", "queries": 2}),
    ("adding", {"kind": "adding"}),
    ("chaos: lorenz", {"kind": "chaos", "observed": None, "steps": 300, "trajectories": 10}),
    ("chaos: mackey-glass", {"kind": "chaos", "system": "mackey-glass", "steps": 200, "trajectories": 10}),
    ("reach", {"kind": "reach"}),
]
COLUMNS = 4


def figure() -> Figure:
    """Inputs above, targets below, four tasks a row."""
    rows = -(-len(SHOWN) // COLUMNS)
    made = Figure(figsize=(2.7 * COLUMNS, 2.2 * rows), layout="constrained")
    for part, (title, fields) in zip(made.subfigures(rows, COLUMNS).flat, SHOWN, strict=False):
        spec = validate(registry.spec_class("tasks", fields["kind"]), fields)
        axes = part.subplots(2, 1, sharex=True)
        draw_trial(axes, registry.implementation("tasks", spec.kind)(spec), "test", 0)
        part.suptitle(title, color=INK, fontsize=9)
    return made


if __name__ == "__main__":
    figure().savefig(ROOT / "docs" / "tasks.png", dpi=80)
