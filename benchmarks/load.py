"""Requests from many keep-alive connections at once, and how long each took; a process of its own.

``python benchmarks/load.py URL SECONDS CONNECTIONS PATH...`` asks for the paths in turn and prints JSON:
requests, errors, bytes, seconds, and the 50th and 99th percentile of seconds a request.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass
class Load:
    """What came of asking."""

    requests: int = 0
    errors: int = 0
    bytes: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def load(url: str, seconds: float, connections: int, paths: Sequence[str]) -> Load:
    """The same from a process of its own, so that asking does not slow down whoever measures."""
    command = [sys.executable, __file__, url, str(seconds), str(connections), *paths]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Load(**json.loads(done.stdout))


async def _one(
    address: tuple[str, int], paths: Sequence[str], until: float, known: Load, took: list[float]
) -> None:
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths]
    turn = 0
    while time.perf_counter() < until:
        try:
            reader, writer = await asyncio.open_connection(*address, limit=2**21)
            while time.perf_counter() < until:
                begun = time.perf_counter()
                writer.write(requests[turn % len(requests)])
                turn += 1
                head = await reader.readuntil(b"\r\n\r\n")
                found = LENGTH.search(head)
                size = int(found[1]) if found else 0
                await reader.readexactly(size)
                took.append(time.perf_counter() - begun)
                known.requests += 1
                known.bytes += size
                known.errors += not head.startswith(b"HTTP/1.1 200") or found is None
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            known.errors += 1
            await asyncio.sleep(0.1)


async def _all(url: str, seconds: float, connections: int, paths: Sequence[str]) -> Load:
    parts = urlsplit(url)
    address, known, took = (parts.hostname or "", parts.port or 80), Load(), []
    begun = time.perf_counter()
    shifted = [[*paths[turn % len(paths) :], *paths[: turn % len(paths)]] for turn in range(connections)]
    await asyncio.gather(*(_one(address, each, begun + seconds, known, took) for each in shifted))
    known.seconds = time.perf_counter() - begun
    took.sort()
    known.p50, known.p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
    return known


def main() -> None:
    url, seconds, connections, *paths = sys.argv[1:]
    try:
        import uvloop

        run = uvloop.run
    except ImportError:
        run = asyncio.run
    json.dump(asdict(run(_all(url, float(seconds), int(connections), paths))), sys.stdout)


if __name__ == "__main__":
    main()
