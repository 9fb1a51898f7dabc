"""Plain pages for a browser: what is on the hub, and how to load it. Without scripts; all text is escaped."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from zoo.checkpoints.folder import parse_json
from zoo.hub.server.catalogue import Wanted
from zoo.hub.server.hub import base_url, hub_of, revision_of

MOST = 2000
"""Models on the page at most, the latest changed."""


async def index(request: Request) -> Response:
    """``GET /``: every model that may be read without a token, or with the one that was sent."""
    hub = hub_of(request)
    token = hub.gate.reader(request)

    def find() -> tuple[list[tuple[dict[str, Any], str]], int]:
        wanted = Wanted(token=token)
        models, _ = hub.catalogue.page(wanted, "modified", 0, MOST)
        count = hub.catalogue.count(wanted)
        return [(parse_json(model.told.encode()), model.title) for model in models], count

    found, number = await run_sync(find)
    rows = "".join(
        f'<tr><td><a href="/{quote(model["id"])}">{escape(model["id"])}</a></td><td>{escape(title)}</td>'
        f"<td>{escape(', '.join(model['tags'][:8]))}</td><td>{escape(model['lastModified'][:10])}</td></tr>\n"
        for model, title in found
    )
    count = f"{number:,} model{'' if number == 1 else 's'}"
    table = f"<table><tr><th>name</th><th>title</th><th>tags</th><th>changed</th></tr>\n{rows}</table>"
    return _page(f"Models of {hub.shelf.root.name}", f"<p>{count}.</p>{_how(request)}{table}")


async def model(request: Request) -> Response:
    """``GET /<name>``: its files, and how to load it."""
    revision, hub = await revision_of(request), hub_of(request)
    name, card = revision.repository.name, hub.shelf.card(revision)
    rows = "".join(
        f'<tr><td><a href="/{quote(name)}/resolve/{revision.commit}/{quote(path)}">{escape(path)}</a></td>'
        f"<td>{entry.size:,}</td><td>{entry.digest}</td></tr>\n"
        for path, entry in revision.files.items()
    )
    table = f"<table><tr><th>file</th><th>bytes</th><th>SHA-256</th></tr>\n{rows}</table>"
    about = f"<p>{escape(card.title)}</p><p>revision {revision.commit}</p>"
    return _page(name, f'<p><a href="/">all models</a></p>{about}{_how(request, name)}{table}')


async def health(request: Request) -> Response:
    """``GET /health``: whether the folder can be read."""
    await run_sync(hub_of(request).shelf.root.stat)
    return Response("ok\n", media_type="text/plain")


def _how(request: Request, name: str = "NAME") -> str:
    lines = (
        f"HF_ENDPOINT={base_url(request)}",
        f'huggingface_hub.snapshot_download("{name}")  # anything that knows the Hub',
    )
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def _page(title: str, body: str) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
