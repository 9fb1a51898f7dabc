"""``zoo sweep`` and ``zoo status`` as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SPEC = """\
spec: experiment/1
name: tiny
model: {kind: elman, hidden: 4, nonlinearity: relu}
task: {kind: flip-flop, bits: 1, steps: 10}
learner: {kind: backprop, optimizer: {kind: sgd, lr: 1e-2}}
train: {steps: 20, batch_size: 4, validate_every: 10}
"""


def zoo(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("zoo"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


def test_a_sweep_says_what_failed_and_how_it_stands(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    assert "begin one with" in zoo("status").stdout
    arguments = ("sweep", str(spec), "--grid", "learner.optimizer.lr=1e-2,1e30", "--seeds", "2")
    failed = zoo(*arguments, code=3)
    assert "2 of 4 members are done; 2 failed." in failed.stdout
    assert "DivergedError" in failed.stdout
    standing = json.loads(zoo("status", "tiny", "--json").stdout)[0]
    assert (standing["members"], standing["done"], standing["left"]) == (4, 2, 2)
    row = standing["failed"][0]
    assert row["varied"] == {"learner.optimizer.lr": 1e30, "train.seed": 0}
    assert "diverged" in Path(row["log"]).read_text()
    good = ("sweep", str(spec), "--grid", "model.hidden=4,5", "--publish", "local", "--json")
    made = json.loads(zoo(*good).stdout)
    assert made["done"] == 2
    assert made["revision"]
    assert json.loads(zoo("list", "tiny", "--json").stdout)[0]["published"] == ["local"]
    assert "dusk" in zoo("sweep", str(spec), "--engine", "dusk", code=2).stderr


def test_a_search_says_what_is_best(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    space = ("--search", "learner.optimizer.lr=log:1e-4..1e-1", "--search", "model.nonlinearity=tanh,relu")
    search = ("sweep", str(spec), *space, "--trials", "4", "--sampler", "tpe", "--parallel", "2")
    figure = tmp_path / "tiny.svg"
    made = zoo(*search, "--objective", "test/sign_accuracy", "--maximise", "--plot", str(figure))
    assert "4 of 4 members are done; 0 failed." in made.stdout
    assert "best: test/sign_accuracy" in made.stdout
    assert "model.nonlinearity" in figure.read_text()
    found = json.loads(zoo("status", "tiny", "--json").stdout)[0]
    assert (found["members"], found["done"], found["left"]) == (4, 4, 0)
    wrong = ("--search", "learner.optimizer.lr=log:-1..1", "--trials", "4")
    assert "learner.optimizer.lr.low: should be above 0" in zoo("sweep", str(spec), *wrong, code=2).stderr
