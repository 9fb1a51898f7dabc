"""Where names are looked up: a path, the local hub, the registry that ships, the hubs in ``ZOO_HUBS``.

Nothing here touches the network.
"""

from __future__ import annotations

import glob as files
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import AmbiguousNameError, HubError, OfflineError, UnknownNameError, ZooError, brief
from zoo.hub.base import Hub
from zoo.hub.cache import CacheHub
from zoo.hub.plain import FolderHub
from zoo.hub.reference import EXAMPLES, MAX_LENGTH, PART, TAIL, Reference, is_path
from zoo.paths import home, shipped
from zoo.registry import glob, suggest

LOCAL, REGISTRY = "local", "registry"
_PATTERN = re.compile(rf"(?:(?P<hub>{PART}):)?(?P<name>[\[\]a-z0-9._*?!/-]+?){TAIL}")
_MAGIC = re.compile(r"[*?[]")


def hubs() -> list[Hub]:
    """Every hub, in the order in which they are asked; their names are distinct.

    Raises :class:`HubError` where ``ZOO_HUBS`` gives two of them the same name.
    """
    found: list[Hub] = [CacheHub(home() / "hub", LOCAL)]
    try:
        registry = shipped("registry")
    except ZooError:
        pass  # none ships
    else:
        found.append(FolderHub(registry, REGISTRY, writable=registry.parent.name != "_data"))
    for entry in filter(None, os.environ.get("ZOO_HUBS", "").split(os.pathsep)):
        hub = _directory(Path(entry))
        if taken := next((known for known in found if known.name == hub.name), None):
            raise HubError(
                f"ZOO_HUBS names {hub.root}, but {taken.root} is called {hub.name!r}, too. Rename the folder."
            )
        found.append(hub)
    return found


def open_hub(text: str | Path) -> Hub:
    """The hub of a name, or in a directory, which need not exist yet if it is written as a path.

    A directory that holds plain checkpoint folders is read as they are; any other gets the
    content-addressed form. Raises :class:`HubError`.
    """
    known = hubs()
    if isinstance(text, str):
        if found := next((hub for hub in known if hub.name == text), None):
            return found
        if "://" in text or text == "hf" or text.startswith("hf:"):
            raise _remote(text)
        if text == REGISTRY:
            raise HubError("this installation ships no registry. Publish to 'local', or to a directory.")
        if not text or "\0" in text:
            raise HubError(f"{brief(text)} is no hub. There are: {_listed(known)}; or give a directory.")
    path = Path(text).expanduser()
    if isinstance(text, str) and not (os.sep in text or text in (".", "..", "~") or path.is_dir()):
        raise HubError(
            f"there is no hub {text!r}.{suggest(text, [hub.name for hub in known])} "
            f"There are: {_listed(known)}. For a directory, write ./{text}."
        )
    if path.exists() and not path.is_dir():
        raise HubError(f"{path} is a file, and a hub is a directory. Give another path.")
    return _directory(path)


def names(pattern: str | Iterable[str] = "*") -> list[str]:
    """Names on any hub that match a glob, or one of several, sorted; ``hub:glob`` asks that hub alone."""
    asked = hubs()
    if isinstance(pattern, str):
        hub, colon, rest = pattern.partition(":")
        if colon:
            asked, pattern = [_hub(hub, asked)], rest
    return glob(pattern, sorted({name for hub in asked for name in hub.names()}))


def fetch(reference: str | Path | Reference) -> CheckpointFolder:
    """The checkpoint of a name, from the first hub that has it, or of a path.

    A member or step in the reference is checked, and left to the caller to select. Raises
    :class:`UnknownNameError`, :class:`AmbiguousNameError` for a pattern, and
    :class:`CheckpointError` for a folder that is none.
    """
    asked = reference if isinstance(reference, Reference) else _parse(reference)
    folder = _find(asked)
    if asked.member is not None or asked.step is not None:
        _check_parts(asked, folder)
    return folder


def expand(pattern: str | Path | Reference) -> list[Reference]:
    """What a pattern stands for: globs over names and, with ``/*``, over the members of each.

    A plain name stands for itself, and a single network with ``/*`` too. Raises
    :class:`UnknownNameError` where nothing matches.
    """
    if isinstance(pattern, Reference) or not _MAGIC.search(str(pattern)):
        reference = pattern if isinstance(pattern, Reference) else Reference.parse(str(pattern))
        return _members(reference)
    text = str(pattern)
    if is_path(text):
        reference = Reference.parse(text)
        if reference.path is not None and (reference.path / "record.json").is_file():
            return _members(reference)
        paths = sorted(path for path in files.glob(text) if os.path.isfile(os.path.join(path, "record.json")))
        if not paths:
            raise UnknownNameError(f"no folder that matches {brief(text, 100)} holds a checkpoint.")
        return [Reference.parse(str(Path(path).absolute())) for path in paths]
    found = _PATTERN.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise UnknownNameError(f"{brief(text, 100)} is no pattern of names. {EXAMPLES}")
    known = hubs()
    asked = [_hub(found["hub"], known)] if found["hub"] else known
    matching = glob(found["name"], sorted({name for hub in asked for name in hub.names()}))
    if not matching:
        every = [name for hub in asked for name in hub.names()]
        raise UnknownNameError(
            f"no checkpoint matches {text!r}; looked in {_where(asked)}."
            f"{suggest(_MAGIC.sub('', found['name']), every)} See what there is with: zoo list"
        )
    tail = text[found.end("name") :]
    prefix = f"{found['hub']}:" if found["hub"] else ""
    return [each for name in matching for each in _members(Reference.parse(f"{prefix}{name}{tail}"))]


