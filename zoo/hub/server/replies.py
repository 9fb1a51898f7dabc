"""Answers: JSON, refusals with the headers that clients read, and the headers that every answer has."""

from __future__ import annotations

import errno
import logging
import os
import re
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo.errors import HubError, UnknownNameError
from zoo.hub.server.cards import dumps
from zoo.hub.server.refusals import RefusedError

log = logging.getLogger("zoo.hub.server")
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Json(Response):
    """Any value as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else dumps(content)


class Safely:
    """Around the whole server: headers on every answer, and no failure without a sentence."""

    def __init__(self, app: ASGIApp, hub: object) -> None:
        self.app = app
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = False
        scope["hub"], scope["app"] = self.hub, self

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *SAFE]
            await send(message)

        try:
            _check_host(scope)
            await self.app(scope, receive, sending)
        except Exception as problem:
            if begun:  # too late for an answer: the connection is cut, which a client notices
                raise cut_off(_brief(problem)) from None
            await refuse(problem)(scope, receive, sending)


def _check_host(scope: Scope) -> None:
    """Addresses in answers begin with what the client calls this server, so it must be a plain name."""
    for key, value in scope["headers"]:
        if key == b"host" and not _HOST.fullmatch(value):
            raise RefusedError(400, "The Host of the request is no name of a machine. Correct the address.")


def cut_off(why: str) -> Exception:
    """What ends a connection in the middle of an answer."""
    log.warning("an answer was cut off: %s", why)
    return ConnectionAbortedError(why)


def refuse(problem: Exception) -> Response:
    """The answer to a failure; its reason if it is one of ours, and none of the system's otherwise."""
    refusal = _as_refused(problem)
    line = "".join(c if c.isascii() and c.isprintable() else " " for c in refusal.message)
    headers = {"X-Error-Message": line[:1000]}
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    if refusal.size is not None:
        headers["Content-Range"] = f"bytes */{refusal.size}"
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.status in (408, 411, 413):  # what is left of the body is not read
        headers["Connection"] = "close"
    return Json({"error": refusal.message}, refusal.status, headers)


def _as_refused(problem: Exception) -> RefusedError:
    if isinstance(problem, RefusedError):
        return problem
    if isinstance(problem, HTTPException):
        return RefusedError(
            problem.status_code,
            f"{problem.detail}: this hub has no such address for this method. "
            "See docs/serve.md for what it has.",
        )
    if isinstance(problem, UnknownNameError):
        return RefusedError(400, str(problem))
    if isinstance(problem, HubError):
        log.warning("%s", problem)
        return RefusedError(503, "This hub cannot do that now. Try again, or tell whoever runs it.")
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        log.warning("the disk is full")
        return RefusedError(
            507, "The disk of this hub is full. Nothing was changed; ask whoever runs it for space."
        )
    if isinstance(problem, PermissionError):
        log.warning("may not write: %s", problem.filename)
        return RefusedError(
            500, "This hub may not write to its own folder. Nothing was changed; ask whoever runs it."
        )
    log.error("%s", _brief(problem), exc_info=problem if os.environ.get("ZOO_TRACEBACK") else None)
    return RefusedError(
        500, "Something went wrong on this hub, and its log says what. Nothing was half-written."
    )


def _brief(problem: Exception) -> str:
    """One line for the log: what, and where in the code."""
    place, frame = "", problem.__traceback__
    while frame is not None:
        place = f"{os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}"
        frame = frame.tb_next
    return f"{type(problem).__name__}: {problem} ({place})".replace("\n", " ")[:1000]
