"""Where names are looked up: a path, the local hub, the registry that ships, the hubs in ``ZOO_HUBS``.

The network is touched for addresses only, in a name or in ``ZOO_HUBS``.
"""

from __future__ import annotations

import glob as files
import os
import re
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import (
    AmbiguousNameError,
    HubError,
    UnknownNameError,
    UnknownRevisionError,
    ZooError,
    ZooWarning,
    brief,
)
from zoo.hub.base import DirectoryHub, Hub
from zoo.hub.cache import CacheHub
from zoo.hub.network import has_secret, has_token, public
from zoo.hub.plain import FolderHub
from zoo.hub.recorded import declared, recorded
from zoo.hub.reference import EXAMPLES, MAX_LENGTH, PART, TAIL, Reference, is_path
from zoo.hub.repository import PREFIX
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
    for entry in _entries(os.environ.get("ZOO_HUBS", "")):
        hub = _address(*_named(entry)) if "://" in entry else _directory(Path(entry))
        if taken := next((known for known in found if known.name == hub.name), None):
            raise HubError(
                f"ZOO_HUBS names {hub.where}, but {taken.where} is called {hub.name!r}, too. Rename the "
                "folder; of an address, put NAME= before it."
            )
        found.append(hub)
    return found


def open_hub(text: str | Path) -> Hub:
    """The hub of a name, at an address, or in a directory, which need not exist yet if written as a path.

    Addresses are ``hf://[organisation]``, ``https://host``, and those of ``fsspec``, such as ``s3://bucket``.

    A directory that holds plain checkpoint folders is read as they are; any other gets the
    content-addressed form. Raises :class:`HubError`.
    """
    known = hubs()
    if isinstance(text, str):
        if found := next((hub for hub in known if hub.name == text), None):
            return found
        if "://" in text or text in ("hf", "hf:"):
            return _address(text if "://" in text else "hf://")
        if text == REGISTRY:
            raise HubError("this installation ships no registry. Publish to 'local', or to a directory.")
        if not text or "\0" in text or has_token(text):
            raise HubError(
                f"{brief(public(text))} is no hub. There are: {_listed(known)}; or give a directory."
            )
    try:
        path = Path(text).expanduser()
        there, folder = path.exists(), path.is_dir()
    except (OSError, RuntimeError, ValueError) as problem:  # too long, or of a user who is not known here
        why = getattr(problem, "strerror", None) or str(problem).rstrip(".")
        raise HubError(f"{brief(str(text))} is no hub: {why}. Give the path of a directory.") from problem
    if isinstance(text, str) and not (os.sep in text or text in (".", "..", "~") or folder):
        raise HubError(
            f"there is no hub {brief(text)}.{suggest(text, [hub.name for hub in known])} "
            f"There are: {_listed(known)}. For a directory, write ./{text[:60]}."
        )
    if there and not folder:
        raise HubError(f"{path} is a file, and a hub is a directory. Give another path.")
    return _directory(path)


def names(pattern: str | Iterable[str] = "*") -> list[str]:
    """Names on any hub that match a glob, or one of several, sorted; ``hub:glob`` asks that hub alone.

    Of hubs in ``ZOO_HUBS`` that cannot be reached, a :class:`ZooWarning` says so.
    """
    known = hubs()
    if isinstance(pattern, str):
        hub, rest = _split_pattern(pattern)
        if hub:
            return glob(rest, _hub(hub, known).names())
    return glob(pattern, _names(known))


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
        if reference.path is not None and os.path.isfile(reference.path / "record.json"):
            return _members(reference)
        paths = sorted(path for path in files.glob(text) if os.path.isfile(os.path.join(path, "record.json")))
        if not paths:
            raise UnknownNameError(f"no folder that matches {brief(text, 100)} holds a checkpoint.")
        return [Reference.parse(str(Path(path).absolute())) for path in paths]
    if "://" in text and has_secret(text):
        Reference.parse(text)  # which says so
    hub, rest = _split_pattern(text)
    found = _PATTERN.fullmatch(rest) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise UnknownNameError(f"{brief(public(text), 100)} is no pattern of names. {EXAMPLES}")
    known = hubs()
    asked = [_hub(hub, known)] if hub else known
    every = _names(asked) if hub is None else asked[0].names()
    matching = glob(found["name"], every)
    if not matching and hub is None and declared(found["name"]):
        matching = [found["name"]]
    if not matching:
        raise UnknownNameError(
            f"no checkpoint matches {public(text)!r}; looked in {_where(asked)}."
            f"{suggest(_MAGIC.sub('', found['name']), every)} See what there is with: zoo list"
        )
    tail = rest[found.end("name") :]
    if hub and "://" in hub:
        spelled = [f"{hub.rstrip('/') if hub != 'hf://' else 'hf:/'}/{name}{tail}" for name in matching]
    else:
        spelled = [f"{hub}:{name}{tail}" if hub else f"{name}{tail}" for name in matching]
    references = [Reference.parse(each) for each in spelled]
    return [each for found in references for each in (_members(found) if tail else [found])]


