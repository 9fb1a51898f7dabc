"""Answers of hubs on the network: bounded in size, number and time, whoever sends them.

``huggingface_hub`` reads whatever comes, and waits as long as it is told to. While :func:`bounded` lasts, its
requests are held to bounds, and the token goes to the hub that it is for and to nobody else. Requests of
other code in the same process are left as they are.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from httpx2 import Client, Request, Response

MOST = 32 * 2**20
"""Bytes of all answers to one question."""
REQUESTS = 1000
"""Requests that one question takes at most; each page of a list is one."""
SECONDS = 300.0
"""In which all of them are answered."""
SILENCE = 60.0
"""Seconds in which the next bytes should come, where the caller says nothing else."""
LONGEST = 30
"""Seconds that a hub may ask to wait for."""

_PORTS = {"http": 80, "https": 443}
_lock = threading.Lock()


class UnboundedError(OSError):
    """A hub sends more than it should, or takes longer."""


@dataclass
class _Bounds:
    """What is left for the answers to one question."""

    origin: tuple[str, str, int | None]
    """Scheme, host and port that the token is for."""
    most: int
    left: int
    end: float
    requests: int = REQUESTS

    def take(self, size: int) -> None:
        """Raises :class:`UnboundedError` where more has come than should."""
        self.left -= size
        if self.left < 0:
            raise UnboundedError(f"it sends more than {self.most:,} bytes")
        if time.monotonic() > self.end:
            raise UnboundedError("its answer takes too long")


_bounds: ContextVar[_Bounds | None] = ContextVar("zoo_hub_bounds", default=None)


@contextmanager
def bounded(endpoint: str, most: int = MOST, seconds: float = SECONDS) -> Iterator[None]:
    """Hold the requests of ``huggingface_hub`` to ``endpoint``, and their answers, to bounds.

    Args:
        endpoint: The address of the hub, which alone is sent the token.
        most: Bytes of all answers together.
        seconds: For all of them together.

    Raises :class:`UnboundedError` from within, where a hub does not keep to them.
    """
    _watch()
    before = _bounds.set(_Bounds(_origin(endpoint), most, most, time.monotonic() + seconds))
    try:
        yield
    finally:
        _bounds.reset(before)


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


class _Watched:
    """Makes the clients of ``huggingface_hub`` as before, with our bounds on them."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self.make = make

    def __call__(self) -> Client:
        client = self.make()
        hooks = client.event_hooks
        client.event_hooks = {
            "request": [*hooks["request"], _ask],
            "response": [_look, *hooks["response"]],
        }
        return client


def _watch() -> None:
    """See to it that every client from now on is watched; the library makes new ones after failures."""
    from huggingface_hub.utils import _http

    with _lock:
        make = _http._GLOBAL_CLIENT_FACTORY
        if not isinstance(make, _Watched):
            _http.set_client_factory(_Watched(make))


def _ask(request: Request) -> None:
    """Before a request, those that follow a redirect or lead to the next page among them."""
    bounds = _bounds.get()
    if bounds is None:
        return
    bounds.requests -= 1
    bounds.take(0)
    if bounds.requests < 0:
        raise UnboundedError(f"it has its answer fetched in more than {REQUESTS:,} parts")
    if _origin(str(request.url)) != bounds.origin:
        request.headers.pop("authorization", None)
    request.headers["accept-encoding"] = "identity"  # what is packed has no bounds
    waits = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {kind: waits.get(kind) or SILENCE for kind in _WAITS}


_WAITS = ("connect", "read", "write", "pool")


def _look(response: Response) -> None:
    """After the head of an answer, before its body is read."""
    bounds = _bounds.get()
    if bounds is None:
        return
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnboundedError("its answer is packed, which was not asked for")
    response.headers.pop("ratelimit", None)
    asked = response.headers.get("retry-after", "")
    if asked:
        response.headers["retry-after"] = str(wait(asked))
    response.stream = _stream(response.stream, bounds)


def wait(asked: str) -> int:
    """Seconds to wait that a hub asks for in plain digits, as far as one goes along with it."""
    asked = asked.strip()
    return min(int(asked), LONGEST) if re.fullmatch("[0-9]{1,9}", asked) else LONGEST


def _stream(inner: Any, bounds: _Bounds) -> Any:
    from httpx2 import SyncByteStream

    class Counted(SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for piece in inner:
                bounds.take(len(piece))
                yield piece

        def close(self) -> None:
            inner.close()

    return Counted()
