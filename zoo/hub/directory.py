"""Hubs that are directories: content-addressed in the Hugging Face cache layout, or plain folders."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zoo.checkpoints.folder import CARD, CheckpointFolder
from zoo.errors import AmbiguousNameError, CheckpointError, HubError, UnknownNameError
from zoo.hub.card import render
from zoo.hub.reference import Reference, check_name, check_revision, is_name
from zoo.placing import flush, place, staging, sweep, write_new
from zoo.registry import suggest

MAIN = "main"
LOCKS = ".locks"
PATIENCE = 120.0
"""Seconds to wait for another process that is publishing the same name."""
_COMMIT = re.compile("[0-9a-f]{40}")
_ADVICE = {
    errno.ENOSPC: "The disk is full: free some space, or publish to another hub.",
    errno.EDQUOT: "The quota is used up: free some space, or publish to another hub.",
    errno.EROFS: "It is read-only: publish to another hub, for example 'local'.",
    errno.EACCES: "You may not write there: publish to another hub, for example 'local'.",
    errno.EPERM: "You may not write there: publish to another hub, for example 'local'.",
}


@dataclass(frozen=True)
class Revision:
    """What was published under a name: bytes that never change."""

    hub: str
    name: str
    commit: str
    """40 hexadecimal digits: the beginning of the SHA-256 of the manifest (``<sha256>  <file>`` lines)."""
    tags: tuple[str, ...]
    path: Path

    @property
    def reference(self) -> Reference:
        """A name that always stands for these bytes."""
        return Reference(self.name, self.hub, self.commit[:12])

    def __str__(self) -> str:
        return str(self.reference)


class Hub(Protocol):
    """Where checkpoints are published and fetched by name.

    All raise :class:`UnknownNameError` for a name or revision that is not there, and :class:`HubError`
    where the hub cannot be read or written, or would have to change what it promised to keep.
    """

    name: str
    root: Path

    def names(self) -> list[str]: ...
    def resolve(self, name: str, revision: str | None = None) -> Revision: ...
    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder: ...
    def publish(
        self, folder: CheckpointFolder, name: str | None = None, tag: str | None = None
    ) -> Revision: ...
    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision: ...
    def delete(self, name: str, revision: str | None = None) -> None: ...
    def tags(self, name: str) -> dict[str, str]: ...
    def revisions(self, name: str) -> list[Revision]: ...


def commit_of(digests: Mapping[str, str]) -> str:
    """The commit of files with these SHA-256 digests."""
    manifest = "".join(f"{digest}  {file}\n" for file, digest in sorted(digests.items()))
    return hashlib.sha256(manifest.encode()).hexdigest()[:40]


class DirectoryHub:
    """What the two forms share."""

    def __init__(self, root: Path, name: str | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        self.name = name or self.root.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, name={self.name!r})"

    def names(self) -> list[str]:
        """Every name that something is published under, sorted; nothing in a hub that does not exist yet."""
        raise NotImplementedError

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        raise NotImplementedError

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        """The checkpoint, whose files are verified as they are read."""
        return CheckpointFolder(self.resolve(name, revision).path)

    def _contents(self, folder: CheckpointFolder, name: str) -> dict[str, bytes]:
        """The verified files of a checkpoint to be published, with a card if it came without one."""
        files = folder.contents()
        if CARD not in files:
            try:
                existing = self.fetch(name).read(CARD).decode("utf-8", "replace")
            except (UnknownNameError, CheckpointError):
                existing = None
            files[CARD] = render(folder.record, folder.experiment, existing).encode()
        return files

    def _unknown(self, name: str) -> UnknownNameError:
        names = self.names()
        missing = "" if self.root.is_dir() else ", which does not exist"
        return UnknownNameError(
            f"there is no checkpoint {name!r} in the hub {self.name!r} ({self.root}{missing})."
            f"{suggest(name, names)}"
        )

    @contextmanager
    def _failing_clearly(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            advice = _ADVICE.get(problem.errno or 0, "Look at the directory, or take another hub.")
            reason = problem.strerror or f"{type(problem).__name__}: {problem}"
            raise HubError(
                f"cannot {what} in the hub {self.name!r} ({self.root}): {reason}. Nothing was changed. "
                f"{advice}"
            ) from problem


class CacheHub(DirectoryHub):
    """Content-addressed, in the layout of the Hugging Face cache, which ``huggingface_hub`` reads as it is.

    ``models--<name>/blobs/<sha256>`` are the files, ``snapshots/<commit>/`` folders of links to them,
    ``refs/`` hold the commits that ``main`` and the tags stand for. What a revision shares with others
    costs nothing. Where there are no links, snapshots hold the files themselves.
    """

    def names(self) -> list[str]:
        with self._failing_clearly("list the names"):
            found = ("/".join(p.parts[-3].split("--")[1:]) for p in self.root.glob(f"models--*/refs/{MAIN}"))
            return sorted(filter(is_name, found))

    def resolve(self, name: str, revision: str | None = None) -> Revision:
        """``revision`` is a tag, a commit or its first digits (7 or more); without one, the newest.

        Raises :class:`UnknownNameError`, :class:`AmbiguousNameError` where several commits begin so.
        """
        repository = self._repository(name)
        commit = self._ref(repository, MAIN if revision is None else check_revision(revision))
        if commit is None and not (repository / "refs" / MAIN).is_file():
            raise self._unknown(name)
        if commit is None and re.fullmatch("[0-9a-f]{7,40}", revision or ""):
            begun = [known for known in self._commits(repository) if known.startswith(revision or "")]
            if len(begun) > 1:
                raise AmbiguousNameError(
                    f"several revisions of {name} begin with {revision}: {', '.join(begun)}. Give more."
                )
            commit = begun[0] if begun else None
        if commit is None or not (repository / "snapshots" / commit).is_dir():
            known = [*self.tags(name), *(c[:12] for c in self._commits(repository))]
            raise UnknownNameError(
                f"{name} has no revision {revision or MAIN!r} in the hub {self.name!r}."
                f"{suggest(revision or '', known)} It has: {', '.join(known[:20])}."
            )
        return self._revision(name, commit)

    def tags(self, name: str) -> dict[str, str]:
        """Tag → commit."""
        refs = self._repository(name) / "refs"
        listed = sorted(path.name for path in refs.iterdir() if path.is_file()) if refs.is_dir() else []
        found = {tag: self._ref(refs.parent, tag) for tag in listed if tag != MAIN}
        return {tag: commit for tag, commit in found.items() if commit}

    def revisions(self, name: str) -> list[Revision]:
        """All of them, the latest published first."""
        self.resolve(name)
        return [self._revision(name, commit) for commit in self._commits(self._repository(name))]

    def publish(self, folder: CheckpointFolder, name: str | None = None, tag: str | None = None) -> Revision:
        """A new revision, which ``main`` then stands for; the same files again are the same revision.

        Raises :class:`CheckpointError` for a damaged checkpoint, :class:`HubError` where ``tag`` stands
        for other files already or the directory cannot be written. Nothing is half-written then.
        """
        name = check_name(name or folder.record.name)
        if tag is not None:
            _check_tag(tag)
        files = self._contents(folder, name)
        digests = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
        commit = commit_of(digests)
        with self._failing_clearly(f"publish {name!r}"), self._locked(name) as repository:
            if tag is not None:
                self._check_free(name, tag, commit)
            try:
                with staging(repository, "publish") as stage:
                    self._store(stage, repository, commit, files, digests)
                    self._set_refs(stage, repository, commit, [MAIN] if tag is None else [MAIN, tag])
            except BaseException:
                if commit not in (self._ref(repository, MAIN), *self.tags(name).values()):
                    shutil.rmtree(repository / "snapshots" / commit, ignore_errors=True)
                self._tidy(repository)
                raise
        return self._revision(name, commit)

    def tag(self, name: str, tag: str, revision: str | None = None) -> Revision:
        """Name a revision. Raises :class:`HubError` where the tag stands for another one."""
        _check_tag(tag)
        self.resolve(name, revision)
        with self._failing_clearly(f"tag {name!r}"), self._locked(name) as repository:
            found = self.resolve(name, revision)
            self._check_free(name, tag, found.commit)
            with staging(repository, "tag") as stage:
                self._set_refs(stage, repository, found.commit, [tag])
        return self._revision(name, found.commit)

    def delete(self, name: str, revision: str | None = None) -> None:
        """Remove a name, or one revision with its tags; ``main`` then stands for the latest that is left."""
        self.resolve(name, revision)
        with self._failing_clearly(f"delete {name!r}"), self._locked(name) as repository:
            found = self.resolve(name, revision)
            left = [commit for commit in self._commits(repository) if commit != found.commit]
            if revision is None or not left:
                with staging(self.root, "delete") as stage:
                    os.rename(repository, stage / "gone")
                return
            with staging(repository, "delete") as stage:
                if self._ref(repository, MAIN) == found.commit:
                    self._set_refs(stage, repository, left[0], [MAIN])
                for tag in found.tags:
                    (repository / "refs" / tag).unlink()
                os.rename(found.path, stage / "gone")
            self._tidy(repository)

    @contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        """The folder of a name, with no other process writing to it and nothing left over from one killed."""
        from filelock import FileLock, Timeout

        repository = self._repository(name)
        (self.root / LOCKS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / LOCKS / f"{repository.name}.lock", timeout=PATIENCE, mode=0o666)
        try:
            lock.acquire()
        except Timeout as problem:
            raise HubError(
                f"another process has been writing {name!r} to the hub {self.name!r} for {PATIENCE:.0f} s. "
                "Wait for it, or end it, and try again."
            ) from problem
        try:
            sweep(self.root)
            if sweep(repository):
                self._tidy(repository)
            yield repository
        finally:
            lock.release()

    def _store(
        self,
        stage: Path,
        repository: Path,
        commit: str,
        files: Mapping[str, bytes],
        digests: Mapping[str, str],
    ) -> None:
        """Blobs, then the snapshot; what is there already is kept, a damaged blob mended."""
        (stage / "new").mkdir()
        links = _can_link(stage)
        for file, data in files.items():
            new, blob = stage / "new" / file, repository / "blobs" / digests[file]
            if not links:
                write_new(new, data)
                continue
            os.symlink(os.path.join("..", "..", "blobs", digests[file]), new)
            if not _is(blob, data):
                blob.parent.mkdir(exist_ok=True)
                write_new(stage / digests[file], data)
                os.replace(stage / digests[file], blob)
        snapshot = repository / "snapshots" / commit
        snapshot.parent.mkdir(exist_ok=True)
        if not all(_is(snapshot / file, data) for file, data in files.items()):
            flush(repository / "blobs")
            flush(stage / "new")
            if snapshot.exists():  # damaged by other hands
                os.rename(snapshot, stage / "damaged")
            os.rename(stage / "new", snapshot)
            flush(snapshot.parent)

    def _set_refs(self, stage: Path, repository: Path, commit: str, refs: list[str]) -> None:
        (repository / "refs").mkdir(exist_ok=True)
        for ref in refs:
            write_new(stage / ref, commit.encode())
        for ref in refs:
            os.replace(stage / ref, repository / "refs" / ref)
        flush(repository / "refs")

    def _tidy(self, repository: Path) -> None:
        """Remove blobs that no snapshot links to, and folders without anything in them."""
        with suppress(OSError):
            linked = {
                os.path.basename(os.readlink(p)) for p in repository.glob("snapshots/*/*") if p.is_symlink()
            }
            for blob in repository.glob("blobs/*"):
                if re.fullmatch("[0-9a-f]{64}", blob.name) and blob.name not in linked:
                    blob.unlink()
        for part in ("refs", "snapshots", "blobs", ""):
            with suppress(OSError):
                (repository / part).rmdir()

    def _check_free(self, name: str, tag: str, commit: str) -> None:
        taken = self._ref(self._repository(name), tag)
        if taken not in (None, commit):
            raise HubError(
                f"{name}@{tag} in the hub {self.name!r} already stands for {str(taken)[:12]}, and a tag "
                f"never moves. Take another tag for {commit[:12]}, or delete that revision first."
            )

    def _repository(self, name: str) -> Path:
        return self.root / f"models--{check_name(name).replace('/', '--')}"

    def _ref(self, repository: Path, ref: str) -> str | None:
        try:
            text = (repository / "refs" / ref).read_text("ascii", "replace").strip()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as problem:
            raise HubError(f"cannot read {repository / 'refs' / ref}: {problem.strerror}.") from problem
        if not _COMMIT.fullmatch(text):
            raise HubError(f"{repository / 'refs' / ref} names no commit. Publish again, or remove the file.")
        return text

    def _commits(self, repository: Path) -> list[str]:
        """Commits of a name, the latest published first."""
        found = [path for path in repository.glob("snapshots/*") if _COMMIT.fullmatch(path.name)]
        return [path.name for path in sorted(found, key=lambda p: (-p.lstat().st_mtime_ns, p.name))]

    def _revision(self, name: str, commit: str) -> Revision:
        tags = tuple(tag for tag, known in self.tags(name).items() if known == commit)
        return Revision(self.name, name, commit, tags, self._repository(name) / "snapshots" / commit)


class FolderHub(DirectoryHub):
    """The plain form: one folder a checkpoint, no links; good in git and in a wheel.

    It keeps the current revision of each name and has no tags. Publishing replaces a folder in one
    step; a reader that has read the old record finds that the new files do not go with it.
    """

    def __init__(self, root: Path, name: str | None = None, writable: bool = True) -> None:
        super().__init__(root, name)
        self.writable = writable

    def names(self) -> list[str]:
        with self._failing_clearly("list the names"):
            return sorted(filter(is_name, (path.parent.name for path in self.root.glob("*/record.json"))))

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
            raise UnknownNameError(
                f"{name} has no revision {revision!r} in {self.root}, which keeps only the current one, "
                f"{commit[:12]}. Publish to the hub 'local' to keep several."
            )
        return Revision(self.name, name, commit, (), folder)

    def fetch(self, name: str, revision: str | None = None) -> CheckpointFolder:
        if revision is None and (self._folder(name) / "record.json").exists():
            return CheckpointFolder(self._folder(name))
        return super().fetch(name, revision)

    def tags(self, name: str) -> dict[str, str]:
        """None, ever."""
        self.resolve(name)
        return {}

    def revisions(self, name: str) -> list[Revision]:
        """The current one."""
        return [self.resolve(name)]

    def publish(self, folder: CheckpointFolder, name: str | None = None, tag: str | None = None) -> Revision:
        """Put the checkpoint in the place of the one before it.

        Raises :class:`CheckpointError` for a damaged checkpoint, :class:`HubError` for a tag and where
        the directory cannot be written. Nothing is changed then.
        """
        name = check_name(name or folder.record.name)
        target = self._folder(name)
        self._check_writable()
        if tag is not None:
            self._refuse_tag()
        with self._failing_clearly(f"publish {name!r}"):
            place(target, self._contents(folder, name), replace=True)
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


def _check_tag(tag: str) -> None:
    if check_revision(tag) == MAIN or re.fullmatch("[0-9a-f]{7,40}", tag):
        why = "always stands for the newest revision" if tag == MAIN else "could be taken for a commit"
        raise HubError(f"{tag!r} {why}, so it cannot be a tag. Take another, for example v1.")


def _can_link(stage: Path) -> bool:
    try:
        os.symlink("nowhere", stage / "link")
    except NotImplementedError:
        return False
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        return False
    return True


def _is(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
