"""``zoo serve`` and ``zoo token``: whole processes, their output, their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("zoo")


def zoo(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


def test_tokens_are_made_listed_and_taken_back(tmp_path: Path) -> None:
    hub = ("--hub", str(tmp_path / "hub"))
    secret = zoo("token", "add", "anna", "--org", "lab", *hub).stdout.strip()
    assert len(secret) > 40
    assert json.loads(zoo("token", "add", "reader", "--read", "--json", *hub).stdout)["name"] == "reader"
    listed = zoo("token", "list", *hub).stdout
    assert "anna, lab" in listed
    assert secret not in listed
    rows = json.loads(zoo("token", "list", "--json", *hub).stdout)
    assert [(row["name"], row["may"]) for row in rows] == [("anna", "write"), ("reader", "read")]
    assert "already" in zoo("token", "add", "anna", *hub, code=2).stderr
    zoo("token", "remove", "anna", *hub)
    assert "no token 'anna'" in zoo("token", "remove", "anna", *hub, code=2).stderr


def test_the_folder_is_served_at_the_address_that_is_printed(tmp_path: Path) -> None:
    command = [COMMAND, "serve", str(tmp_path / "hub"), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        told = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")
        with urllib.request.urlopen(f"{told['url']}/health", timeout=30) as answer:
            assert answer.read() == b"ok\n"
        server.terminate()
        assert server.wait(30) == 0
        assert server.stderr.read() == ""


def test_a_hub_without_tokens_says_how_to_add_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "serve", str(tmp_path), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        lines = [server.stdout.readline() for _ in range(3)]
        server.terminate()
        assert server.wait(30) == 0
        assert f"zoo token add NAME --hub {tmp_path}" in server.stderr.read()
    url = lines[0].split()[3]
    assert f"HF_ENDPOINT={url}" in lines[1]
    assert f"--to {url}/" in lines[2]


@pytest.mark.parametrize("arguments", [("--port", "99999"), ("--host", "no such host"), ("--max-file", "0")])
def test_what_cannot_be_served_is_one_paragraph(tmp_path: Path, arguments: tuple[str, str]) -> None:
    assert zoo("serve", str(tmp_path), *arguments, code=2).stdout == ""


def test_a_file_is_no_hub(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot" in zoo("serve", str(tmp_path / "file"), "--port", "0", code=2).stderr
    assert "cannot" in zoo("token", "add", "anna", "--hub", str(tmp_path / "file"), code=2).stderr


def test_the_extra_is_asked_for_where_it_is_missing(tmp_path: Path) -> None:
    lines = ("import sys", "sys.modules['uvicorn'] = None", "from zoo.cli import main")
    code = "\n".join((*lines, "sys.argv = ['zoo', 'serve', 'hub']", "main()"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "neuroai-zoo[serve]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
