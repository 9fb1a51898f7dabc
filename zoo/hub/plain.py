"""A hub of plain folders, one a checkpoint: good in git and in a wheel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.checkpoints.folder import CARD, CheckpointFolder
from zoo.errors import HubError, UnknownNameError, UnknownRevisionError
from zoo.hub.base import MAIN, DirectoryHub, Revision, check_parent, commit_of
from zoo.hub.reference import check_name, is_name
from zoo.placing import place, staging

if TYPE_CHECKING:
    from zoo.hub.index.index import Index


class FolderHub(DirectoryHub):
    """The plain form: one folder a checkpoint, no links; good in git and in a wheel.

    It keeps the current revision of each name and has no tags. Publishing replaces a folder in one
    step; a reader that has read the old record finds that the new files do not go with it.
    """

    def __init__(self, root: Path, name: str | None = None, writable: bool = True) -> None:
        super().__init__(root, name)
        self.writable = writable

    @cached_property
    def index(self) -> Index:
        from zoo.hub.index.index import Index
        from zoo.hub.index.sources import FolderSource

        return Index(FolderSource(self.root))

    def _listed(self) -> Iterable[str]:
        return filter(is_name, (path.parent.name for path in self.root.glob("*/record.json")))

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        """Raises :class:`UnknownNameError` for a name, or a revision, that is not the current one."""
        folder = self._folder(name)
        if not (folder / "record.json").exists():
            raise self._unknown(name)
        checkpoint = CheckpointFolder(folder)
        digests = {file: entry.sha256 for file, entry in checkpoint.record.files.items()}
        for file in ("record.json", CARD):
            if (folder / file).exists():
                digests[file] = hashlib.sha256(checkpoint.read(file)).hexdigest()
        commit = commit_of(digests)
        if revision not in (None, MAIN) and not (
            len(revision or "") >= 7 and commit.startswith(revision or "")
        ):
            raise UnknownRevisionError(
                f"{name} has no revision {revision!r} in {self.root}, which keeps only the current one, "
                f"{commit[:12]}. Publish to the hub 'local' to keep several."
            )
        return Revision(self.name, name, commit, (), folder)

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        if revision is None and (self._folder(name) / "record.json").exists():
            return CheckpointFolder(self._folder(name))
        return super().fetch(name, revision)

    def _newest(self, name: str) -> CheckpointFolder | None:
        folder = self._folder(name)
        return CheckpointFolder(folder) if (folder / "record.json").exists() else None

    def tags(self, name: str) -> dict[str, str]:
        """None, ever."""
        self.resolve(name)
        return {}

    def revisions(self, name: str) -> list[Revision]:
        """The current one."""
        return [self.resolve(name)]

    def publish(
        self,
        folder: CheckpointFolder,
        name: str | None = None,
        tag: str | None = None,
        *,
        parent: str | None = None,
    ) -> Revision:
        """Put the checkpoint in the place of the one before it.

        Raises :class:`CheckpointError` for a damaged checkpoint, :class:`HubError` for a tag, where the one
        before is not the ``parent`` that is given, and where the directory cannot be written. Nothing is
        changed then.
        """
        name = check_name(name or folder.record.name)
        target = self._folder(name)
        self._check_writable()
        if tag is not None:
            self._refuse_tag()
        if parent is not None:
            there = (target / "record.json").exists()
            check_parent(name, self.resolve(name).commit if there else None, parent)
        with self._failing_clearly(f"publish {name!r}"):
            place(target, self.contents(folder, name), replace=True)
        return self.resolve(name)

    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision:
        """Raises :class:`HubError`: the plain form has no tags."""
        self._refuse_tag()
        return self.resolve(name, revision)

    def delete(self, name: str, revision: str | None = None) -> None:
        """Remove a name."""
        self._check_writable()
        found = self.resolve(name, revision)
        with self._failing_clearly(f"delete {name!r}"), staging(self.root, "delete") as stage:
            os.rename(found.path, stage / "gone")

    def _folder(self, name: str) -> Path:
        if "/" in check_name(name):
            raise UnknownNameError(f"{name!r} has a slash, and names in {self.root} have none.")
        return self.root / name

    def _check_writable(self) -> None:
        if not self.writable:
            raise HubError(
                f"the hub {self.name!r} ({self.root}) belongs to the installation and is not changed. "
                "Publish to 'local', or to a directory of your own."
            )

    def _refuse_tag(self) -> None:
        raise HubError(
            f"{self.root} keeps one revision of each name and has no tags. "
            "Publish to the hub 'local' for those."
        )
