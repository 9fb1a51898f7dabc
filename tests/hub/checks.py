"""What holds of a directory hub whatever happened to those who wrote to it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.base import DirectoryHub, commit_of
from zoo.hub.plain import FolderHub

PUBLISHER = Path(__file__).with_name("publisher.py")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(PUBLISHER), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def check_all(hub: DirectoryHub) -> int:
    """Every revision of every name is what its commit says; how many there are."""
    count = 0
    for name in hub.names():
        assert hub.resolve(name) in hub.revisions(name)
        for revision in hub.revisions(name):
            folder = CheckpointFolder(revision.path)
            files = folder.contents()
            assert set(os.listdir(revision.path)) == set(files)
            digests = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
            assert commit_of(digests) == revision.commit
            count += 1
    return count


def leftovers(hub: DirectoryHub) -> Iterator[Path]:
    """Stages, and blobs that nothing links to."""
    linked = {path.resolve() for path in hub.root.glob("models--*/snapshots/*/*")}
    for path in hub.root.rglob("*"):
        if ".zoo-stage-" in str(path) or (path.parent.name == "blobs" and path.resolve() not in linked):
            yield path


def shown(hub: DirectoryHub) -> dict[str, tuple[Any, ...]]:
    """What the index says of each name."""
    return {
        entry.name: (
            entry.commit, entry.revisions, entry.model, entry.task, entry.title, entry.tags, entry.members,
            entry.size, dict(entry.metrics), entry.problem,
        )
        for entry in hub.indexed(lambda index: index.find())
    }  # fmt: skip


def truth(hub: DirectoryHub) -> dict[str, tuple[Any, ...]]:
    """The same, read from every checkpoint by the code that loads it."""
    found = {}
    for name in hub._listed():
        folder = hub.fetch(name)
        record, spec = folder.record, folder.experiment
        commit = "" if isinstance(hub, FolderHub) else hub.resolve(name).commit
        metrics = {metric: (min(values), max(values)) for metric, values in record.metrics.items()}
        found[name] = (
            commit, tuple(sorted(hub.tags(name))), spec.model.kind, spec.task.kind, record.title, record.tags,
            record.members, sum(entry.size for entry in record.files.values()), metrics, "",
        )  # fmt: skip
    return found
