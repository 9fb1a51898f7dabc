"""The server killed in the middle of writing, and connections that are cut: what was pushed stays whole."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from httpx2 import Client, HTTPError
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from zoo.hub.base import commit_of
from zoo.hub.repository import Repository
from zoo.hub.server import tokens

if TYPE_CHECKING:
    from conftest import Served

NAMES = ("lab/one", "lab/other")
SERVE = [sys.executable, "-c", "from zoo.cli import main; main()", "serve", "--port"]


@contextmanager
def started(root: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command, in a process of its own; its port."""
    with subprocess.Popen(
        [*SERVE, str(port), str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:([0-9]+)", server.stdout.readline())
        assert found is not None
        try:
            yield server, int(found[1])
        finally:
            server.kill()


def check_all(root: Path) -> list[str]:
    """Every revision of every repository has the bytes that its commit says; the names."""
    names = sorted(Repository.names(root))
    for name in names:
        repository = Repository(root, name)
        assert repository.ref() in repository.commits()
        for commit in repository.commits():
            files = repository.files(commit)
            digests = {file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in files.items()}
            assert commit_of(digests) == commit
    return names


def leftovers(root: Path) -> list[Path]:
    """Stages, unfinished files, and blobs that nothing links to."""
    linked = {path.resolve() for path in root.glob("models--*/snapshots/*/*")}
    return [
        path
        for path in root.rglob("*")
        if ".zoo-stage-" in path.name
        or path.suffix == ".new"
        or (path.parent.name == "blobs" and path.resolve() not in linked)
    ]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(5, id="some"),
        pytest.param(200, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
@pytest.mark.usefixtures("online")
def test_a_server_killed_while_it_is_pushed_to_has_whole_revisions(memory: Path, kills: int) -> None:
    root, moments = memory / "hub", random.Random(0)
    token = tokens.add(root, "lab", write=True, admin=False, organisations=())
    acknowledged: dict[str, str] = {}
    for _ in range(kills):
        with started(root) as (server, port):
            stop = threading.Event()
            url, known = f"http://127.0.0.1:{port}", dict(acknowledged)
            pushers = [
                threading.Thread(target=pushing, args=(url, token, name, stop, acknowledged))
                for name in NAMES
            ]
            for pusher in pushers:
                pusher.start()
            while any(acknowledged.get(name) == known.get(name) for name in NAMES):
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.2))
            server.send_signal(signal.SIGKILL)
            stop.set()
            for pusher in pushers:
                pusher.join()
        names = check_all(root)
        for name, commit in acknowledged.items():
            assert name in names
            assert commit in Repository(root, name).commits(), "what was acknowledged is there"
    with started(root) as (_, port):
        api = HfApi(endpoint=f"http://127.0.0.1:{port}", token=token)
        for name in NAMES:
            api.create_commit(name, [CommitOperationAdd("last.txt", b"x")], commit_message="After all")
    check_all(root)
    assert leftovers(root) == []


def pushing(url: str, token: str, name: str, stop: threading.Event, acknowledged: dict[str, str]) -> None:
    """Push other bytes again and again until the server is gone; without the client's patience."""
    organisation, _, short = name.partition("/")
    with suppress(HTTPError), Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        client.post("/api/repos/create", json={"organization": organisation, "name": short})
        while not stop.is_set():
            lines = [{"key": "header", "value": {"summary": "Again"}}]
            for number in range(3):
                content = base64.b64encode(os.urandom(40_000)).decode()
                lines.append({"key": "file", "value": {"path": f"{number}.bin", "content": content}})
            body = "\n".join(map(json.dumps, lines))
            answer = client.post(f"/api/models/{name}/commit/main", content=body)
            acknowledged[name] = answer.json()["commitOid"]


def private_memory(server: subprocess.Popen[str]) -> int:
    """Bytes that a process has for itself alone."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_a_large_push_takes_little_memory(memory: Path) -> None:
    root, piece, peak = memory / "hub", base64.b64encode(os.urandom(3 * 2**20)), [0]
    token = tokens.add(root, "lab", write=True, admin=False, organisations=())
    with started(root) as (server, port):
        before = private_memory(server)

        def body() -> Iterator[bytes]:
            yield b'{"key":"header","value":{"summary":"Large"}}\n{"key":"file","value":{"content":"'
            for _ in range(30):
                yield piece
                peak[0] = max(peak[0], private_memory(server))
            yield b'","path":"large.bin"}}'

        headers = {"Authorization": f"Bearer {token}"}
        with Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            client.post("/api/repos/create", json={"name": "net"})
            assert client.post("/api/models/lab/net/commit/main", content=body()).status_code == 200
            content = client.get("/lab/net/resolve/main/large.bin").content
        assert max(peak[0], private_memory(server)) - before < 30 * 2**20
    assert content == 30 * base64.b64decode(piece)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_the_command_ends_when_told(memory: Path, how: signal.Signals) -> None:
    with started(memory / "hub") as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            server.send_signal(how)
            assert server.wait(30) == 0
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()


def test_an_address_that_is_taken(memory: Path) -> None:
    with started(memory / "hub") as (_, port):
        done = subprocess.run(
            [*SERVE, str(port), str(memory / "other")], capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_push_to_a_full_disk_changes_nothing(small_disk: Path, online: None) -> None:
    from zoo.hub.server.running import serving

    root = small_disk / "hub"
    token = tokens.add(root, "lab", write=True, admin=False, organisations=())
    with serving(root) as url:
        api = HfApi(endpoint=url, token=token)
        api.create_repo("lab/net")
        small = [CommitOperationAdd("a.bin", os.urandom(100_000))]
        oid = api.create_commit("lab/net", small, commit_message="Fits").oid
        for size in (950_000, 3_000_000):
            large = [CommitOperationAdd("b.bin", os.urandom(size))]
            with pytest.raises(HfHubHTTPError) as problem:
                api.create_commit("lab/net", large, commit_message="Does not fit")
            assert problem.value.response.status_code == 507
            assert "full" in problem.value.response.json()["error"]
        assert api.model_info("lab/net").sha == oid
        assert check_all(root) == ["lab/net"]
        assert leftovers(root) == []
        again = [CommitOperationAdd("c.bin", os.urandom(100_000))]
        api.create_commit("lab/net", again, commit_message="Fits")


class Cutting:
    """A proxy on loopback that ends the first connections with an answer in the middle of it."""

    def __init__(self, port: int, after: int, cuts: int) -> None:
        self.target, self.after, self.cuts = port, after, cuts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, suppress(OSError):
            threading.Thread(target=self.copy, args=(client, server), daemon=True).start()
            sent = 0
            while data := server.recv(65536):
                if sent + len(data) > self.after and self.cuts:
                    self.cuts -= 1
                    client.sendall(data[: self.after - sent])
                    client.shutdown(socket.SHUT_RDWR)
                    return
                sent += len(data)
                client.sendall(data)

    @staticmethod
    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)


def test_a_download_goes_on_after_its_connection_was_cut(served: Served, tmp_path: Path) -> None:
    content, api = os.urandom(3_000_000), served.client()
    api.create_repo("lab/net")
    oid = api.upload_file(path_or_fileobj=content, path_in_repo="big.bin", repo_id="lab/net").oid
    proxy = Cutting(int(served.url.rpartition(":")[2]), 1_000_000, 2)
    path = hf_hub_download("lab/net", "big.bin", endpoint=proxy.url, cache_dir=tmp_path / "cache")
    assert proxy.cuts == 0
    assert Path(path).read_bytes() == content
    assert oid in path
    back = snapshot_download("lab/net", endpoint=served.url, cache_dir=tmp_path / "cache")
    assert back == os.path.dirname(path)
