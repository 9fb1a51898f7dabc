"""What holds of a directory hub whatever happened to those who wrote to it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.base import DirectoryHub, commit_of

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
