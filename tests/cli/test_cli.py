"""The command as a user meets it: whole processes, their output, their exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).with_name("zoo")
QUICK = [COMMAND]
"""What runs the command: itself, or once there is one, what starts quicker."""

SPEC = """\
spec: experiment/1
name: tiny
model: {kind: elman, hidden: 8}
task: {kind: flip-flop, bits: 1, steps: 10}
learner: {kind: backprop, optimizer: {kind: adam, lr: 1e-2}}
train: {steps: 40, batch_size: 16, validate_every: 20}
population: {members: 2}
claims:
  - {metric: test/loss, at_most: 5.0, source: {kind: design}}
"""


@pytest.fixture(autouse=True)
def _quick(quick_command: Path) -> None:
    QUICK[0] = quick_command / "zoo"


def zoo(*arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code; a traceback is always a failure."""
    done = subprocess.run(
        [QUICK[0], *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


def answer(*arguments: str, code: int = 0) -> Any:
    return json.loads(zoo(*arguments, "--json", code=code).stdout)


def refused(*arguments: str, code: int = 2, **options: Any) -> str:
    """The one paragraph that a refused command prints."""
    done = zoo(*arguments, code=code, **options)
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def trained(spec: Path) -> Path:
    return Path(answer("train", str(spec))["checkpoint"])


def test_a_spec_goes_all_the_way(spec: Path, tmp_path: Path) -> None:
    made = answer("train", str(spec), "--publish", "local", "--tag", "v1")
    assert made["record"]["members"] == 2
    assert answer("list", "tiny")[0]["published"] == ["local"]
    assert answer("show", "tiny")["record"]["name"] == "tiny"
    assert answer("run", "tiny/1")["metrics"]["loss"] < 2
    assert answer("run", "tiny@v1#0")["name"] == "tiny@v1#0"
    verified = answer("verify", "tiny", "--metrics")
    assert verified[0]["verdict"] == "holds"
    figure, matrix = tmp_path / "map.png", tmp_path / "matrix.csv"
    compared = answer("compare", "tiny/*", "--metric", "cka", "--plot", str(figure), "--save", str(matrix))
    assert compared["values"][0][0] == 0
    assert compared["values"][0][1] == compared["values"][1][0] > 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "tiny/0" in matrix.read_text()
    identified = answer(
        *("identify", "tiny/*", "--among", "tiny/*", "--metric", "cka", "-r", "observe={noise: 0.01}")
    )
    assert identified["accuracy"] == 1
    assert identified["confusion"] == {"labels": ["tiny"], "counts": [[2]]}
    zoo("pull", "tiny", "--to", str(tmp_path / "hub"))
    zoo("delete", "tiny", "--yes")
    assert "no checkpoint 'tiny'" in refused("run", "tiny")


def test_training_again_is_instant_and_equal(spec: Path, trained: Path) -> None:
    start = time.monotonic()
    assert answer("train", str(spec))["checkpoint"] == str(trained)
    other = answer("train", str(spec), "train.steps=41")
    assert other["checkpoint"] != str(trained)
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_training_on_two_processes(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = answer("train", str(spec), "train.precision=64-true")
    shared = ["train.devices=2", "train.strategy=ddp", "train.accelerator=cpu", "train.precision=64-true"]
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "another"))
    pair = answer("train", str(spec), *shared)
    assert pair["record"]["experiment"] == alone["record"]["experiment"]
    for one, other in zip(
        alone["record"]["metrics"]["test/loss"], pair["record"]["metrics"]["test/loss"], strict=True
    ):
        assert one == pytest.approx(other, abs=1e-8)


def test_a_failing_claim_is_exit_code_3(spec: Path) -> None:
    spec.write_text(SPEC.replace("at_most: 5.0", "at_most: 1e-9"))
    done = zoo("train", str(spec), code=3)
    assert "FAILS" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "dsa-rnn-flipflip"], "Did you mean 'dsa-rnn-flipflop'"),
        (["run", "dsa-*"], "dsa-gru-flipflop"),
        (["run", "dsa-rnn-flipflop/99"], "members 0 to 3"),
        (["run", "dsa-rnn-flipflop#7"], "#1"),
        (["run", "dsa-rnn-flipflop@nothing"], "nothing"),
        (["run", "dsa-rnn-flipflop", "--split", "tests"], "Did you mean 'test'"),
        (["train", "dsa-rnn-flipflop", "model.hiden=3"], "hidden"),
        (["train", "dsa-rnn-flipflop", "model.hidden=many"], "override"),
        (["train", "dsa-rnn-flipflop", "--publish", "hf://org"], "hf://"),
        (["train", "dsa-rnn-flipflop", "--publish", "locl"], "Did you mean 'local'"),
        (["train", "dsa-rnn-flipflop", "--tag", "a/b"], "revision"),
        (["train", "dsa-flipflop-architectures"], "zoo reproduce dsa-flipflop-architectures"),
        (["compare", "dsa-rnn-flipflop/*", "--metric", "dsaa"], "Did you mean 'dsa'"),
        (["compare", "dsa-rnn-flipflop/*", "-p", "rnk=3"], "rank"),
        (["compare", "dsa-rnn-flipflop/*", "-p", "site=c"], "site"),
        (["compare", "dsa-rnn-flipflop"], "two"),
        (["compare", "dsa-rnn-flipflop/*", "--metric", "cka", "--test"], "no two groups"),
        (["analyse", "dsa-rnn-flipflop/*", "delay-rank"], "zoo analyse delay-rank 'dsa-rnn-flipflop/*'"),
        (["reproduce", "dsb"], "'dsa'"),
        (["schema", "experimant"], "'experiment'"),
        (["validate", "no-such-spec"], "no-such-spec"),
        (["publish", "dsa-rnn-flipflop", "--to", "hf://org"], "hf://"),
        (["migrate", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_paragraph(arguments: list[str], said: str) -> None:
    message = refused(*arguments)
    assert said in message
    assert message.startswith("error:")


def test_errors_are_json_too() -> None:
    done = zoo("run", "nothing-like-it", "--json", code=2)
    assert json.loads(done.stderr)["error"] == "UnknownNameError"


def test_validate_points_at_the_line(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(SPEC.replace("name: tiny", "name: typo").replace("hidden: 8", "hiden: 8"))
    done = zoo("validate", str(path), code=3)
    assert "typo.yaml:3" in done.stdout
    assert "hidden" in done.stdout
    assert answer("validate", str(path), code=3)[0]["valid"] is False
    assert zoo("validate", "dsa-rnn-flipflop", "--deep")


def test_damage_is_found(trained: Path, tmp_path: Path) -> None:
    def damaged(file: str, change: Any) -> str:
        copy = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(trained, copy)
        change(copy / file)
        return refused("verify", str(copy))

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)

    weights = "model-0.safetensors"
    assert weights in damaged(weights, flip)
    assert weights in damaged(weights, lambda p: p.write_bytes(p.read_bytes()[:-10]))
    assert "golden.safetensors" in damaged("golden.safetensors", Path.unlink)
    assert "record.json" in damaged("record.json", lambda p: p.write_text("{"))
    assert "spec.json" in damaged("spec.json", flip)
    assert "newer" in damaged(
        "record.json", lambda p: p.write_text(p.read_text().replace("record/1", "record/9"))
    )
    pickled = tmp_path / "weights.pt"
    pickled.write_bytes(b"\x80\x04K\x01.")
    assert "pickle" in refused("run", str(pickled))


def test_interrupting_a_training_keeps_it(spec: Path) -> None:
    endless = SPEC.replace("steps: 40", "steps: 100000, save_every: 20")
    spec.write_text(endless.replace("population: {members: 2}\n", ""))
    command = [COMMAND, "train", str(spec)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    home = Path(os.environ["ZOO_HOME"])
    deadline = time.monotonic() + 60
    while not list(home.glob("runs/*/state.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    assert not list(home.glob("runs/*/result.json"))
    assert list(home.glob("runs/*/state.ckpt"))


def test_labels_are_tested() -> None:
    names = ("dsa-rnn-flipflop/*", "dsa-gru-flipflop/*")
    found = answer("compare", *names, "--metric", "procrustes", "-p", "trials=8", "--test")["test"]
    assert (found["statistic"], found["exact"], found["permutations"]) == ("silhouette", True, 70)
    assert found["p"] == pytest.approx(2 / 70)
    shown = zoo("compare", *names, "--metric", "procrustes", "-p", "trials=8", "--test").stdout
    assert "p = 0.0286 (all 70 permutations)" in shown


def test_help_and_completion() -> None:
    commands = zoo("--help").stdout
    for command in (
        "list",
        "show",
        "validate",
        "schema",
        "train",
        "run",
        "verify",
        "publish",
        "push",
        "pull",
    ):
        assert command in commands
    for command in ("compare", "reproduce", "migrate", "doctor", "kinds", "delete"):
        assert command in commands
    assert "Exit codes" in commands
    shown = subprocess.run(
        [COMMAND],
        env={**os.environ, "_ZOO_COMPLETE": "complete_bash", "COMP_WORDS": "zoo ver", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == ["verify"]


def test_doctor_and_kinds() -> None:
    report = answer("doctor")
    assert report["versions"]["torch"]
    assert {hub[0] for hub in report["hubs"]} >= {"local", "registry"}
    assert {"family": "models", "kind": "gru", "from": "neuroai-zoo", "error": ""} in answer(
        "kinds", "models"
    )


def test_show_prints_a_spec_that_reads_back(tmp_path: Path) -> None:
    shown = zoo("show", "dsa-gru-flipflop").stdout.partition("\npublished")[0]
    (tmp_path / "dsa-gru-flipflop.yaml").write_text(shown)
    digests = [
        row["digest"]
        for row in answer("validate", str(tmp_path / "dsa-gru-flipflop.yaml"), "dsa-gru-flipflop")
    ]
    assert digests[0] == digests[1]
    assert "[flip-flop, memory, recurrent]" in shown


def test_filters_of_list() -> None:
    names = {row["name"] for row in answer("list", "--kind", "elman")}
    assert names >= {"dsa-rnn-flipflop", "dsa-relu-rnn-flipflop"}
    assert "dsa-gru-flipflop" not in names
    assert {row["paper"] for row in answer("list", "--paper", "dsa")} == {"dsa"}
    assert all("sine" in row["tags"] for row in answer("list", "--tag", "sine"))
    assert answer("list", "no-such-*") == []
    assert "zoo list" in zoo("list", "no-such-*").stderr


def test_the_package_is_the_command() -> None:
    """``python -m zoo`` does what ``zoo`` does."""
    asked = [sys.executable, "-m", "zoo", "show", "nothing-of-that-name"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "nothing-of-that-name" in answer.stderr
