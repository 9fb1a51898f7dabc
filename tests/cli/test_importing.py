"""``zoo import`` as a user meets it."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import NAMES, Theirs

from zoo.cli import main

SPEC = """\
spec: experiment/1
name: theirs
model: {kind: gru, hidden: 6}
task: {kind: flip-flop, steps: 12}
record: {evaluation: {trials: 16}}
claims:
  - {metric: test/sign_accuracy, at_least: 0.99, source: {kind: paper, where: Table 1}}
"""
KNOWN = ("--source", "Theirs et al. 2020", "--licence", "MIT")


Command = Callable[..., "pytest.CaptureResult[str]"]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """``command("import", …, code=2)`` runs it in this process, in an empty folder; it should end with 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which the command replaces

    def run(*arguments: str, code: int = 0) -> pytest.CaptureResult[str]:
        monkeypatch.setattr(sys, "argv", ["zoo", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert (ended.value.code or 0) == code, found
        return found

    return run


def test_weights_are_imported_and_used_by_other_commands(command: Command, tmp_path: Path) -> None:
    torch.save({"state_dict": Theirs().state_dict()}, tmp_path / "weights.pt")
    (tmp_path / "theirs.yaml").write_text(SPEC)
    begin = ("import", "weights.pt", "--spec", "theirs.yaml", *KNOWN, "--output", "made")
    refused = command(*begin, code=2).err
    assert "missing cell.weight_ih_l0 [18, 3]" in refused
    assert "  cell.weight_ih_l0: {tensor: 'rnn.weight_ih_l0'}" in refused
    assert not (tmp_path / "made").exists()
    (tmp_path / "map.yaml").write_text(NAMES)
    shown = command(*begin, "--map", "map.yaml", code=3).out  # the claim of the spec fails
    for text in ("rnn.weight_ih_l0", "18, 3", "looked into 'state_dict'", "FAILS", "zoo publish"):
        assert text in shown
    command("publish", "./made")
    assert "gru on flip-flop" in command("run", "theirs").out
    assert "holds" in command("verify", "theirs", "--metrics").out


def test_a_recording_is_imported_under_the_other_name_of_the_command(
    command: Command, tmp_path: Path
) -> None:
    np.save(tmp_path / "monday.npy", np.random.default_rng(0).normal(size=(10, 20, 3)).cumsum(1))
    made = command("adopt", "monday.npy", *KNOWN, "--output", "made", "--held-out", "0.5", "--json")
    record = json.loads(made.out)["record"]
    assert (record["name"], record["stopped"], record["license"]) == ("monday", ["imported"], "MIT")
    assert "recording on recorded, 20 steps × 3 units" in command("run", "./made").out
    assert "holds" in command("verify", "./made", "--metrics").out
    unknown = ("--source", "us", "--licence", "ours", "--output", "none")
    assert "no SPDX licence" in command("import", "monday.npy", *unknown, code=2).err
