"""Files over HTTP: bounded, taken up again where the connection was cut, never more than was expected."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.hub.answers import wait

if TYPE_CHECKING:
    from httpx2 import Response

ATTEMPTS = 5
CHUNK = 2**17
PATIENCE = 10.0
"""Seconds in which the next bytes should come."""
AGAIN = (408, 429, 500, 502, 503, 504)


class TooLargeError(OSError):
    """More bytes came than there should be."""


def download(url: str, headers: Mapping[str, str], path: Path, size: int | None, most: int) -> str:
    """Put what is at an address into a new file; its SHA-256.

    ``size`` are the bytes that it should have, where that is known; without it, the file is checked against
    the answer's ETag, where that is a digest. ``most`` are the bytes that are read at most.

    Raises what ``huggingface_hub`` raises for an answer that is no file, :class:`OSError` for one of another
    size or content, and the error of the wire after a few attempts.
    """
    from httpx2 import ConnectError, TimeoutException, TransportError
    from huggingface_hub.utils._http import get_session, hf_raise_for_status

    sent = {**headers, "Accept-Encoding": "identity"}
    with open(path, "xb") as out:
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            done = out.tell() if size is not None else 0
            try:
                part = {"Range": f"bytes={done}-"} if done else {}
                with get_session().stream("GET", url, headers=sent | part, timeout=PATIENCE) as answer:
                    if answer.status_code in AGAIN and not last:
                        time.sleep(pause(answer, attempt))
                        continue
                    hf_raise_for_status(answer)
                    tag = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
                    if answer.status_code != 206 or size is None:  # all of it again
                        out.seek(0)
                        out.truncate()
                    for chunk in answer.iter_bytes(CHUNK):
                        out.write(chunk)
                        if out.tell() > most:
                            raise TooLargeError(f"more than the {most:,} bytes came that were expected")
            except TransportError as problem:
                if last or (isinstance(problem, ConnectError) and not isinstance(problem, TimeoutException)):
                    raise
                time.sleep(pause(None, attempt))
                continue
            out.flush()
            if out.tell() == size or (size is None and _is_called(path, tag)):
                break
            if last:
                wrong = f"and not what it calls {tag[:12]}…" if size is None else f"instead of {size:,}"
                raise OSError(f"{out.tell():,} bytes came {wrong}")
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def addresses(data: bytes) -> tuple[str, str]:
    """What a hub calls a file by its content: SHA-256, or the name of a git blob."""
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return hashlib.sha256(data).hexdigest(), blob.hexdigest()


def _is_called(path: Path, tag: str) -> bool:
    """Whether a file is what its ETag says, if that says anything of the content."""
    return not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", tag) or tag in addresses(path.read_bytes())


def pause(answer: Response | None, attempt: int) -> float:
    """Seconds to wait before the next attempt: those that the hub asks for, or ever more."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    return wait(asked) if asked.isdecimal() else 0.25 * 2**attempt
