"""A hub on this machine whose answers a test writes itself, byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[BaseHTTPRequestHandler], None]


class Answering(ThreadingHTTPServer):
    """Answers every request with ``reply``, and keeps what was asked and with which token."""

    daemon_threads = True

    def __init__(self, reply: Reply) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.asked: list[tuple[str, str]] = []
        """Path, and what the request had for authorization."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", 2**16, True

    def answer(self) -> None:
        assert isinstance(self.server, Answering)
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        with suppress(ConnectionError):
            self.server.reply(self)

    do_GET = do_HEAD = do_POST = answer  # noqa: N815  # names that the library looks for

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def answering(reply: Reply) -> Iterator[Answering]:
    server = Answering(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def body(data: bytes, status: int = 200, **headers: str) -> Reply:
    """A whole answer; ``content_encoding="gzip"`` is a header."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return reply


def endless(piece: bytes) -> Reply:
    """An answer without a length that goes on until the client leaves."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("connection", "close")
        handler.end_headers()
        while True:
            handler.wfile.write(piece)

    return reply
