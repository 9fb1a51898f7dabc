"""Bodies of requests: bounded in size and in time, and large ones on the disk instead of in memory."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from zoo.checkpoints.folder import parse_json
from zoo.hub.server.limits import Limits
from zoo.hub.server.refusals import RefusedError

Body = bytes | mmap.mmap
_IN_MEMORY = 2**20
MAX_FORM = 5_000
"""Fields of a form."""


async def read_json(request: Request, limits: Limits) -> dict[str, Any]:
    """The object in a body. Raises :class:`RefusedError`."""
    return as_object(await _read(request, limits))


async def read_form(request: Request, limits: Limits) -> dict[str, list[str]]:
    """The fields of a form, or of a JSON object in its place. Raises :class:`RefusedError`."""
    body = await _read(request, limits)
    if body[:1] == b"{":
        return {key: _texts(value) for key, value in as_object(body).items()}
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=MAX_FORM, errors="strict")
    except ValueError:
        raise RefusedError(
            400, f"The body is no form with up to {MAX_FORM} fields. Send paths=…&paths=…"
        ) from None


def as_object(line: bytes) -> dict[str, Any]:
    """Strict JSON that is an object. Raises :class:`RefusedError`."""
    try:
        found = parse_json(line)
    except RecursionError:
        raise RefusedError(400, "The JSON is nested too deeply. Send it flat.") from None
    except ValueError as problem:
        raise RefusedError(400, f"The body is no valid JSON: {str(problem)[:200]}. Correct it.") from None
    if not isinstance(found, dict):
        raise RefusedError(400, 'The JSON should be an object, as in {"name": …}. Correct it.')
    return found


@asynccontextmanager
async def spooled(request: Request, limits: Limits) -> AsyncIterator[Body]:
    """A body of any allowed size: in memory, or mapped from a file without a name, gone afterwards."""
    first = bytearray()
    pieces = _pieces(request, limits.commit, limits.silence)
    async for piece in pieces:
        first += piece
        if len(first) > _IN_MEMORY:
            break
    else:
        yield bytes(first)
        return
    with TemporaryFile(dir=_room(request)) as file:
        await asyncio.to_thread(file.write, first)
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped


def _room(request: Request) -> Path:
    """On the disk of the hub, where the files will lie; the system's own may be small or in memory."""
    root: Path = request.scope["hub"].shelf.root
    return root


async def _read(request: Request, limits: Limits) -> bytes:
    return b"".join([piece async for piece in _pieces(request, limits.document, limits.silence)])


async def _pieces(request: Request, most: int, silence: float) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > most:
        raise _too_large(most)
    stream, size = request.stream(), 0
    while True:
        try:
            async with asyncio.timeout(silence):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RefusedError(408, f"Nothing came for {silence:.0f} s. Send the request again.") from None
        except ClientDisconnect:
            raise RefusedError(
                400, "The connection was cut before the end of the body. Send it again."
            ) from None
        size += len(piece)
        if size > most:
            raise _too_large(most)
        yield piece


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413, f"The body is larger than the {most // 2**20:,} MB that are taken here. Send less at once."
    )


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
