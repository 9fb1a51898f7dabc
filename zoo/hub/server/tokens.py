"""Tokens: who may write to a hub, and who may read what is private in it.

A token is shown once, when it is made. The hub keeps its SHA-256, in a file that only its owner can read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.checkpoints.folder import parse_json
from zoo.errors import HubError, UnknownNameError
from zoo.hub.reference import check_name
from zoo.hub.repository import LOCKS
from zoo.placing import write_swept
from zoo.registry import suggest

FILE = ".tokens.json"
PREFIX = "zoo_"
BYTES = 32
LONGEST = 4096
"""Characters of a header that are looked at."""


@dataclass(frozen=True)
class Token:
    """What a token allows. Its secret is not here, only the SHA-256 of it."""

    name: str
    sha256: str
    created: str
    write: bool = True
    admin: bool = False
    """Everywhere, and not in its own namespace and organisations only."""
    organisations: tuple[str, ...] = ()

    def covers(self, namespace: str) -> bool:
        return self.admin or namespace == self.name or namespace in self.organisations

    @property
    def role(self) -> str:
        return "write" if self.write else "read"


def add(root: Path, name: str, *, write: bool, admin: bool, organisations: tuple[str, ...]) -> str:
    """The secret of a new token. Raises :class:`HubError` where the name is taken or is none."""
    from zoo.hub.server.about import now

    for part in (name, *organisations):
        _check(part)
    secret = PREFIX + secrets.token_urlsafe(BYTES)
    with _locked(root):
        tokens = read(root)
        if any(token.name == name for token in tokens):
            raise HubError(f"{root} has a token {name!r} already. Remove it first, or take another name.")
        token = Token(name, _digest(secret), now(), write, admin, tuple(dict.fromkeys(organisations)))
        _write(root, [*tokens, token])
    return secret


def remove(root: Path, name: str) -> None:
    """Raises :class:`UnknownNameError`."""
    with _locked(root):
        tokens = read(root)
        left = [token for token in tokens if token.name != name]
        if len(left) == len(tokens):
            known = [token.name for token in tokens]
            raise UnknownNameError(
                f"{root} has no token {name!r}.{suggest(name, known)} List them with: zoo token list"
            )
        _write(root, left)


def read(root: Path) -> list[Token]:
    """All tokens, by name; none where there is no file. Raises :class:`HubError` for a damaged one."""
    try:
        found = parse_json((root / FILE).read_bytes())
        return sorted((_token(entry) for entry in found["tokens"]), key=lambda token: token.name)
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise HubError(
            f"{root / FILE} cannot be read: {problem.strerror}. Run this as the owner of that file."
        ) from problem
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as problem:
        raise HubError(
            f"{root / FILE} is damaged. Remove it and make the tokens again with: zoo token add"
        ) from problem


def holder(tokens: list[Token], secret: str) -> Token | None:
    """Whose secret this is. All are compared, each in constant time, so that time tells nothing."""
    digest, found = _digest(secret[:LONGEST]), None
    for token in tokens:
        if hmac.compare_digest(digest, token.sha256):
            found = token
    return found


def _digest(secret: str) -> str:
    """The secret has 256 random bits, so a slow hash would protect nothing more."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token(entry: dict[str, Any]) -> Token:
    token = replace(Token(**entry), organisations=tuple(entry.get("organisations", ())))
    if not all(isinstance(text, str) for text in (token.name, token.sha256, *token.organisations)):
        raise ValueError("a token should be named by text")
    return token


def _write(root: Path, tokens: list[Token]) -> None:
    document = {"tokens": [asdict(token) for token in tokens]}
    write_swept(root / FILE, f"{json.dumps(document, indent=1)}\n".encode(), mode=0o600)


def _check(name: str) -> None:
    if "/" in check_name(name):
        raise HubError(f"{name!r} should be the name of a person or an organisation, without a slash.")


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    from filelock import FileLock

    try:
        (root / LOCKS).mkdir(parents=True, exist_ok=True)
        with FileLock(root / LOCKS / "tokens.lock", timeout=60):
            yield
    except OSError as problem:
        raise HubError(
            f"cannot write to {root}: {problem.strerror or problem}. Take a folder of your own."
        ) from problem
