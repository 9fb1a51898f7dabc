"""What is told of models: information, lists, trees, references, history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from zoo.hub.base import MAIN, commit_of
from zoo.hub.index.database import Order
from zoo.hub.repository import Repository
from zoo.hub.server import about
from zoo.hub.server.bodies import read_form
from zoo.hub.server.cards import dumps
from zoo.hub.server.catalogue import Model, Wanted, told
from zoo.hub.server.describing import CARD, FILES, FILES_AND_SIZES, describe_model, lfs
from zoo.hub.server.hub import Hub, base_url, hub_of, revision_of
from zoo.hub.server.refusals import RefusedError, no_entry, unsupported
from zoo.hub.server.replies import Json
from zoo.hub.server.shelf import Entry, Revision, Shelf
from zoo.hub.server.tokens import Token

PAGE = 1000
"""Items in one answer at most; a Link header leads to the rest."""
NOT_FILTERED = ("num_parameters", "inference", "inference_provider", "apps")
ORDERS: dict[str | None, Order] = {
    **dict.fromkeys((None, "downloads", "likes", "trendingScore"), "name"),
    "lastModified": "modified",
    "createdAt": "created",
}
"""What can be asked for; the Hub's counts of downloads and likes are not kept here."""
ALWAYS = ("_id", "id")
PAGE_EXPANDED = 50
"""The same where the last commit of each is looked for."""
BACK = 200
"""Revisions that are looked at for it."""
Item = tuple[str, Entry | str]
"""A path, and a file or the identifier of a folder."""
T = TypeVar("T")


async def info(request: Request) -> Response:
    """``GET /api/models/<name>[/revision/<revision>]``"""
    hub, revision, expand = hub_of(request), await revision_of(request), _expand(request)
    files = FILES_AND_SIZES if _is_true(request.query_params.get("blobs")) else FILES

    def describe() -> bytes:
        return dumps(_expanded(describe_model(hub.shelf, revision, files), expand))

    if expand:
        return Json(await run_sync(describe))
    key = revision.repository.name, revision.commit, files
    return Json(await _told(hub, key, revision.stamp, describe))


async def models(request: Request) -> Response:
    """``GET /api/models``: those that the asker may read, filtered, sorted, in pages."""
    hub = hub_of(request)
    token = hub.gate.reader(request)
    query = request.query_params
    if odd := [key for key in NOT_FILTERED if key in query]:
        raise unsupported(f"filter {odd[0]!r}", "Filter by filter, author, search or pipeline_tag.")

    order = ORDERS.get(query.get("sort"))
    if order is None:
        raise unsupported(f"order {query['sort'][:40]!r}", "Sort by lastModified or createdAt.")
    expand, full = _expand(request), _is_true(query.get("full"))
    card = full or _is_true(query.get("cardData"))
    siblings = FILES if full or "siblings" in expand else None
    start, count = _slice(request, PAGE)

    def describe(model: Model) -> dict[str, Any]:
        found = describe_model(hub.shelf, hub.shelf.revision(hub.shelf.place(model.name)), siblings)
        kept = found if card or expand else {key: found[key] for key in found if key not in CARD}
        return _expanded(kept, expand)

    def find() -> Response:
        if _is_true(query.get("gated")):  # none is
            return Json([])
        models, more = hub.catalogue.page(_wanted(request, token), order, start, count)
        if card or expand or siblings:
            body: Any = list(_described(models, describe))
        else:
            body = told(models)
        return _linked(request, Json(body), start + count if more else None)

    return await run_sync(find)


async def tree(request: Request) -> Response:
    """``GET /api/models/<name>/tree/<revision>[/<folder>]``"""
    hub, revision, query = hub_of(request), await revision_of(request), request.query_params
    folder = request.path_params.get("path", "").strip("/")
    expand, recursive = _is_true(query.get("expand")), _is_true(query.get("recursive"))

    def find() -> Response:
        items = tree_of(revision, folder, recursive)
        if folder and not items:
            raise no_entry(revision.repository.name, ascii(folder)[1:-1][:200])
        describe = _describer(hub.shelf, revision, expand)
        return _page(request, items, describe, PAGE_EXPANDED if expand else PAGE)

    return await run_sync(find)


async def paths_info(request: Request) -> Response:
    """``POST /api/models/<name>/paths-info/<revision>``: of what there is among some paths."""
    hub, revision = hub_of(request), await revision_of(request)
    form = await read_form(request, hub.limits)
    wanted = {path.strip("/") for path in form.get("paths", [])}
    expand = any(map(_is_true, form.get("expand", [])))
    if expand and len(wanted) > PAGE_EXPANDED:
        raise RefusedError(400, f"Commits are told of up to {PAGE_EXPANDED} paths at once. Ask about fewer.")

    def find() -> list[dict[str, Any]]:
        describe = _describer(hub.shelf, revision, expand)
        return [describe(item) for item in tree_of(revision, "", recursive=True) if item[0] in wanted]

    return Json(await run_sync(find))


