"""The verbs ``publish`` and ``pull``: checkpoints between folders and hubs; and what publishing would do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from zoo.checkpoints.folder import CARD, RECORD, CheckpointFolder
from zoo.errors import HubError, UnknownNameError, ZooError
from zoo.hub.base import Revision
from zoo.hub.lookup import expand, fetch, open_hub
from zoo.hub.recorded import check_own
from zoo.hub.reference import Reference, check_name
from zoo.progress import Bars

WORKERS = 8
"""Files that are fetched at the same time, at most."""
T = TypeVar("T")


@dataclass(frozen=True)
class PlannedFile:
    """What publishing would do with a file."""

    file: str
    size: int
    change: Literal["new", "changed", "same", "removed"]


@dataclass(frozen=True)
class Plan:
    """What publishing would do; nothing has been changed."""

    target: str
    """The name that the checkpoint would have."""
    parent: str | None
    """The commit that would be followed; none where the name is new."""
    files: tuple[PlannedFile, ...]
    card: str


def publish(
    checkpoint: str | Path | Reference | CheckpointFolder,
    hub: str = "local",
    *,
    name: str | None = None,
    tag: str | None = None,
    parent: str | None = None,
    private: bool | None = None,
) -> Revision:
    """Put a checkpoint on a hub, as a new revision that will never change. Publishing it again costs nothing.

    Args:
        checkpoint: A name, a folder or what :func:`zoo.train` returned; all of it, never a member.
        hub: The name of a hub, a directory or an address: ``hf://lab``, ``https://host``, ``s3://bucket``.
        name: To publish under, instead of its own.
        tag: A name for this revision, which can never point elsewhere.
        parent: The commit that this one is to follow; where another has come in between, nothing is changed.
        private: Whether others may see it; on the Hugging Face Hub and its like, where a repository is made.

    Raises:
        HubError: The hub cannot be written, ``tag`` is taken by other bytes, ``parent`` is not the newest.
        CheckpointError: The checkpoint is damaged.
    """
    folder, target = _whole(checkpoint), open_hub(hub)
    check_own(folder)
    if private is None:
        return target.publish(folder, name, tag, parent=parent)
    from zoo.hub.huggingface import HuggingFaceHub

    if not isinstance(target, HuggingFaceHub):
        raise HubError(f"{target.where} has no private checkpoints; whoever may read it may read all of it.")
    return target.publish(folder, name, tag, parent=parent, private=private)


def plan(
    checkpoint: str | Path | Reference | CheckpointFolder, hub: str = "local", *, name: str | None = None
) -> Plan:
    """What :func:`publish` would do: the files and their sizes, the card, the commit that would be followed.

    Raises as that does.
    """
    folder, target = _whole(checkpoint), open_hub(hub)
    check_own(folder)
    name = target.owned(name or folder.record.name)
    files = target.contents(folder, name)
    try:
        before = target.resolve(name)
        there = _digests(target.fetch(name, before.commit))
    except UnknownNameError:
        before, there = None, {}
    planned = [PlannedFile(file, len(data), _change(file, data, there)) for file, data in files.items()]
    planned += [PlannedFile(file, 0, "removed") for file in there.keys() - files.keys()]
    return Plan(
        str(Reference(name, target.name)),
        before.commit if before else None,
        tuple(sorted(planned, key=lambda each: each.file)),
        files[CARD].decode("utf-8", "replace"),
    )


def pull(
    names: str | Reference | Iterable[str | Reference], hub: str = "local", *, progress: bool = False
) -> list[Revision]:
    """Copy checkpoints from where they are found to a hub of one's own: names, and patterns of them.

    What is on the network keeps its owner in its name: ``hf://lab/net`` becomes ``lab/net``. Up to
    :data:`WORKERS` files are fetched at a time; those of an earlier call that was cut off are not fetched
    again.

    Raises:
        UnknownNameError: Nothing has a name, or matches a pattern.
        HubError: Some could not be fetched or published; the others were.
    """
    asked = [names] if isinstance(names, str | Reference) else names
    references = list(dict.fromkeys(found.whole() for name in asked for found in expand(name)))
    target = open_hub(hub)
    with Bars(progress) as bars, ThreadPoolExecutor(WORKERS) as pool:
        calls = _Calls(pool, bars)
        folders = calls.run("looking up", [(each, partial(fetch, each)) for each in references])
        for _, found in folders:
            check_own(found)
        files = [(each, f, file) for each, f in folders for file in (*f.record.files, CARD)]
        calls.run("fetching", [(each, partial(folder.has, file)) for each, folder, file in files])
        whole = [(each, folder) for each, folder in folders if each not in calls.failed]
        published = calls.run(
            "copying", [(each, partial(target.publish, f, _kept_name(each, f))) for each, f in whole]
        )
    if len(references) == 1:
        for problem in calls.failed.values():
            raise problem
    if calls.failed:
        listed = [f"{reference}: {problem}" for reference, problem in calls.failed.items()]
        raise HubError(
            f"{len(listed)} of {len(references)} checkpoints could not be pulled; the others are there. Call "
            "the same again for those:\n" + "\n".join(listed[:10])
        )
    return [revision for _, revision in published]


class _Calls:
    """Calls for many checkpoints, side by side; what fails for one does not stop the others."""

    def __init__(self, pool: ThreadPoolExecutor, bars: Bars) -> None:
        self.pool, self.bars = pool, bars
        self.failed: dict[Reference, ZooError] = {}

    def run(self, what: str, calls: Sequence[tuple[Reference, Callable[[], T]]]) -> list[tuple[Reference, T]]:
        """What each gives, of those that do not fail."""
        futures = [(reference, self.pool.submit(call)) for reference, call in calls]
        done = []
        try:
            for reference, future in self.bars.over(futures, what):
                try:
                    done.append((reference, future.result()))
                except ZooError as problem:
                    self.failed.setdefault(reference, problem)
        except BaseException:
            self.pool.shutdown(wait=False, cancel_futures=True)
            raise
        return done


def _whole(checkpoint: str | Path | Reference | CheckpointFolder) -> CheckpointFolder:
    if isinstance(checkpoint, CheckpointFolder):
        return checkpoint
    reference = checkpoint if isinstance(checkpoint, Reference) else None
    if isinstance(checkpoint, str) and "*" not in checkpoint:
        reference = Reference.parse(checkpoint)
    if reference is not None and reference != reference.whole():
        raise UnknownNameError(
            f"{reference} is a part of a checkpoint, and checkpoints are published whole; of one that is "
            f"there already, only what is new travels. Publish {reference.whole()}."
        )
    return fetch(checkpoint)


def _digests(folder: CheckpointFolder) -> dict[str, str]:
    listed = {file: entry.sha256 for file, entry in folder.record.files.items()}
    for file in (RECORD, CARD):
        if folder.has(file):
            listed[file] = hashlib.sha256(folder.read(file)).hexdigest()
    return listed


def _change(file: str, data: bytes, there: Mapping[str, str]) -> Literal["new", "changed", "same"]:
    if file not in there:
        return "new"
    return "same" if there[file] == hashlib.sha256(data).hexdigest() else "changed"


def _kept_name(reference: Reference, folder: CheckpointFolder) -> str:
    """The name of a copy: with its owner, where it has one."""
    if reference.path is None and "/" in reference.name:
        return check_name(reference.name.lower())
    return folder.record.name
