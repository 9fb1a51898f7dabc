"""The command ``zoo record``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from zoo.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["zoo", "record", *arguments])
    try:
        return main() or 0
    except SystemExit as end:
        return int(end.code or 0)


def test_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = tmp_path / "made"
    options = ["--units", "4", "--held-out-units", "2", "--trials", "5", "--dt", "0.02", "--name", "seen"]
    given = ["--kind", "calcium", "-p", "decay=0.5", "--output", str(folder), "--json"]
    assert run(monkeypatch, "lif-decision/0", *options, *given) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["signal"], said["trials"], said["units"]) == ("seen", "fluorescence", 5, 4)
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["model"]["source"]["signal"]["decay"] == 0.5
    assert spec["task"]["held_out"] == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "nothing would be kept"),
        (("-p", "rate", "--output", "x"), "a parameter is field=value, not 'rate'"),
        (("-p", "rates=3", "--output", "x"), "signal.rates"),
        (("--kind", "voltage", "--output", "x"), "signal"),
        (("--units", "1000", "--output", "x"), "has 100 units"),
        (("--to", "x.h5", "--units", "3"), "should end in .nwb"),
    ],
)
def test_what_it_cannot_do_it_says(
    arguments: tuple[str, ...],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "--to" in arguments:
        pytest.importorskip("pynwb", reason="needs the extra nwb")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "lif-decision/0", *arguments) == 2
    assert why in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())
