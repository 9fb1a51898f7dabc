"""A hub whose answers go wrong: cut, short, of a wrong length, late, refused, or with wrong bytes."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.hub.server.app import application

FAULTS = ("cut", "short", "length", "busy", "broken", "slow", "wrong")


class CutError(Exception):
    """Ends the connection."""


class Faulty:
    """An application around that of a hub; a share of its answers go wrong, by the dice of ``seed``."""

    def __init__(self, root: Path, seed: int, share: float) -> None:
        self.inner, self.share = application(root), share
        self.dice = random.Random(seed)
        self.happened: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or self.dice.random() >= self.share:
            return await self.inner(scope, receive, send)
        fault = self.dice.choice(FAULTS)
        self.happened[fault] += 1
        if fault in ("busy", "broken"):
            status, headers = (429, [(b"retry-after", b"0")]) if fault == "busy" else (500, [])
            await send({"type": "http.response.start", "status": status, "headers": headers})
            return await send({"type": "http.response.body", "body": b"no"})
        if fault == "slow":
            await asyncio.sleep(0.3)
            return await self.inner(scope, receive, send)
        start, body = await self._answer(scope, receive)
        await self._send_wrongly(fault, start, body, send)

    async def _answer(self, scope: Any, receive: Any) -> tuple[dict[str, Any], bytes]:
        said: list[dict[str, Any]] = []

        async def keep(message: Any) -> None:
            said.append(message)

        await self.inner(scope, receive, keep)
        return said[0], b"".join(message.get("body", b"") for message in said[1:])

    async def _send_wrongly(self, fault: str, start: dict[str, Any], body: bytes, send: Any) -> None:
        lengths = {"cut": len(body), "short": len(body) // 2, "length": len(body) + 100, "wrong": len(body)}
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        start["headers"] = [*headers, (b"content-length", str(lengths[fault]).encode())]
        if fault == "wrong" and body:
            at = self.dice.randrange(len(body))
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        await send(start)
        if fault == "cut":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            raise CutError
        await send(
            {"type": "http.response.body", "body": body[: len(body) // 2] if fault == "short" else body}
        )


@contextmanager
def serving_faulty(root: Path, seed: int, share: float) -> Iterator[tuple[str, Faulty]]:
    """The address of a faulty hub, and the hub."""
    import uvicorn

    app = Faulty(root, seed, share)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, lifespan="off", timeout_keep_alive=75)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", app
    finally:
        server.should_exit = True
        thread.join()