def _split_pattern(text: str) -> tuple[str | None, str]:
    """The hub of a pattern, a name or an address, and the rest."""
    if "://" not in text:
        hub, colon, rest = text.rpartition(":")
        return (hub, rest) if colon else (None, text)
    magic = _MAGIC.search(text)
    with suppress(UnknownNameError):  # all members of one checkpoint
        reference = Reference.parse(text)
        if "/" in reference.name:
            return reference.hub, str(replace(reference, hub=None))
    head = text[: magic.start()] if magic else text
    hub = head.rpartition("/")[0] + ("/" if head.rpartition("/")[0].endswith(":/") else "")
    return hub, text[len(hub) :].lstrip("/")


def _names(asked: list[Hub]) -> list[str]:
    found: set[str] = set()
    for hub in asked:
        try:
            found.update(hub.names())
        except HubError as problem:
            if isinstance(hub, DirectoryHub):
                raise
            warnings.warn(f"names on {hub.name} are missing: {problem}", ZooWarning, stacklevel=3)
    return sorted(found)


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
    problems: list[ZooError] = []
    for hub in asked:
        try:
            return hub.fetch(reference.name, reference.revision)
        except (UnknownRevisionError, HubError) as problem:
            problems.append(problem)
        except UnknownNameError as problem:
            if not isinstance(hub, DirectoryHub):
                problems.append(problem)
    if not reference.hub and not reference.revision and (here := recorded(reference.name)):
        return here
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise UnknownNameError("\n".join(map(str, problems)))
    raise UnknownNameError(
        f"there is no checkpoint {reference.name!r}; looked in {_where(asked)}."
        f"{suggest(reference.name, _names([hub for hub in known if isinstance(hub, DirectoryHub)]))} "
        f"If there is a spec of it, train it with: zoo train {reference.name}. "
        "If a directory or a server elsewhere has it, add that to ZOO_HUBS."
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
    if found is None and ("://" in name or name == "hf"):
        return _address(name if "://" in name else "hf://")
    if found is None:
        raise UnknownNameError(
            f"there is no hub {brief(public(name))}.{suggest(name, [hub.name for hub in known])} "
            f"There are: {_listed(known)}. Further directories and addresses are read from ZOO_HUBS."
        )
    return found


def _directory(path: Path) -> CacheHub | FolderHub:
    root = path.expanduser().absolute()
    name = re.sub(r"([.-])\1+", r"\1", re.sub("[^a-z0-9._-]+", "-", root.name.lower())).strip("-._") or "hub"
    return FolderHub(root, name) if _is_plain(root) else CacheHub(root, name)


def _is_plain(root: Path) -> bool:
    """Whether a directory holds plain checkpoint folders, and no repositories; both forms may be large."""
    plain = False
    with suppress(OSError, ValueError), os.scandir(root) as entries:  # or a name that no path can have
        for entry in entries:
            if entry.name.startswith(PREFIX):
                return False
            plain = plain or os.path.isfile(os.path.join(entry.path, "record.json"))
    return plain


def _address(address: str, name: str | None = None) -> Hub:
    """The hub at an address. Raises :class:`HubError` for what is none."""
    if has_secret(address):
        raise HubError(
            f"{brief(public(address), 100)} was given with a password or a token in it, which would be seen "
            "in logs. Set HF_TOKEN or ZOO_TOKEN instead, and give the plain address."
        )
    scheme, _, place = address.partition("://")
    owner = place.strip("/")
    if scheme == "hf" and (not owner or re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,95}", owner)):
        from zoo.hub.huggingface import HuggingFaceHub

        return HuggingFaceHub(None, owner, name)
    if scheme in ("http", "https"):
        host, _, owner = owner.partition("/")
        if host and re.fullmatch("(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95})?", owner):
            from zoo.hub.huggingface import HuggingFaceHub

            return HuggingFaceHub(f"{scheme}://{host}", owner, name)
    elif scheme != "hf" and re.fullmatch("[a-z][a-z0-9+.-]{0,15}", scheme) and "\0" not in place:
        from zoo.hub.objects import ObjectHub

        return ObjectHub(address, name)
    raise HubError(
        f"{brief(public(address), 100)} is no address of a hub. Addresses look like: hf://lab, "
        "https://hub.lab.org, s3://bucket/folder."
    )


def _entries(text: str) -> list[str]:
    """The hubs in ``ZOO_HUBS``: between commas, and directories also as in ``PATH``."""
    listed = [entry.strip() for entry in text.split(",")]
    return [
        part for entry in listed for part in ([entry] if "://" in entry else entry.split(os.pathsep)) if part
    ]


def _named(entry: str) -> tuple[str, str | None]:
    """``name=address`` as address and name."""
    name, equals, address = entry.partition("=")
    return (address, name) if equals and re.fullmatch(PART, name) else (entry, None)


def _listed(known: list[Hub]) -> str:
    return ", ".join(hub.name for hub in known)


def _where(asked: list[Hub]) -> str:
    return ", ".join(hub.name if hub.name == hub.where else f"{hub.name} ({hub.where})" for hub in asked)


def _members(reference: Reference) -> list[Reference]:
    """The reference, once a member where it asks for all of them."""
    folder = fetch(reference)
    if reference.member != "*":
        return [reference]
    count = folder.record.members
    if count is None:
        return [replace(reference, member=None)]
    return [replace(reference, member=index) for index in range(count)]
