"""Who may do what: read from the token that came with a request."""

from __future__ import annotations

from starlette.requests import Request

from zoo.errors import HubError
from zoo.hub.server import tokens
from zoo.hub.server.about import About
from zoo.hub.server.refusals import WRONG_TOKEN, RefusedError, no_repository
from zoo.hub.server.remembering import Remembered, identity
from zoo.hub.server.shelf import Place, Shelf
from zoo.hub.server.tokens import Token


class Gate:
    """What a request may read and write."""

    def __init__(self, shelf: Shelf, private: bool) -> None:
        self.shelf = shelf
        self.private = private
        """Whether reading needs a token, too."""
        self._file = shelf.root / tokens.FILE
        self._tokens: Remembered[list[Token]] = Remembered(2)

    def who(self, request: Request) -> Token | None:
        """None for somebody without a token. Raises :class:`RefusedError` for a wrong one."""
        header = request.headers.get("authorization")
        if not header:
            return None
        scheme, _, secret = header.partition(" ")
        token = tokens.holder(self._known(), secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise RefusedError(401, WRONG_TOKEN)
        return token

    def reader(self, request: Request) -> Token | None:
        """Whoever reads here. Raises :class:`RefusedError` where that needs a token."""
        token = self.who(request)
        if self.private and token is None:
            raise RefusedError(401, f"This hub needs a token for reading, too. {_ASK}")
        return token

    def may_read(self, token: Token | None, name: str, about: About) -> bool:
        return not about.private or (token is not None and token.covers(namespace(name)))

    def sees(self, token: Token | None, name: str) -> bool:
        """Whether there is a repository of this name that may be read."""
        place = self.shelf.place(name)
        allowed = token is not None or not self.private
        return place.exists and allowed and self.may_read(token, name, self.shelf.about(place))

    def readable(self, request: Request, name: str) -> tuple[Place, About]:
        """Where a repository is, if it is there, and what is said of it. Raises :class:`RefusedError`."""
        token = self.reader(request)
        place = self.shelf.place(name)
        about = self.shelf.about(place)
        if not self.may_read(token, name, about):
            raise no_repository(name)
        return place, about

    def writer(self, request: Request) -> Token:
        """Whoever may write somewhere. Raises :class:`RefusedError`."""
        token = self.who(request)
        if token is None and not self._known():
            raise RefusedError(
                403,
                "This hub has no tokens yet, so nobody can write. Whoever runs it adds one with: "
                "zoo token add NAME --hub DIR",
            )
        if token is None:
            raise RefusedError(401, f"Writing needs a token. {_ASK}")
        if not token.write:
            raise RefusedError(403, f"The token {token.name!r} is for reading only. {_ASK}")
        return token

    def check_writes(self, token: Token, name: str) -> None:
        """Raises :class:`RefusedError` unless the token may write under this name."""
        if token.covers(namespace(name)):
            return
        where = f"under {namespace(name)}/" if "/" in name else "names without an organisation"
        own = ", ".join(f"{part}/" for part in (token.name, *token.organisations))
        raise RefusedError(403, f"The token {token.name!r} may not write {where}. It may write under {own}")

    def writable(self, request: Request, name: str) -> tuple[Place, Token]:
        """A repository that is there, and whoever writes to it. Raises :class:`RefusedError`."""
        token = self.writer(request)
        repository = self.shelf.repository(name)
        if not self.may_read(token, name, self.shelf.about(repository)):
            raise no_repository(name)
        self.check_writes(token, name)
        return repository, token

    def _known(self) -> list[Token]:
        return self._tokens.get("tokens", identity(self._file), self._read)

    def _read(self) -> list[Token]:
        try:
            return tokens.read(self.shelf.root)
        except HubError as problem:
            raise RefusedError(503, "This hub cannot read its tokens. Tell whoever runs it.") from problem


_ASK = "Give one as HF_TOKEN or token=…, or ask whoever runs this hub for one."


def namespace(name: str) -> str:
    """The organisation in a name; nothing where there is none."""
    return name.partition("/")[0] if "/" in name else ""
