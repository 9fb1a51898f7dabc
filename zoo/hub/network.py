"""What all hubs on the network have in common: switching them off, and addresses that give nothing away."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

OFF = ("ZOO_OFFLINE", "HF_HUB_OFFLINE")
_SECRET = re.compile(r"(hf_(?=[A-Za-z0-9]{16})|zoo_(?=[a-z0-9_-]{0,64}[A-Z]))[A-Za-z0-9_-]{16,}")
"""Tokens of the Hugging Face Hub, and ours; names of checkpoints have no capitals."""
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\"]{12,}")


def offline() -> str | None:
    """The variable that switches the network off, if one does."""
    return next(
        (name for name in OFF if os.environ.get(name, "").lower() in ("1", "true", "yes", "on")), None
    )


def public(address: str) -> str:
    """An address as it may be shown: without a user, a password, a query or a token."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return _SECRET.sub(r"\1…", address)
    place, slash, path = rest.partition("?")[0].partition("/")
    return _SECRET.sub(r"\1…", f"{scheme}://{place.rpartition('@')[2]}{slash}{path}")


def redacted(text: str) -> str:
    """A message of a library, on one line and without tokens or passwords in addresses."""
    text = re.sub(
        r"[a-z][a-z0-9+.-]{0,15}://[^\s'\"<>()]+", lambda found: public(found[0]), " ".join(text.split())
    )
    return _BEARER.sub(r"\1 …", _SECRET.sub(r"\1…", text))


def has_token(text: str) -> bool:
    """Whether there is a token in a text."""
    return bool(_SECRET.search(text))


def has_secret(address: str) -> bool:
    """Whether an address carries a password or a token."""
    try:
        parts = urlsplit(address)
        return bool(parts.password or "=" in parts.query or has_token(address))
    except ValueError:
        return True