def _parse(text: str | Path) -> Reference:
    """A reference to one checkpoint. Raises :class:`AmbiguousNameError` for a pattern."""
    if isinstance(text, Path):
        text = os.path.join(".", text)
    try:
        return Reference.parse(text)
    except UnknownNameError:
        found = _PATTERN.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_LENGTH else None
        if found is None or not _MAGIC.search(found["name"]):
            raise
    spellings = [str(reference) for reference in expand(text)]
    shown = ", ".join(spellings[:10]) + (f" and {len(spellings) - 10} more" if len(spellings) > 10 else "")
    raise AmbiguousNameError(f"{text} is a pattern, and one checkpoint is needed. It stands for: {shown}.")


def _find(reference: Reference) -> CheckpointFolder:
    if reference.path is not None:
        folder = CheckpointFolder(reference.path)
        _ = folder.record  # says at once what is wrong with it
        return folder
    known = hubs()
    asked = [_hub(reference.hub, known)] if reference.hub else known
    problems = []
    for hub in asked:
        try:
            return hub.fetch(reference.name, reference.revision)
        except UnknownNameError as problem:
            if reference.name in hub.names():  # so it is the revision that is not there
                problems.append(str(problem))
    if problems:
        raise UnknownNameError("\n".join(problems))
    raise UnknownNameError(
        f"there is no checkpoint {reference.name!r}; looked in {_where(asked)}."
        f"{suggest(reference.name, {name for hub in known for name in hub.names()})} "
        f"If there is a spec of it, train it with: zoo train {reference.name}. "
        "If a directory elsewhere has it, add that to ZOO_HUBS."
    )


def _check_parts(reference: Reference, folder: CheckpointFolder) -> None:
    """Whether the checkpoint has the member and the step that are asked for."""
    record, member, step = folder.record, reference.member, reference.step
    whole = str(reference.whole())
    if isinstance(member, int) and member >= (record.members or 0):
        has = "is a single network" if record.members is None else f"has members 0 to {record.members - 1}"
        raise UnknownNameError(f"there is no {reference}: {whole} {has}.")
    if step is not None:
        kept = record.series[member if isinstance(member, int) else 0] if record.series else ()
        if step not in kept:
            has = f"the steps {', '.join(f'#{known}' for known in kept)}" if kept else "no snapshots"
            raise UnknownNameError(f"there is no {reference}: {whole} has {has}.")


def _hub(name: str, known: list[Hub]) -> Hub:
    found = next((hub for hub in known if hub.name == name), None)
    if found is None and name == "hf":
        raise _remote("hf:")
    if found is None:
        raise UnknownNameError(
            f"there is no hub {name!r}.{suggest(name, [hub.name for hub in known])} "
            f"There are: {_listed(known)}. Further directories are read from ZOO_HUBS."
        )
    return found


def _directory(path: Path) -> CacheHub | FolderHub:
    root = path.expanduser().absolute()
    name = re.sub(r"([.-])\1+", r"\1", re.sub("[^a-z0-9._-]+", "-", root.name.lower())).strip("-._") or "hub"
    plain = any(root.glob("*/record.json")) and not any(root.glob("models--*"))
    return FolderHub(root, name) if plain else CacheHub(root, name)


def _remote(text: str) -> HubError:
    command = "hf download NAME --local-dir FOLDER"
    for variable in ("ZOO_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(variable, "").lower() in ("1", "true", "yes", "on"):
            return OfflineError(
                f"{text} is on the network, which {variable} switches off. With a network, {command} fetches "
                "a checkpoint, and ./FOLDER is then its name."
            )
    return HubError(
        f"{text} is on the network, and this version reads and writes directories only. Fetch a checkpoint "
        f"with: {command}, and use ./FOLDER as its name; or publish to 'local', or to a directory."
    )


def _listed(known: list[Hub]) -> str:
    return ", ".join(hub.name for hub in known)


def _where(asked: list[Hub]) -> str:
    return ", ".join(f"{hub.name} ({hub.root})" for hub in asked)


def _members(reference: Reference) -> list[Reference]:
    """The reference, once a member where it asks for all of them."""
    folder = fetch(reference)
    if reference.member != "*":
        return [reference]
    count = folder.record.members
    if count is None:
        return [replace(reference, member=None)]
    return [replace(reference, member=index) for index in range(count)]
