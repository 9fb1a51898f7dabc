"""Running the server: in this process until it is told to end, or beside other work in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from zoo.errors import HubError, MissingDependencyError

if TYPE_CHECKING:
    from uvicorn import Server

    from zoo.hub.server.limits import Limits

LOCAL = "127.0.0.1"
PATIENCE = 10
"""Seconds that requests at work may go on for after the server was told to end."""
_IDLE = 75
"""Seconds that a connection without requests is kept."""


def serve(
    root: Path,
    host: str = LOCAL,
    port: int = 8008,
    *,
    private: bool = False,
    limits: Limits | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a folder until SIGINT or SIGTERM; ``ready`` is told the address. Port 0 takes any free one.

    Raises :class:`HubError` where the folder or the address cannot be used, and
    :class:`MissingDependencyError`.
    """
    server = _server(root, private, limits, lambda: ready(_address(listener, host)))
    with _listening(host, port) as listener:
        server.config.app.hub.catalogue.begin()  # type: ignore[union-attr]
        server.run(sockets=[listener])


@contextmanager
def serving(root: Path, *, private: bool = False, limits: Limits | None = None) -> Iterator[str]:
    """The same in a thread, on any free port of this machine; gives the address."""
    server = _server(root, private, limits)
    with _listening(LOCAL, 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield _address(listener, LOCAL)
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def _server(
    root: Path, private: bool, limits: Limits | None, started: Callable[[], None] = lambda: None
) -> Server:
    try:
        import uvicorn

        from zoo.hub.server.app import application
    except ImportError as problem:
        raise MissingDependencyError("starlette and uvicorn", "serve", "serving a hub") from problem

    class Quiet(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()  # from here on, signals end it cleanly

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """End as asked, the second time at once, and without dying of the signal afterwards."""
            self.force_exit = self.should_exit
            self.should_exit = True

    config = uvicorn.Config(
        application(_folder(root), private, limits),
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=PATIENCE,
    )
    return Quiet(config)


def _folder(root: Path) -> Path:
    root = root.expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise HubError(f"cannot use {root}: {problem.strerror}. Give a folder of your own.") from problem
    return root


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as problem:
        listener.close()
        why = getattr(problem, "strerror", None) or str(problem)
        raise HubError(
            f"cannot listen on {host}, port {port}: {why}. Take another --host, or another --port "
            "(0 takes any free one)."
        ) from problem
    return listener


def _address(listener: socket.socket, host: str) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"
