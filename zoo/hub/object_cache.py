"""What has been fetched of one name in a store, as a directory hub keeps it; several processes share it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zoo.errors import HubError
from zoo.hub.manifest import Manifest
from zoo.hub.repository import Repository
from zoo.placing import staging, write_whole


class ObjectCache:
    """Files by content, links to them in a folder a commit, and manifests beside those folders.

    All of it can be fetched again.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._repository = Repository(root, name)
        self.path = self._repository.path

    def snapshot(self, commit: str) -> Path:
        """The folder for the files of a commit, as far as they are here."""
        return self._repository.snapshot(commit)

    def manifest(self, commit: str) -> Manifest | None:
        """The manifest of a commit, if it is here."""
        with suppress(OSError, ValueError):
            return Manifest.parse(self._manifest(commit).read_bytes(), commit)
        return None

    def keep(self, manifest: Manifest) -> None:
        """Have a manifest here; one that cannot be kept is read again."""
        with suppress(OSError):
            write_whole(self._manifest(manifest.commit), manifest.text())

    def bring(self, commit: str, file: str, sha256: str, download: Callable[[Path], None]) -> None:
        """Have a file of a commit here, which ``download`` writes to a path, verified, if it is not.

        Raises what that raises, and :class:`HubError` where the disk refuses.
        """
        blob, place = self.path / "blobs" / sha256, self.snapshot(commit) / file
        try:
            with staging(self.path, "fetch") as stage:
                for folder in (blob.parent, place.parent):
                    folder.mkdir(parents=True, exist_ok=True)
                if not blob.exists():
                    download(stage / "blob")
                    os.replace(stage / "blob", blob)
                _link(stage / "link", blob, place)
        except OSError as problem:
            raise HubError(
                f"cannot keep {file} of {self.name} in {self.path}: {problem.strerror or problem}. "
                "Free some space, or set ZOO_HOME to another folder."
            ) from problem

    def forget(self, commit: str) -> None:
        shutil.rmtree(self.snapshot(commit), ignore_errors=True)
        self._manifest(commit).unlink(missing_ok=True)

    def clear(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _manifest(self, commit: str) -> Path:
        return self.path / "snapshots" / f"{commit}.json"


def _link(new: Path, blob: Path, place: Path) -> None:
    """Have a blob under the name of a file, too; where there are no links, a copy of it."""
    try:
        os.symlink(os.path.relpath(blob, place.parent), new)
    except (NotImplementedError, OSError) as problem:
        if getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        shutil.copyfile(blob, new)
    os.replace(new, place)
