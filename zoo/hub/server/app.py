"""The addresses of a hub, and what answers them. They are those that ``huggingface_hub`` uses for models."""

from __future__ import annotations

from pathlib import Path

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from zoo.hub.server import files, pages, reading, writing
from zoo.hub.server.hub import Hub
from zoo.hub.server.limits import Limits
from zoo.hub.server.refusals import REPOSITORY, RefusedError, unsupported
from zoo.hub.server.replies import Safely


class _Name(Convertor[str]):
    """``name`` or ``organisation/name``; whether it is a valid one is seen later."""

    regex = "[^/]+(?:/[^/]+)?"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
register_url_convertor("repo", _Name())


def application(root: Path, private: bool = False, limits: Limits | None = None) -> ASGIApp:
    """The server of a folder. ``private``: reading needs a token, too."""
    return Safely(Router(_routes(), redirect_slashes=False), Hub(root, private, limits))


def _routes() -> list[Route]:
    one = "/api/models/{repo:repo}"
    return [
        _File("/{repo:repo}/resolve/{revision}/{path:path}", files.resolve),
        Route(f"{one}/revision/{{revision:path}}", reading.info, methods=["GET"]),
        Route(f"{one}/tree/{{revision}}/{{path:path}}", reading.tree, methods=["GET"]),
        Route(f"{one}/tree/{{revision}}", reading.tree, methods=["GET"]),
        Route(f"{one}/paths-info/{{revision}}", reading.paths_info, methods=["POST"]),
        Route(f"{one}/refs", reading.refs, methods=["GET"]),
        Route(f"{one}/commits/{{revision}}", reading.commits, methods=["GET"]),
        Route(f"{one}/preupload/{{revision:path}}", writing.preupload, methods=["POST"]),
        Route(f"{one}/commit/{{revision:path}}", writing.commit, methods=["POST"]),
        Route(f"{one}/tag/{{revision:path}}", writing.tag, methods=["POST"]),
        Route(f"{one}/tag/{{revision:path}}", writing.untag, methods=["DELETE"]),
        Route(f"{one}/branch/{{revision:path}}", writing.branch, methods=["POST", "DELETE"]),
        Route(f"{one}/settings", writing.settings, methods=["PUT"]),
        Route(f"{one}/xet-{{kind}}-token/{{revision:path}}", _no_xet, methods=["GET", "POST"]),
        Route("/{repo:repo}/info/lfs/objects/batch", _no_lfs, methods=["POST"]),
        Route("/api/repos/create", writing.create, methods=["POST"]),
        Route("/api/repos/delete", writing.delete, methods=["DELETE"]),
        Route("/api/repos/move", writing.move, methods=["POST"]),
        Route("/api/whoami-v2", writing.whoami, methods=["GET"]),
        Route("/api/validate-yaml", writing.validate, methods=["POST"]),
        Route("/api/models", reading.models, methods=["GET"]),
        Route(one, reading.info, methods=["GET"]),
        Route("/api/{rest:path}", _nothing, methods=METHODS),
        Route("/datasets/{rest:path}", _nothing, methods=METHODS),
        Route("/spaces/{rest:path}", _nothing, methods=METHODS),
        Route("/health", pages.health, methods=["GET"]),
        Route("/", pages.index, methods=["GET"]),
        Route("/{repo:repo}/tree/{revision}", pages.model, methods=["GET"]),
        Route("/{repo:repo}/commit/{revision}", pages.model, methods=["GET"]),
        Route("/{repo:repo}", pages.model, methods=["GET"]),
    ]


class _File(Route):
    """A route to what speaks for itself, without the layers between that a download does not need."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, lambda request: None)
        self.methods = None
        self.app = app


async def _nothing(request: Request) -> Response:
    kind = request.scope["path"].removeprefix("/api").split("/")[1]
    if kind in ("datasets", "spaces", "kernels", "buckets"):
        raise RefusedError(404, f"This hub keeps models only, and no {kind}. Publish a model.", REPOSITORY)
    raise RefusedError(404, "This hub has no such address. docs/serve.md says which of the Hub's it has.")


async def _no_xet(request: Request) -> Response:
    raise RefusedError(404, "This hub has no Xet storage. Files are sent inside the commit.", "NotSupported")


async def _no_lfs(request: Request) -> Response:
    raise unsupported("LFS uploads", "Send files inside the commit, as huggingface_hub does here.")
