"""How a request is refused: a status, a sentence, and the code that makes a client raise the right error."""

from __future__ import annotations

REPOSITORY, REVISION, ENTRY = "RepoNotFound", "RevisionNotFound", "EntryNotFound"
WRONG_TOKEN = "Invalid credentials in Authorization header"
"""The client tells a wrong token from a missing repository by these very words."""


class RefusedError(Exception):
    """A request that is not served, and why."""

    def __init__(self, status: int, message: str, code: str = "", size: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.size = size
        """Of the file that a range was asked of."""


def no_repository(name: str) -> RefusedError:
    """The same for one that is missing and one that may not be seen."""
    message = f"There is no model {name} on this hub, or your token may not read it. Check both."
    return RefusedError(404, message, REPOSITORY)


def no_revision(name: str, revision: str) -> RefusedError:
    message = f"{name} has no revision {revision}. What it has is at /api/models/{name}/refs."
    return RefusedError(404, message, REVISION)


def no_entry(name: str, path: str) -> RefusedError:
    message = f"{name} has no {path} in this revision. Its files are at /api/models/{name}/tree/main."
    return RefusedError(404, message, ENTRY)


def unsupported(what: str, instead: str) -> RefusedError:
    return RefusedError(400, f"This hub has no {what}. {instead}", "NotSupported")