async def refs(request: Request) -> Response:
    """``GET /api/models/<name>/refs``"""
    repository = (await revision_of(request)).repository
    tags = [_ref(tag, "tags", commit) for tag, commit in repository.tags().items()]
    main = _ref(MAIN, "heads", repository.ref() or "")
    return Json({"branches": [main], "tags": tags, "converts": [], "pullRequests": []})


async def commits(request: Request) -> Response:
    """``GET /api/models/<name>/commits/<revision>``: it and those before it, the latest first."""
    revision = await revision_of(request)

    def describe(commit: str) -> dict[str, Any]:
        note = about.note_of(revision.repository, revision.about, commit)
        return {
            "id": commit,
            "title": note.title,
            "message": note.message,
            "date": note.date,
            "authors": [{"user": note.author}],
        }

    return await run_sync(lambda: _page(request, history(revision.repository, revision.commit), describe))


def history(repository: Repository, commit: str) -> list[str]:
    """A commit and all that were there before it; what ``main`` stands for is the latest."""
    main = repository.ref()
    ordered = sorted(repository.commits(), key=lambda known: known != main)
    return ordered[ordered.index(commit) :] if commit in ordered else [commit]


def tree_of(revision: Revision, folder: str, recursive: bool) -> list[Item]:
    """Files and folders in a folder of a revision, by path."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, Entry | str] = {}
    inside: dict[str, dict[str, str]] = {}
    for path, entry in revision.files.items():
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        for count in range(1, len(parts)):
            inside.setdefault(prefix + "/".join(parts[:count]), {})[path] = entry.digest
        if recursive or len(parts) == 1:
            found[path] = entry
    for path, digests in inside.items():
        if recursive or "/" not in path[len(prefix) :]:
            found[path] = commit_of(digests)
    return sorted(found.items())


def _describer(shelf: Shelf, revision: Revision, expand: bool) -> Callable[[Item], dict[str, Any]]:
    def describe(item: Item) -> dict[str, Any]:
        path, what = item
        if isinstance(what, str):
            found: dict[str, Any] = {"type": "directory", "path": path, "oid": what, "size": 0}
        else:
            found = {"type": "file", "path": path, "oid": what.oid, "size": what.size}
            found["lfs"] = lfs(what, "oid")
        return found | ({"lastCommit": _last(shelf, revision, path)} if expand else {})

    return describe


def _last(shelf: Shelf, revision: Revision, path: str) -> dict[str, str]:
    """The commit since which a file, or everything in a folder, is as it is, as far back as one looks."""

    def content(files: Any) -> dict[str, str]:
        return {p: e.digest for p, e in files.items() if p == path or p.startswith(f"{path}/")}

    last, now = revision.commit, content(revision.files)
    for commit in history(revision.repository, revision.commit)[1:BACK]:
        if content(shelf.revision(revision.repository, commit).files) != now:
            break
        last = commit
    note = about.note_of(revision.repository, revision.about, last)
    return {"id": last, "title": note.title, "date": note.date}


def _wanted(request: Request, token: Token | None) -> Wanted:
    query = request.query_params
    return Wanted(
        tags=tuple(tag for text in query.getlist("filter") for tag in text.split(",")),
        author=query.get("author"),
        parts=tuple(query.getlist("search")),
        pipeline=query.get("pipeline_tag"),
        token=token,
    )


def _described(
    models: Sequence[Model], describe: Callable[[Model], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for model in models:
        with suppress(RefusedError, OSError):  # deleted meanwhile, or damaged
            yield describe(model)


async def _told(hub: Hub, key: object, stamp: object, tell: Callable[[], bytes]) -> bytes:
    """What was told before, at once; anything new from a thread."""
    known = hub.told.known(key, stamp)
    return known if known is not None else await run_sync(hub.told.get, key, stamp, tell)


def _page(
    request: Request, items: Sequence[T], describe: Callable[[T], dict[str, Any]], most: int = PAGE
) -> Response:
    """A page of items, with the address of the next one."""
    start, count = _slice(request, most)
    response = Json([describe(item) for item in items[start : start + count]])
    return _linked(request, response, start + count if start + count < len(items) else None)


def _slice(request: Request, most: int) -> tuple[int, int]:
    """Where a page begins, and how many items it has."""
    query = request.query_params
    return _number(query.get("skip"), 0, 10**9), _number(query.get("limit"), most, most) or most


def _linked(request: Request, response: Response, following: int | None) -> Response:
    """An answer with the address of the page that begins at an item, if there is one."""
    if following is not None:
        parameters = [(key, value) for key, value in request.query_params.multi_items() if key != "skip"]
        address = urlencode([*parameters, ("skip", following)])
        here = f"{base_url(request)}{quote(request.scope['path'])}"
        response.headers["Link"] = f'<{here}?{address}>; rel="next"'
    return response


def _number(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise RefusedError(400, f"{ascii(text)[:40]} is no number of items. Give digits.")
    return min(int(text), most)


def _expand(request: Request) -> frozenset[str]:
    query = request.query_params
    return frozenset(query.getlist("expand") + query.getlist("expand[]"))


def _expanded(model: dict[str, Any], expand: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key in expand or key in ALWAYS} if expand else model


def _ref(name: str, kind: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1", "yes")
