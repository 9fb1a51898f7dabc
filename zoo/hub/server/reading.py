"""What is told of models: information, lists, trees, references, history."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from zoo.hub.base import MAIN, commit_of
from zoo.hub.repository import Repository
from zoo.hub.server import about
from zoo.hub.server.about import Note
from zoo.hub.server.access import namespace
from zoo.hub.server.bodies import read_form
from zoo.hub.server.cards import dumps
from zoo.hub.server.hub import Hub, base_url, hub_of, revision_of
from zoo.hub.server.refusals import RefusedError, no_entry, unsupported
from zoo.hub.server.replies import Json
from zoo.hub.server.shelf import Entry, Revision, Shelf

PAGE = 1000
"""Items in one answer at most; a Link header leads to the rest."""
NOT_FILTERED = ("num_parameters", "inference", "inference_provider", "apps")
ALWAYS = ("_id", "id")


async def info(request: Request) -> Response:
    """``GET /api/models/<name>[/revision/<revision>]``"""
    revision, query = revision_of(request), request.query_params
    blobs = _is_true(query.get("blobs"))
    expand = frozenset(query.getlist("expand") + query.getlist("expand[]"))
    key = (str(revision.repository.path), revision.commit, blobs, expand)
    hub = hub_of(request)

    def describe() -> bytes:
        return dumps(_expanded(describe_model(hub.shelf, revision, blobs), expand))

    return Json(hub.described.get(key, revision.stamp, describe))


async def models(request: Request) -> Response:
    """``GET /api/models``: those that the asker may read, filtered, sorted, in pages."""
    hub = hub_of(request)
    token = hub.gate.reader(request)
    query = request.query_params
    if odd := [key for key in NOT_FILTERED if key in query]:
        raise unsupported(f"filter {odd[0]!r}", "Filter by filter, author, search or pipeline_tag.")

    def find() -> list[dict[str, Any]]:
        readable = filter(lambda repository: hub.gate.may_read(token, repository), repositories(hub.shelf))
        return _sorted([m for m in _described(hub, readable) if _matches(m, request)], query.get("sort"))

    found = await run_sync(find)
    left_out = {"siblings"} if not _is_true(query.get("full")) else set()
    left_out |= (
        {"cardData"} if not (_is_true(query.get("cardData")) or _is_true(query.get("full"))) else set()
    )
    expand = frozenset(query.getlist("expand") + query.getlist("expand[]"))
    if expand:
        left_out = set()
    return _page(
        request,
        found,
        lambda model: _expanded({k: v for k, v in model.items() if k not in left_out}, expand),
    )


async def tree(request: Request) -> Response:
    """``GET /api/models/<name>/tree/<revision>[/<folder>]``"""
    revision, folder = revision_of(request), request.path_params.get("path", "").strip("/")
    query = request.query_params
    items = tree_of(revision, folder, recursive=_is_true(query.get("recursive")))
    if folder and not items:
        raise no_entry(revision.repository.name, folder[:200])
    describe = _describer(request, revision, _is_true(query.get("expand")))
    return _page(request, items, describe)


async def paths_info(request: Request) -> Response:
    """``POST /api/models/<name>/paths-info/<revision>``: of what there is among some paths."""
    revision, hub = revision_of(request), hub_of(request)
    form = await read_form(request, hub.limits)
    wanted = {path.strip("/") for path in form.get("paths", [])}
    describe = _describer(request, revision, any(map(_is_true, form.get("expand", []))))
    items = [item for item in tree_of(revision, "", recursive=True) if item[0] in wanted]
    return Json([describe(item) for item in items])


async def refs(request: Request) -> Response:
    """``GET /api/models/<name>/refs``"""
    repository = revision_of(request).repository
    tags = [_ref(tag, "tags", commit) for tag, commit in repository.tags().items()]
    main = _ref(MAIN, "heads", repository.ref() or "")
    return Json({"branches": [main], "tags": tags, "converts": [], "pullRequests": []})


async def commits(request: Request) -> Response:
    """``GET /api/models/<name>/commits/<revision>``: it and those before it, the latest first."""
    revision = revision_of(request)

    def describe(commit: str) -> dict[str, Any]:
        note = note_of(revision.repository, revision.about, commit)
        return {
            "id": commit,
            "title": note.title,
            "message": note.message,
            "date": note.date,
            "authors": [{"user": note.author}],
        }

    return _page(request, history(revision.repository, revision.commit), describe)


def repositories(shelf: Shelf) -> Iterator[Repository]:
    for name in shelf.names():
        try:
            yield shelf.repository(name)
        except RefusedError:  # deleted meanwhile, or damaged
            continue


def describe_model(shelf: Shelf, revision: Revision, blobs: bool = False) -> dict[str, Any]:
    """Everything that is told of a model."""
    card, name = shelf.card(revision), revision.repository.name
    note = note_of(revision.repository, revision.about, revision.commit)
    return {
        "_id": name,
        "id": name,
        "modelId": name,
        "author": namespace(name) or None,
        "sha": revision.commit,
        "lastModified": note.date,
        "createdAt": revision.about.created or _created(revision.repository),
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
        "siblings": [_sibling(path, entry, blobs) for path, entry in revision.files.items()],
    }


def note_of(repository: Repository, known: about.About, commit: str) -> Note:
    """What is said of a commit; of one that was published without the server, when that was."""
    if commit in known.notes:
        return known.notes[commit]
    return Note("published", "", repository.root.name, about.stamp(_time(repository, commit)))


def history(repository: Repository, commit: str) -> list[str]:
    """A commit and all that were there before it; what ``main`` stands for is the latest."""
    main = repository.ref()
    ordered = sorted(repository.commits(), key=lambda known: known != main)
    return ordered[ordered.index(commit) :] if commit in ordered else [commit]


Item = tuple[str, Entry | str]
"""A path, and a file or the identifier of a folder."""


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


def _describer(request: Request, revision: Revision, expand: bool) -> Any:
    shelf = hub_of(request).shelf

    def describe(item: Item) -> dict[str, Any]:
        path, what = item
        if isinstance(what, str):
            found: dict[str, Any] = {"type": "directory", "path": path, "oid": what, "size": 0}
        else:
            found = {
                "type": "file",
                "path": path,
                "oid": what.oid,
                "size": what.size,
                "lfs": _lfs(what, "oid"),
            }
        return found | ({"lastCommit": _last(shelf, revision, path)} if expand else {})

    return describe


def _last(shelf: Shelf, revision: Revision, path: str) -> dict[str, str]:
    """The commit since which a file, or everything in a folder, is as it is."""

    def content(files: Any) -> dict[str, str]:
        return {p: e.digest for p, e in files.items() if p == path or p.startswith(f"{path}/")}

    last, now = revision.commit, content(revision.files)
    for commit in history(revision.repository, revision.commit)[1:]:
        if content(shelf.revision(revision.repository, commit).files) != now:
            break
        last = commit
    note = note_of(revision.repository, revision.about, last)
    return {"id": last, "title": note.title, "date": note.date}


def _described(hub: Hub, found: Iterator[Repository]) -> Iterator[dict[str, Any]]:
    for repository in found:
        try:
            revision = hub.shelf.revision(repository)
        except RefusedError:
            continue
        key = (str(repository.path), revision.commit)
        yield hub.described.get(key, revision.stamp, partial(describe_model, hub.shelf, revision))


def _matches(model: dict[str, Any], request: Request) -> bool:
    query = request.query_params
    return (
        all(wanted in model["tags"] for text in query.getlist("filter") for wanted in text.split(","))
        and query.get("author", model["author"]) == model["author"]
        and all(text.lower() in model["id"].lower() for text in query.getlist("search"))
        and query.get("pipeline_tag", model["pipeline_tag"]) == model["pipeline_tag"]
        and not _is_true(query.get("gated"))
    )


def _sorted(found: list[dict[str, Any]], by: str | None) -> list[dict[str, Any]]:
    """By name, or the latest first; the Hub's counts of downloads and likes are not kept here."""
    if by in ("lastModified", "createdAt"):
        return sorted(found, key=lambda model: model[by], reverse=True)
    if by not in (None, "downloads", "likes", "trendingScore"):
        raise unsupported(f"order {by[:40]!r}", "Sort by lastModified or createdAt.")
    return found


def _page(request: Request, items: Sequence[Any], describe: Any) -> Response:
    """A page of items, with the address of the next one."""
    query = request.query_params
    start, count = _number(query.get("skip"), 0, 10**9), _number(query.get("limit"), PAGE, PAGE) or PAGE
    response = Json([describe(item) for item in items[start : start + count]])
    if start + count < len(items):
        parameters = [(key, value) for key, value in query.multi_items() if key != "skip"]
        following = urlencode([*parameters, ("skip", start + count)])
        response.headers["Link"] = f'<{base_url(request)}{request.url.path}?{following}>; rel="next"'
    return response


def _number(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise RefusedError(400, f"{ascii(text)[:40]} is no number of items. Give digits.")
    return min(int(text), most)


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


def _created(repository: Repository) -> str:
    return about.stamp(min((_time(repository, commit) for commit in repository.commits()), default=0.0))


def _time(repository: Repository, commit: str) -> float:
    try:
        return os.lstat(repository.snapshot(commit)).st_mtime
    except OSError:
        return 0.0


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1", "yes")
