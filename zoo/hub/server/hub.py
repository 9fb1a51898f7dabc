"""What a server works with: the repositories, who may use them, the limits, and where writing happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request

from zoo.hub.base import MAIN
from zoo.hub.server.access import Gate
from zoo.hub.server.catalogue import Catalogue
from zoo.hub.server.limits import Limits
from zoo.hub.server.remembering import Remembered
from zoo.hub.server.shelf import Revision, Shelf

T = TypeVar("T")


class Hub:
    """One served folder."""

    def __init__(self, root: Path, private: bool = False, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.shelf = Shelf(root)
        self.gate = Gate(self.shelf, private)
        self.catalogue = Catalogue(self.shelf)
        self.told: Remembered[bytes] = Remembered(64 * 2**20, len)
        """What is told of revisions, ready to be sent."""
        self._writers = anyio.CapacityLimiter(self.limits.writers)
        self._checker = anyio.CapacityLimiter(1)

    async def write(self, act: Callable[[], T]) -> T:
        """In a thread of its own; those beyond the limit wait, and reading goes on meanwhile."""
        return await run_sync(act, limiter=self._writers)

    async def check(self, act: Callable[[], T]) -> T:
        """What takes long and may be asked by anyone: one at a time."""
        return await run_sync(act, limiter=self._checker)


def hub_of(request: Request) -> Hub:
    found: Hub = request.scope["hub"]
    return found


async def revision_of(request: Request) -> Revision:
    """The revision that a request is about. Raises :class:`RefusedError` for what it may not read."""
    hub, parameters = hub_of(request), request.path_params
    place, about = hub.gate.readable(request, parameters["repo"])
    asked = parameters.get("revision", MAIN)
    known = hub.shelf.known_revision(place, asked, about)
    return known if known is not None else await run_sync(hub.shelf.revision, place, asked, about)


def base_url(request: Request) -> str:
    """Under which the client knows this server."""
    return str(request.base_url).rstrip("/")
