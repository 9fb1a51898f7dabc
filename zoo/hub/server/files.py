"""Downloads: ``/<name>/resolve/<revision>/<path>``, whole or in ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import FileIO
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from zoo.hub.server.hub import revision_of
from zoo.hub.server.refusals import RefusedError
from zoo.hub.server.replies import cut_off
from zoo.hub.server.shelf import Entry, open_entry

AT_ONCE = 2**20
"""Bytes that are read and sent without a thread."""
_ALWAYS = [
    (b"content-type", b"application/octet-stream"),
    (b"accept-ranges", b"bytes"),
    (b"cache-control", b"private, no-cache"),
]
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def resolve(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file, or answer what HEAD asks. Raises :class:`RefusedError`."""
    request = Request(scope)
    if request.method not in ("GET", "HEAD"):
        raise RefusedError(405, "Files are read with GET or HEAD. Write them with a commit.")
    revision, path = await revision_of(request), request.path_params["path"]
    entry = revision.entry(path)
    status, start, end = _wanted(request.headers, entry)
    headers = _headers(entry, path, revision.commit, status, start, end)
    if status == 304 or request.method == "HEAD":
        return await _send(send, status, headers, b"")
    try:
        descriptor = open_entry(entry)
    except OSError:
        raise RefusedError(500, f"{path} is damaged on this hub. Ask for it to be published again.") from None
    with open(descriptor, "rb", buffering=0) as file:
        file.seek(start)
        if end - start <= AT_ONCE:
            return await _send(send, status, headers, file.read(end - start) or b"")
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await _stream(send, file, end - start)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, file: FileIO, left: int) -> None:
    while left:
        piece = await run_sync(file.read, min(left, AT_ONCE))
        if not piece:
            raise cut_off("a file became shorter while it was sent")
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


def _wanted(headers: Mapping[str, str], entry: Entry) -> tuple[int, int, int]:
    """Status, and the bytes from where to where. Raises :class:`RefusedError` for a range outside it."""
    tag = f'"{entry.digest}"'
    if tag in headers.get("if-none-match", "") or headers.get("if-none-match") == "*":
        return 304, 0, 0
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or found.groups() == ("", "") or headers.get("if-range", tag) != tag:
        return 200, 0, entry.size
    first, last = found.groups()
    if not first:
        start, end = max(0, entry.size - int(last)), entry.size
    else:
        start, end = int(first), min(int(last or entry.size) + bool(last), entry.size)
    if start >= end:
        raise RefusedError(416, f"The file has {entry.size} bytes. Ask for some of them.", size=entry.size)
    return 206, start, end


def _headers(
    entry: Entry, path: str, commit: str, status: int, start: int, end: int
) -> list[tuple[bytes, bytes]]:
    name = quote(path.rpartition("/")[2])
    headers = [
        *_ALWAYS,
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
        (b"etag", b'"%s"' % entry.digest.encode()),
        (b"x-repo-commit", commit.encode()),
    ]
    if status != 304:
        headers.append((b"content-length", b"%d" % (end - start)))
    if status == 206:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, entry.size)))
    return headers
