"""What the storage itself does not say of a repository: whether it is private, and who committed what, when.

One JSON file beside the storage, always written whole. Without it a repository is public. Where it is
damaged, the repository counts as private and its commits have no titles; all else works as before.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.checkpoints.folder import parse_json
from zoo.hub.repository import Repository
from zoo.placing import write_swept

FILE = "about.json"
MAX = 16 * 2**20


@dataclass(frozen=True)
class Note:
    """What is said of a commit."""

    title: str
    message: str
    author: str
    date: str
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class About:
    private: bool = False
    created: str = ""
    notes: dict[str, Note] = field(default_factory=dict)
    """By commit."""

    def noted(self, commit: str, note: Note) -> About:
        return replace(self, notes={**self.notes, commit: note})


def now() -> str:
    return stamp(datetime.now(UTC).timestamp())


def stamp(seconds: float) -> str:
    """A time as the client reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def first(repository: Repository) -> str:
    """When the oldest revision that is left was published."""
    return stamp(min((published(repository, commit) for commit in repository.commits()), default=0.0))


def published(repository: Repository, commit: str) -> float:
    """When a revision was published, in seconds since 1970; 0 where it is gone."""
    try:
        return os.lstat(repository.snapshot(commit)).st_mtime
    except OSError:
        return 0.0


def note_of(repository: Repository, about: About, commit: str) -> Note:
    """What is said of a commit; of one that was published without the server, when that was."""
    if commit in about.notes:
        return about.notes[commit]
    return Note("published", "", repository.root.name, stamp(published(repository, commit)))


def where(repository: Repository) -> Path:
    return repository.path / FILE


def read(repository: Repository) -> About:
    """Never raises because of what the file says."""
    try:
        with open(where(repository), "rb") as stream:
            found = parse_json(stream.read(MAX))
        return About(bool(found["private"]), _text(found.get("created")), _notes(found.get("commits")))
    except FileNotFoundError:
        return About()
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return About(private=True)


def write(repository: Repository, about: About) -> None:
    """For the holder of the repository's lock; commits that are no more are forgotten."""
    kept = {commit: about.notes[commit] for commit in repository.commits() if commit in about.notes}
    document = {
        "private": about.private,
        "created": about.created,
        "commits": {commit: vars(note) for commit, note in kept.items()},
    }
    write_swept(where(repository), f"{json.dumps(document, indent=1)}\n".encode())


def _notes(found: Any) -> dict[str, Note]:
    if not isinstance(found, dict):
        return {}
    fields = ("title", "message", "author", "date")
    return {
        commit: Note(*(_text(note.get(name)) for name in fields))
        for commit, note in found.items()
        if isinstance(note, dict)
    }


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""
