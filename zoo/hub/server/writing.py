"""What changes repositories: create, commit, tag, move, delete, settings; and what a client asks before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from zoo.errors import HubError, UnknownNameError, brief
from zoo.hub.base import MAIN, check_tag
from zoo.hub.card_check import problems
from zoo.hub.reference import check_name
from zoo.hub.repository import Repository
from zoo.hub.server import about, commits
from zoo.hub.server.bodies import read_json, spooled
from zoo.hub.server.hub import base_url, hub_of
from zoo.hub.server.paths import check_path
from zoo.hub.server.refusals import RefusedError, no_repository, no_revision, unsupported
from zoo.hub.server.replies import Json

FIRST = frozenset({"api", "buckets", "datasets", "health", "kernels", "models", "spaces"})
SECOND = frozenset({"refs", "settings"})
"""First and second halves of names that would be taken for other addresses."""
PREUPLOAD = 1000
"""Files that are asked about at once."""


async def create(request: Request) -> Response:
    """``POST /api/repos/create``; 409 with the same answer where it is there already.

    A name without an organisation is made one of the token's own, as on the Hub: the client reads no other.
    """
    hub, body = hub_of(request), await read_json(request, hub_of(request).limits)
    token = hub.gate.who(request)
    name = _named(body, token.name if token else "")
    answer = {"url": f"{base_url(request)}/{name}", "name": name, "id": name}
    if not hub.gate.sees(token, name):  # else anyone may be told so: the client asks before each upload
        token = hub.gate.writer(request)
        hub.gate.check_writes(token, name)
        _check_free_of_addresses(name)
        private, author, repository = bool(_private(body)), token.name, Repository(hub.shelf.root, name)
        if await hub.write(lambda: commits.create(repository, private, author)):
            return Json(answer)
    message = f"{name} is on this hub already. Take another name, or write to that one."
    return Json({**answer, "error": message}, 409, {"X-Error-Message": message})


async def delete(request: Request) -> Response:
    """``DELETE /api/repos/delete``: everything under a name, for good."""
    hub = hub_of(request)
    body = await read_json(request, hub.limits)
    repository, _ = hub.gate.writable(request, _named(body))

    def act() -> None:
        with repository.locked():
            if not repository.exists:
                raise no_repository(repository.name)
            repository.clear()

    await hub.write(act)
    return Json({})


async def move(request: Request) -> Response:
    """``POST /api/repos/move``: another name, everything else as it was."""
    hub = hub_of(request)
    body = await read_json(request, hub.limits)
    _check_model(body)
    source, token = hub.gate.writable(request, _checked_name(body.get("fromRepo")))
    target = Repository(hub.shelf.root, _checked_name(body.get("toRepo")))
    hub.gate.check_writes(token, target.name)
    _check_free_of_addresses(target.name)
    if source.name == target.name:
        raise RefusedError(409, f"{source.name} has this name already. Take another.")

    def act() -> None:
        first, second = sorted((source, target), key=lambda repository: repository.name)
        with (
            first.locked(),
            second.locked(),
        ):  # always in this order, so that two moves cannot wait for each other
            if not source.exists:
                raise no_repository(source.name)
            if target.path.exists():
                raise RefusedError(409, f"{target.name} is taken. Take another name.")
            source.move(target)

    await hub.write(act)
    return Json({"url": f"{base_url(request)}/{target.name}"})


async def settings(request: Request) -> Response:
    """``PUT /api/models/<name>/settings``: private or public."""
    hub = hub_of(request)
    repository, _ = hub.gate.writable(request, request.path_params["repo"])
    body = await read_json(request, hub.limits)
    if body.get("gated"):
        raise unsupported("gated access", "Make the model private instead.")
    private = _private(body)

    def act() -> None:
        with repository.locked():
            if not repository.exists:
                raise no_repository(repository.name)
            now = hub.shelf.about(repository)
            about.write(repository, now if private is None else replace(now, private=private))

    await hub.write(act)
    return Json({} if private is None else {"private": private})


async def preupload(request: Request) -> Response:
    """``POST /api/models/<name>/preupload/<revision>``: all files go into the commit; which are unchanged?"""
    hub = hub_of(request)
    repository, _ = hub.gate.writable(request, request.path_params["repo"])
    _check_commits(request)
    body = await read_json(request, hub.limits)
    files = body.get("files")
    if not isinstance(files, list) or len(files) > PREUPLOAD:
        raise RefusedError(
            400, f"files should be a list of up to {PREUPLOAD} files. Ask about fewer at once."
        )
    known = hub.shelf.revision(repository).files

    def answer(file: Any) -> dict[str, Any]:
        path = check_path(file.get("path") if isinstance(file, dict) else None)
        size = file.get("size")
        if isinstance(size, int) and size > hub.limits.file:
            limit = hub.limits.file // 2**20
            raise RefusedError(413, f"{path} is larger than the {limit:,} MB that a file may have here.")
        entry = known.get(path)
        same_size = entry is not None and entry.size == size
        oid = hub.shelf.content_oid(entry) if entry is not None and same_size else None
        return {"path": path, "uploadMode": "regular", "shouldIgnore": False} | ({"oid": oid} if oid else {})

    return Json({"files": await hub.write(lambda: [answer(file) for file in files])})


async def commit(request: Request) -> Response:
    """``POST /api/models/<name>/commit/main``"""
    hub = hub_of(request)
    repository, token = hub.gate.writable(request, request.path_params["repo"])
    _check_commits(request)
    async with spooled(request, hub.limits) as body:

        def act() -> str:
            with commits.staged(repository) as stage:
                change = commits.read_change(body, stage, hub.limits)
                return commits.apply(hub.shelf, repository, change, token.name, hub.limits)

        made = await hub.write(act)
    url = f"{base_url(request)}/{repository.name}/commit/{made}"
    return Json({"success": True, "commitOid": made, "commitUrl": url, "hookOutput": ""})


async def tag(request: Request) -> Response:
    """``POST /api/models/<name>/tag/<revision>``: a name for a revision, which never moves."""
    hub = hub_of(request)
    repository, _ = hub.gate.writable(request, request.path_params["repo"])
    name = (await read_json(request, hub.limits)).get("tag")
    try:
        check_tag(name)  # type: ignore[arg-type]  # says so itself where it is no text
    except (HubError, UnknownNameError) as problem:
        raise RefusedError(400, str(problem)) from None

    def act() -> None:
        with repository.locked():
            revision = hub.shelf.revision(repository, request.path_params["revision"])
            if taken := repository.ref(str(name)):
                raise RefusedError(
                    409,
                    f"{repository.name}@{name} stands for {taken[:12]}, and a tag never moves. Take another.",
                )
            repository.set_ref(str(name), revision.commit)

    await hub.write(act)
    return Json({})


async def untag(request: Request) -> Response:
    """``DELETE /api/models/<name>/tag/<tag>``: the revision stays."""
    hub, name = hub_of(request), request.path_params["revision"]
    repository, _ = hub.gate.writable(request, request.path_params["repo"])

    def act() -> None:
        with repository.locked():
            if name not in repository.tags():
                raise no_revision(repository.name, ascii(name)[1:-1][:100])
            repository.remove_ref(name)

    await hub.write(act)
    return Json({})


async def branch(request: Request) -> Response:
    """``POST`` and ``DELETE /api/models/<name>/branch/<branch>``: there is only main."""
    hub_of(request).gate.writable(request, request.path_params["repo"])
    if request.path_params["revision"] == MAIN and request.method == "POST":
        raise RefusedError(409, "The branch main is there already. Commit to it.")
    raise unsupported("branches but main", "Commit to main, and name the revision with a tag.")


async def validate(request: Request) -> Response:
    """``POST /api/validate-yaml``: what the client asks before it pushes a card; without a token."""
    hub = hub_of(request)
    content = (await read_json(request, hub.limits)).get("content")
    found = await hub.check(lambda: problems(content if isinstance(content, str) else ""))
    errors = [{"message": problem} for problem in found]
    return Json({"errors": errors, "warnings": []}, 400 if errors else 200)


async def whoami(request: Request) -> Response:
    """``GET /api/whoami-v2``"""
    token = hub_of(request).gate.who(request)
    if token is None:
        raise RefusedError(401, "Nobody is logged in. Give a token as HF_TOKEN or token=…")
    role = "admin" if token.admin else token.role
    return Json(
        {
            "type": "user",
            "id": token.name,
            "name": token.name,
            "fullname": token.name,
            "isPro": False,
            "orgs": [{"type": "org", "name": name, "roleInOrg": role} for name in token.organisations],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": token.name, "role": token.role, "createdAt": token.created},
            },
        }
    )


def _named(body: dict[str, Any], organisation: str = "") -> str:
    """The name in a body, in this organisation where it says none."""
    _check_model(body)
    organisation, name = body.get("organization") or organisation, body.get("name")
    return _checked_name(f"{organisation}/{name}" if organisation and isinstance(name, str) else name)


def _private(body: dict[str, Any]) -> bool | None:
    """Whether a body asks for private or public; none where it says nothing about it."""
    visibility, private = body.get("visibility"), body.get("private")
    if visibility is None and (private is None or isinstance(private, bool)):
        return private
    if visibility not in ("private", "public"):
        raise RefusedError(400, f"{brief(visibility)} is no visibility. Take 'private' or 'public'.")
    return bool(visibility == "private")


def _checked_name(name: Any) -> str:
    try:
        return check_name(name)
    except UnknownNameError as problem:
        raise RefusedError(400, str(problem)) from None


def _check_free_of_addresses(name: str) -> None:
    first, _, second = name.partition("/")
    if first in FIRST or second in SECOND:
        raise RefusedError(400, f"{name} would be taken for another address of this hub. Take another name.")


def _check_model(body: dict[str, Any]) -> None:
    if body.get("type", "model") not in ("model", None):
        raise unsupported(f"{str(body['type'])[:20]} repositories", "It keeps models only.")


def _check_commits(request: Request) -> None:
    if "/" not in request.path_params["repo"]:  # the client cannot read the answer for these
        raise unsupported(
            "commits to names without an organisation",
            "Publish in the served folder itself, or under a name like lab/net.",
        )
    if request.query_params.get("create_pr") in ("1", "true", "True"):
        raise unsupported("pull requests", "Commit to main, with parent_commit if others write, too.")
    if request.path_params["revision"] != MAIN:
        raise unsupported("branches but main", "Commit to main, and name the revision with a tag.")
