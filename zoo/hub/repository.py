"""Content-addressed storage of one repository, in the layout of the Hugging Face cache.

``blobs/<sha256>`` are the files, ``snapshots/<commit>/`` folders of links to them, ``refs/`` hold the
commits that ``main`` and the tags stand for. What a commit shares with others costs nothing. Where there are
no links, snapshots hold the files themselves. Whoever is killed, a reader sees a commit whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import HubError
from zoo.hub.base import MAIN
from zoo.hub.changes import LOCKS as LOCKS
from zoo.hub.changes import changing
from zoo.placing import flush, settle, staging, sweep, write_new

STAGES = f"{LOCKS}/stages"
"""The folder for what is on its way in or out of a hub, which as a rule is empty."""
PATIENCE = 120.0
"""Seconds to wait for another process that is writing to the same repository."""
PREFIX = "models--"
COMMIT = re.compile("[0-9a-f]{40}")
Source = bytes | Path
"""The content of a file, or a file that has it."""


class Repository:
    """What is stored under one name in the directory ``root``. Nothing here parses what is stored."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.path = root / f"{PREFIX}{name.replace('/', '--')}"

    @staticmethod
    def names(root: Path) -> Iterator[str]:
        """Everything in a directory that has a ``main``, in no order."""
        with suppress(FileNotFoundError):
            for entry in os.scandir(root):
                if entry.name.startswith(PREFIX) and os.path.isfile(f"{entry.path}/refs/{MAIN}"):
                    yield Repository.name_of(Path(entry.path))

    @staticmethod
    def name_of(path: Path) -> str:
        """The name of the repository in a folder."""
        return path.name.removeprefix(PREFIX).replace("--", "/")

    @property
    def exists(self) -> bool:
        return (self.path / "refs" / MAIN).is_file()

    def ref(self, name: str = MAIN) -> str | None:
        """The commit that ``main`` or a tag stands for. Raises :class:`HubError` where it says none."""
        where = self.path / "refs" / name
        try:
            text = where.read_text("ascii", "replace").strip()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as problem:
            raise HubError(f"cannot read {where}: {problem.strerror}.") from problem
        if not COMMIT.fullmatch(text):
            raise HubError(f"{where} names no commit. Publish again, or remove the file.")
        return text

    def tags(self) -> dict[str, str]:
        """Tag → commit."""
        refs = self.path / "refs"
        listed = sorted(path.name for path in refs.iterdir() if path.is_file()) if refs.is_dir() else []
        found = {tag: self.ref(tag) for tag in listed if tag != MAIN}
        return {tag: commit for tag, commit in found.items() if commit}

    def commits(self) -> list[str]:
        """The latest first."""
        found = [path for path in self.path.glob("snapshots/*") if COMMIT.fullmatch(path.name)]
        return [path.name for path in sorted(found, key=lambda p: (-p.lstat().st_mtime_ns, p.name))]

    def beginning_with(self, digits: str) -> list[str]:
        """Commits whose first digits are these."""
        return [commit for commit in self.commits() if commit.startswith(digits)]

    def has(self, commit: str) -> bool:
        return self.snapshot(commit).is_dir()

    def snapshot(self, commit: str) -> Path:
        """The folder with the files of a commit."""
        return self.path / "snapshots" / commit

    def files(self, commit: str) -> dict[str, Path]:
        """The files of a commit by their path in it, in order; ``os.stat`` them for sizes."""
        top = self.snapshot(commit)
        found = [Path(folder, name) for folder, _, names in os.walk(top) for name in names]
        return {path.relative_to(top).as_posix(): path for path in sorted(found)}

    def digests(self, commit: str) -> dict[str, str]:
        """The SHA-256 of each file of a commit: what the name of its blob says, or else what it holds."""
        return {file: _digest(path) for file, path in self.files(commit).items()}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """With no other process writing, and nothing left over from one that was killed."""
        from filelock import FileLock, Timeout

        (self.root / STAGES).mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / LOCKS / f"{self.path.name}.lock", timeout=PATIENCE, mode=0o666)
        try:
            lock.acquire()
        except Timeout as problem:
            raise HubError(
                f"another process has been writing {self.name!r} to {self.root} for {PATIENCE:.0f} s. "
                "Wait for it, or end it, and try again."
            ) from problem
        try:
            with changing(self.root, self.name):
                sweep(self.root / STAGES)
                if sweep(self.path):
                    self._tidy()
                yield
        finally:
            lock.release()

    def store(
        self, commit: str, files: Mapping[str, Source], digests: Mapping[str, str], refs: tuple[str, ...]
    ) -> None:
        """A commit of these files, by their SHA-256, and refs that stand for it. For the lock's holder.

        What is there already is kept, and mended where it is damaged. Of a failure nothing is left.
        """
        try:
            with staging(self.path, "store") as stage:
                self._snapshot(stage, commit, files, digests)
                self._set_refs(stage, commit, refs)
        except BaseException:
            if commit not in (self.ref(), *self.tags().values()):
                shutil.rmtree(self.snapshot(commit), ignore_errors=True)
            self._tidy()
            raise

    def blob(self, digest: str) -> Path:
        """Where the file with a SHA-256 lies, if it does."""
        return self.path / "blobs" / digest

    def add(self, stage: Path, commit: str, file: str, source: Path, digest: str) -> None:
        """A file of a commit of which others may be missing, as a cache has it. Needs no lock."""
        blob, link = self.blob(digest), self.snapshot(commit) / file
        for folder in (blob.parent, link.parent):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
        new = stage / "link"
        try:
            os.symlink(os.path.join("..", "..", "blobs", digest), new)
        except (OSError, NotImplementedError) as problem:
            if getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            _write(new, source)
        else:
            if source != blob:
                os.replace(source, blob)
        os.replace(new, link)

    def set_ref(self, name: str, commit: str) -> None:
        """For the lock's holder."""
        with staging(self.path, "ref") as stage:
            self._set_refs(stage, commit, (name,))

    def remove_ref(self, name: str) -> None:
        """Of a tag; the commit stays. For the lock's holder."""
        (self.path / "refs" / name).unlink(missing_ok=True)
        flush(self.path / "refs")

    def move(self, other: Repository) -> None:
        """Everything, to a name that nothing is stored under. For the holder of both locks."""
        os.rename(self.path, other.path)
        flush(self.root)

    def remove(self, commit: str) -> None:
        """A commit and its tags; ``main`` then stands for the latest left. For the lock's holder."""
        left = [known for known in self.commits() if known != commit]
        if not left:
            return self.clear()
        with staging(self.path, "delete") as stage:
            if self.ref() == commit:
                self._set_refs(stage, left[0], (MAIN,))
            for tag, known in self.tags().items():
                if known == commit:
                    (self.path / "refs" / tag).unlink()
            os.rename(self.snapshot(commit), stage / "gone")
        self._tidy()

    def clear(self) -> None:
        """Everything. For the lock's holder."""
        with staging(self.root / STAGES, "delete") as stage:
            os.rename(self.path, stage / "gone")
            flush(self.root)

    def _snapshot(
        self, stage: Path, commit: str, files: Mapping[str, Source], digests: Mapping[str, str]
    ) -> None:
        (stage / "new").mkdir()
        links, written = _can_link(stage), dict[Path, Path]()
        for file, source in files.items():
            new, blob, own = stage / "new" / file, self.blob(digests[file]), stage / digests[file]
            if "/" in file:
                new.parent.mkdir(parents=True, exist_ok=True)
            if not links:
                _write(new, source)
                written[new] = new
                continue
            up = [".."] * (2 + file.count("/"))
            os.symlink(os.path.join(*up, "blobs", digests[file]), new)
            if own not in written and not _is(blob, source):
                _write(own, source)
                written[own] = blob
        settle(written)
        if links:
            (self.path / "blobs").mkdir(exist_ok=True)
        for new, blob in written.items():
            os.replace(new, blob)
        snapshot = self.snapshot(commit)
        snapshot.parent.mkdir(exist_ok=True)
        if not (snapshot.is_dir() and all(_is(snapshot / file, source) for file, source in files.items())):
            flush(self.path / "blobs")
            flush(stage / "new")
            if snapshot.exists():  # damaged by other hands
                os.rename(snapshot, stage / "damaged")
            os.rename(stage / "new", snapshot)
            flush(snapshot.parent)

    def _set_refs(self, stage: Path, commit: str, refs: tuple[str, ...]) -> None:
        (self.path / "refs").mkdir(exist_ok=True)
        for ref in refs:
            write_new(stage / ref, commit.encode())
        for ref in refs:
            os.replace(stage / ref, self.path / "refs" / ref)
        flush(self.path / "refs")

    def _tidy(self) -> None:
        """Remove blobs that no snapshot links to, and folders without anything in them."""
        with suppress(OSError):
            linked = {
                os.path.basename(os.readlink(path))
                for commit in self.commits()
                for path in self.files(commit).values()
                if path.is_symlink()
            }
            for blob in self.path.glob("blobs/*"):
                if re.fullmatch("[0-9a-f]{64}", blob.name) and blob.name not in linked:
                    blob.unlink()
        for part in ("refs", "snapshots", "blobs", ""):
            with suppress(OSError):
                (self.path / part).rmdir()


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


def _write(path: Path, source: Source) -> None:
    """A new file, which may not be on the disk yet."""
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)


def _digest(path: Path) -> str:
    name = os.path.basename(os.readlink(path)) if path.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", name):
        return name
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is(path: Path, source: Source) -> bool:
    """Whether a file has this content; of another file, its name and size are enough."""
    try:
        if isinstance(source, bytes):
            return path.stat().st_size == len(source) and path.read_bytes() == source
        return os.path.samefile(path, source) or path.stat().st_size == source.stat().st_size
    except OSError:
        return False
