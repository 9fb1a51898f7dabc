"""What went wrong with a store: whether it may pass, and how it is told."""

from __future__ import annotations

import errno

from zoo.errors import HubError
from zoo.hub.base import UnreachableError
from zoo.hub.network import redacted

_ADVICE = {
    errno.ENOSPC: "The disk is full: free some space, and try again.",
    errno.EDQUOT: "The quota is used up: free some space, and try again.",
    errno.EROFS: "It is read-only: publish to another hub, for example 'local'.",
}
_CREDENTIALS = "Check the credentials, and what they allow: the library of that store looks for them."


class GarbledError(OSError):
    """What was read is not what should be there; perhaps it is next time."""


def explained(problem: Exception, what: str, where: str) -> HubError:
    """One clear error for a failure of the library, the store or the wire, without secrets."""
    if isinstance(problem, FileNotFoundError):
        advice = "Make the bucket or folder first, or check the address."
    elif _is_denied(problem):
        advice = _CREDENTIALS
    else:
        number = getattr(problem, "errno", None) or 0
        advice = _ADVICE.get(number, "Check the address and the network, and try again.")
    reason = redacted(f"{type(problem).__name__}: {problem}")[:300].rstrip(".")
    error = UnreachableError if may_pass(problem) else HubError
    return error(f"cannot {what} in {where}: {reason}. {advice}")


def may_pass(problem: Exception) -> bool:
    """Whether trying again may help: unless the store refuses, or the request is wrong."""
    wrong = (ValueError, TypeError, AttributeError, ImportError, NotImplementedError)
    if isinstance(problem, wrong) or _is_denied(problem):
        return False
    return getattr(problem, "errno", None) not in _ADVICE


def is_precondition(problem: OSError) -> bool:
    """Whether S3 says that what was to be replaced is no longer there."""
    answer = getattr(problem.__cause__, "response", None) or {}
    code = str(answer.get("Error", {}).get("Code", ""))
    return isinstance(problem, FileExistsError) or code in ("PreconditionFailed", "412")


def _is_denied(problem: Exception) -> bool:
    kind = type(problem).__name__
    return isinstance(problem, PermissionError) or "Credential" in kind or "Authentication" in kind
