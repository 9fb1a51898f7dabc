"""The page of tasks says what there is: every kind is on it, and every line of YAML is a task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from zoo import registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
FENCES = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
TASKS = [
    text for fence in FENCES for text in ([fence] if fence.startswith("kind") else fence.strip().splitlines())
]


@pytest.mark.parametrize("text", TASKS)
def test_each_line_is_a_task(text: str) -> None:
    document = yaml.safe_load(text)
    assert registry.spec_class("tasks", document["kind"]).model_validate(document).kind == document["kind"]


def test_every_kind_is_there() -> None:
    named = set(re.findall(r"`([a-z0-9-]+)`", PAGE.read_text(encoding="utf-8")))
    assert set(registry.BUILTIN["tasks"]) <= named
