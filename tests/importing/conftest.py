"""What imports start from: a spec, and a call with everything that each of them needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign import HIDDEN

import zoo
from zoo.checkpoints.folder import CheckpointFolder


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., Path]:
    """``spec("gru", more)`` writes what their networks are and are measured on: no learner, few trials."""

    def write(kind: str = "gru", more: str = "", name: str = "theirs") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"spec: experiment/1\nname: {name}\nmodel: {{kind: {kind}, hidden: {HIDDEN}}}\n"
            "task: {kind: flip-flop, steps: 12, splits: {test: {steps: 15}}}\n"
            f"record: {{evaluation: {{trials: 16}}}}\n{more}"
        )
        return path

    return write


Adopt = Callable[..., CheckpointFolder]


@pytest.fixture
def adopt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adopt:
    """``adopt(files, …)`` with a source, a licence and a folder to write; without a portrait, for speed."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    def call(files: Any, **options: Any) -> CheckpointFolder:
        chosen = {"source": "Theirs et al. 2020", "licence": "MIT", "output": tmp_path / "made", **options}
        return zoo.adopt(files, **chosen)

    return call
