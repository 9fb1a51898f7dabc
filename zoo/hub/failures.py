"""What went wrong between here and a hub on the network, in one sentence and as one of our errors."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import HubError, OfflineError, UnknownNameError, UnknownRevisionError
from zoo.hub.base import MAIN, OvertakenError
from zoo.hub.base import UnreachableError as UnreachableError
from zoo.hub.download import pause
from zoo.hub.network import redacted
from zoo.registry import suggest


@dataclass(frozen=True)
class Attempt:
    """What was tried, as messages tell it."""

    doing: str
    """``cannot publish hf://lab/rnn on https://huggingface.co``."""
    id: str
    """The checkpoint as it is spelled, ``hf://lab/rnn``; empty where it is about none."""
    page: str
    """Its address for a browser."""
    revision: str
    login: str
    """How to get leave: ``log in with …``."""
    tags: tuple[str, ...] = ()
    """Revisions that there are, where one was not found."""


def explained(problem: Exception, attempt: Attempt) -> Exception:
    """An error of the library, the hub or the wire as one of ours."""
    from httpx2 import ConnectError, HTTPError, InvalidURL, TransportError
    from huggingface_hub import errors

    doing, id = attempt.doing, attempt.id
    answer = getattr(problem, "response", None)
    status: int = getattr(answer, "status_code", 0)
    if isinstance(problem, errors.GatedRepoError):
        return HubError(f"{doing}: its owner gives access on request. Ask for it at {attempt.page}.")
    if isinstance(problem, errors.RepositoryNotFoundError) and status != 401:
        return UnknownNameError(
            f"there is no {id} that this token may see. Check the name; for a private one, {attempt.login}"
        )
    if isinstance(problem, errors.RevisionNotFoundError):
        return UnknownRevisionError(
            f"{id} has no revision {attempt.revision!r}.{suggest(attempt.revision, attempt.tags)} "
            f"It has: {', '.join([MAIN, *attempt.tags][:20])}, or give a commit."
        )
    if isinstance(problem, errors.HFValidationError):
        return UnknownNameError(f"{id} cannot be the name of a repository: {redacted(str(problem))}")
    if status in (401, 403) or isinstance(problem, errors.LocalTokenNotFoundError):
        reason = "this token may not do that" if status == 403 else "no token, or one that is not valid"
        return HubError(f"{doing}: {reason}. To write there, {attempt.login}")
    if status in (409, 412):
        return OvertakenError(
            f"{doing}: somebody else has published in the meantime. Look at what is there with "
            f"'zoo show {id}', and publish again. Nothing was changed."
        )
    if status == 413:
        return HubError(f"{doing}: it is larger than this hub takes.")
    if isinstance(problem, errors.OfflineModeIsEnabled):
        return OfflineError(f"{doing}: HF_HUB_OFFLINE switches the network off. Unset it, and try again.")
    if status == 429 or status >= 500:
        return UnreachableError(
            f"{doing}: it answers {status} ({_said(problem)}). Try again later.", pause(answer, 0)
        )
    if not status and isinstance(problem, (HTTPError, OSError, InvalidURL)):
        cut = isinstance(problem, TransportError) and not isinstance(problem, ConnectError)
        return UnreachableError(
            f"{doing}: {_said(problem)}. Check the address and the network, and try again; what has been "
            "fetched is kept.",
            0.0 if cut else None,
        )
    return HubError(f"{doing}: {_said(problem)}.")


def _said(problem: Exception) -> str:
    return redacted(f"{type(problem).__name__}: {problem}")[:300].rstrip(".")
