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
from zoo.hub.repository import Repository
from zoo.hub.server import about
from zoo.hub.server.access import namespace
from zoo.hub.server.bodies import read_form
from zoo.hub.server.cards import dumps
from zoo.hub.server.hub import Hub, base_url, hub_of, revision_of
from zoo.hub.server.refusals import RefusedError, no_entry, unsupported
from zoo.hub.server.replies import Json
from zoo.hub.server.shelf import Entry, Revision, Shelf
from zoo.hub.server.tokens import Token

PAGE = 1000
"""Items in one answer at most; a Link header leads to the rest."""
NOT_FILTERED = ("num_parameters", "inference", "inference_provider", "apps")
ALWAYS = ("_id", "id")
CARD = ("cardData", "model-index")
FILES, FILES_AND_SIZES = "files", "files and sizes"
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

    expand, full = _expand(request), _is_true(query.get("full"))
    card = full or _is_true(query.get("cardData"))
    siblings = FILES if full or "siblings" in expand else None

    def find() -> list[Revision]:
        found = [revision for revision in readable(hub, token) if _matches(hub.shelf, revision, request)]
        return _sorted(hub.shelf, found, query.get("sort"))

    def describe(revision: Revision) -> dict[str, Any]:
        model = _expanded(describe_model(hub.shelf, revision, siblings), expand)
        return model if card or expand else {key: model[key] for key in model if key not in CARD}

    return await run_sync(lambda: _page(request, find(), describe))


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


def readable(hub: Hub, token: Token | None) -> Iterator[Revision]:
    """The newest revision of every model that the holder of a token, or anyone, may read; by name."""
    for name in hub.shelf.names():
        with suppress(RefusedError, OSError):  # deleted meanwhile, or damaged
            place = hub.shelf.repository(name)
            said = hub.shelf.about(place)
            if hub.gate.may_read(token, name, said):
                yield hub.shelf.revision(place, about=said)


def describe_model(shelf: Shelf, revision: Revision, files: str | None = None) -> dict[str, Any]:
    """Everything that is told of a model; ``files`` is how much of its files."""
    card, name = shelf.card(revision), revision.repository.name
    found = {
        "_id": name,
        "id": name,
        "modelId": name,
        "author": namespace(name) or None,
        "sha": revision.commit,
        "lastModified": about.note_of(revision.repository, revision.about, revision.commit).date,
        "createdAt": shelf.created(revision),
        "private": revision.about.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "library_name": card.library,
        "pipeline_tag": card.data.get("pipeline_tag"),
        "tags": list(card.tags),
        "cardData": card.data,
        "model-index": card.data.get("model-index"),
        "usedStorage": sum({entry.digest: entry.size for entry in revision.files.values()}.values()),
    }
    if files is not None:
        sizes = files == FILES_AND_SIZES
        found["siblings"] = [_sibling(path, entry, sizes) for path, entry in revision.files.items()]
    return found


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
            found["lfs"] = _lfs(what, "oid")
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


def _matches(shelf: Shelf, revision: Revision, request: Request) -> bool:
    query, name, card = request.query_params, revision.repository.name, shelf.card(revision)
    return (
        all(wanted in card.tags for text in query.getlist("filter") for wanted in text.split(","))
        and query.get("author", namespace(name)) == namespace(name)
        and all(text.lower() in name for text in query.getlist("search"))
        and query.get("pipeline_tag", card.data.get("pipeline_tag")) == card.data.get("pipeline_tag")
        and not _is_true(query.get("gated"))
    )


def _sorted(shelf: Shelf, found: list[Revision], by: str | None) -> list[Revision]:
    """By name, or the latest first; the Hub's counts of downloads and likes are not kept here."""
    if by in ("lastModified", "createdAt"):
        return sorted(found, key=lambda revision: str(describe_model(shelf, revision)[by]), reverse=True)
    if by not in (None, "downloads", "likes", "trendingScore"):
        raise unsupported(f"order {by[:40]!r}", "Sort by lastModified or createdAt.")
    return found


async def _told(hub: Hub, key: object, stamp: object, tell: Callable[[], bytes]) -> bytes:
    """What was told before, at once; anything new from a thread."""
    known = hub.told.known(key, stamp)
    return known if known is not None else await run_sync(hub.told.get, key, stamp, tell)


def _page(
    request: Request, items: Sequence[T], describe: Callable[[T], dict[str, Any]], most: int = PAGE
) -> Response:
    """A page of items, with the address of the next one."""
    query = request.query_params
    start, count = _number(query.get("skip"), 0, 10**9), _number(query.get("limit"), most, most) or most
    response = Json([describe(item) for item in items[start : start + count]])
    if start + count < len(items):
        parameters = [(key, value) for key, value in query.multi_items() if key != "skip"]
        following = urlencode([*parameters, ("skip", start + count)])
        here = f"{base_url(request)}{quote(request.scope['path'])}"
        response.headers["Link"] = f'<{here}?{following}>; rel="next"'
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


def _sibling(path: str, entry: Entry, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    return {"rfilename": path, "size": entry.size, "blobId": entry.oid, "lfs": _lfs(entry, "sha256")}


def _lfs(entry: Entry, digest: str) -> dict[str, Any]:
    return {digest: entry.digest, "size": entry.size, "pointerSize": len(entry.pointer)}


def _ref(name: str, kind: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1", "yes")
