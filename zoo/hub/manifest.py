"""What a revision consists of, as an object store keeps it: a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from zoo.checkpoints.folder import describe, parse_json
from zoo.hub.base import commit_of
from zoo.placing import is_plain
from zoo.specs.record import FileEntry


@dataclass(frozen=True)
class Manifest:
    """The files of a revision by size and SHA-256, and when it was published."""

    files: dict[str, FileEntry]
    created: str
    """In UTC, to the microsecond: manifests of the same files have the same length."""

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Manifest:
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return cls({file: describe(data) for file, data in sorted(files.items())}, created)

    @classmethod
    def parse(cls, data: bytes, commit: str) -> Manifest:
        """Raises ValueError for what is no manifest of this commit."""
        try:
            document = parse_json(data)
            files = {file: FileEntry.model_validate(entry) for file, entry in document["files"].items()}
            manifest = cls(files, str(document["created"]))
        except (KeyError, TypeError, AttributeError, RecursionError) as problem:
            raise ValueError(f"it is no manifest ({type(problem).__name__}: {problem})") from problem
        if manifest.commit != commit or not all(map(is_plain, files)):
            raise ValueError(f"it is not the manifest of {commit[:12]}")
        return manifest

    @property
    def commit(self) -> str:
        return commit_of({file: entry.sha256 for file, entry in self.files.items()})

    @property
    def digests(self) -> set[str]:
        return {entry.sha256 for entry in self.files.values()}

    def text(self) -> bytes:
        """The JSON, which :meth:`parse` reads."""
        files = {file: {"sha256": entry.sha256, "size": entry.size} for file, entry in self.files.items()}
        return f"{json.dumps({'created': self.created, 'files': files}, indent=1)}\n".encode()
