"""The hub server beside nginx with the same bytes as plain files: requests a second and the 99th percentile.

Run from a checkout: ``python benchmarks/serve.py [--seconds 5] [--rounds 3] [--soak 60]``. Both have one
process; 100 connections ask, with ``wrk`` where it is installed. Prints Markdown tables. With ``--soak``, 100
connections ask for everything in turn for so long, while two clients push; any error ends in exit code 1.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from load import Load, load

CONNECTIONS = 100
SIZES = {"small.bin": 5_000, "large.bin": 1_000_000}
WHAT = {
    "a file of 5 kB": "/lab/net/resolve/main/small.bin",
    "a file of 1 MB": "/lab/net/resolve/main/large.bin",
    "metadata of a model": "/api/models/lab/net",
}
MORE = ("/lab/net/resolve/main/README.md", "/api/models/lab/net/tree/main", "/api/models", "/health")
NGINX = """
daemon off; worker_processes 1; pid {0}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  default_type application/octet-stream;
  client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4;
  scgi_temp_path {0}/t5;
  server {{ listen 127.0.0.1:{1}; root {0}/files; }}
}}
"""


@contextmanager
def hub(root: Path) -> Iterator[tuple[str, str]]:
    """``zoo serve`` with a model of random bytes; its address, and a token."""
    from zoo.hub.server import tokens

    token = tokens.add(root, "lab", write=True, admin=False, organisations=())
    command = [sys.executable, "-c", "from zoo.cli import main; main()", "serve", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        assert url is not None
        try:
            ask(url[0], "/api/repos/create", token, b'{"organization": "lab", "name": "net"}')
            push(url[0], token, "lab/net", {name: os.urandom(size) for name, size in SIZES.items()})
            yield url[0], token
        finally:
            server.terminate()


@contextmanager
def nginx(folder: Path, url: str) -> Iterator[str | None]:
    """nginx with what the hub answers as files; none where it is not installed."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    folder.chmod(0o755)
    for path in WHAT.values():
        file = folder / "files" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ask(url, path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(NGINX.format(folder, port))
    with subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)]) as server:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    assert all(ask(f"http://127.0.0.1:{port}", p) == ask(url, p) for p in WHAT.values())
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def ask(url: str, path: str, token: str = "", body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url + path, body, headers), timeout=60) as answer:
        return bytes(answer.read())


def push(url: str, token: str, name: str, files: dict[str, bytes]) -> None:
    lines = [{"key": "header", "value": {"summary": "Bytes"}}]
    for path, content in {"README.md": b"---\nlicense: mit\ntags: [zoo]\n---\n", **files}.items():
        lines.append({"key": "file", "value": {"path": path, "content": base64.b64encode(content).decode()}})
    ask(url, f"/api/models/{name}/commit/main", token, "\n".join(map(json.dumps, lines)).encode())


def measured(url: str, path: str, seconds: float) -> Load:
    """By ``wrk``, which is hardly slower than what it measures, or by our own."""
    if shutil.which("wrk") is None:
        return load(url, seconds, CONNECTIONS, [path])
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "20s", url + path]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    count, took = (
        re.search(r"([0-9]+) requests in ([0-9.]+)s", said),
        re.search(r"99%\s+([0-9.]+)(us|ms|s)", said),
    )
    assert count is not None, said
    assert took is not None, said
    wrong = re.search(r"Socket errors|Non-2xx", said) is not None
    p99 = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[took[2]]
    return Load(int(count[1]), int(wrong), 0, float(count[2]), 0.0, p99)


def side_by_side(ours: str, theirs: str | None, seconds: float, rounds: int) -> None:
    print("| what | ours (requests/s) | p99 (ms) | nginx (requests/s) | p99 (ms) | ratio (min–max) |")
    print("|---|---|---|---|---|---|")
    for what, path in WHAT.items():
        pairs = []
        for _ in range(rounds):
            pair = [measured(url, path, seconds) if url else None for url in (ours, theirs)]
            assert not any(each and each.errors for each in pair), pair
            pairs.append(pair)
        cells = [what, *_shown([first for first, _ in pairs])]
        cells += _shown([second for _, second in pairs]) if theirs else ["", ""]
        ratios = sorted(a.rate / b.rate for a, b in pairs if a and b)
        cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})" if ratios else "")
        print(f"| {' | '.join(cells)} |", flush=True)


def _shown(found: list[Load | None]) -> list[str]:
    known = [each for each in found if each is not None]
    rate, p99 = (statistics.median(getattr(each, name) for each in known) for name in ("rate", "p99"))
    return [f"{rate:,.0f}", f"{1000 * p99:.0f}"]


def soak(url: str, token: str, seconds: float) -> int:
    """Ask and push for so long; the number of errors."""
    stop, pushes, failures = threading.Event(), [0, 0], []

    def pushing(number: int) -> None:
        name = f"lab/pushed-{number}"
        try:
            ask(
                url,
                "/api/repos/create",
                token,
                json.dumps({"organization": "lab", "name": name[4:]}).encode(),
            )
            while not stop.is_set():
                push(url, token, name, {"a.bin": os.urandom(20_000)})
                pushes[number] += 1
                stop.wait(0.5)
        except OSError as problem:
            failures.append(problem)

    pushers = [threading.Thread(target=pushing, args=(number,)) for number in range(2)]
    for pusher in pushers:
        pusher.start()
    done = load(url, seconds, CONNECTIONS, [*WHAT.values(), *MORE])
    stop.set()
    for pusher in pushers:
        pusher.join()
    errors = done.errors + len(failures)
    print(
        f"{CONNECTIONS} connections for {done.seconds:.0f} s: {done.requests:,} requests, "
        f"{done.bytes / 1e9:.1f} GB, p99 {1000 * done.p99:.0f} ms, {sum(pushes)} pushes meanwhile, "
        f"{errors} errors"
    )
    return errors


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--seconds", type=int, default=5, help="of each measurement")
    options.add_argument("--rounds", type=int, default=3, help="ours and theirs in turn, so many times")
    options.add_argument("--soak", type=float, help="seconds; without it, measure")
    chosen = options.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo-serve-")))
        url, token = stack.enter_context(hub(folder / "hub"))
        if chosen.soak:
            return min(1, soak(url, token, chosen.soak))
        theirs = stack.enter_context(nginx(folder, url))
        if theirs is None:
            print("nginx is not installed, so nothing is compared. On Debian: apt install nginx-light\n")
        side_by_side(url, theirs, chosen.seconds, chosen.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
