"""What is remembered is true, and bounded."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.hub.server.remembering import Remembered, identity


def test_a_fact_is_found_once_while_its_stamp_holds() -> None:
    asked = []
    facts: Remembered[int] = Remembered(10)

    def find() -> int:
        asked.append(1)
        return len(asked)

    assert [facts.get("a", stamp, find) for stamp in (1, 1, 2, 2, 1)] == [1, 1, 2, 2, 3]
    assert facts.known("a", 1) == 3
    assert facts.known("a", 2) is None
    assert facts.known("b", 1) is None


def test_the_oldest_go_when_all_weigh_too_much() -> None:
    facts: Remembered[bytes] = Remembered(100, len)
    for number in range(20):
        facts.get(number, None, lambda: bytes(30))
    assert [number for number in range(20) if facts.known(number, None)] == [17, 18, 19]
    facts.get("large", None, lambda: bytes(1000))
    assert [number for number in range(20) if facts.known(number, None)] == []
    facts.get(0, None, lambda: bytes(30))
    assert facts.known("large", None) is None


def test_a_file_that_is_replaced_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert identity(path) is None
    assert identity(path / "inside") is None
    path.write_text("1")
    before = identity(path)
    assert identity(path) == before
    (tmp_path / "new").write_text("2")
    os.replace(tmp_path / "new", path)
    assert identity(path) != before
