"""The documents that there are: those that ship, and those in the folders of ``ZOO_SPECS``.

An entry is a YAML file, and its name is that of the file without ``.yaml``; a ``paper.yaml`` has
the name of its folder. Files that begin with ``_`` are fragments and no entries.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import paths
from zoo.errors import AmbiguousNameError, SpecError, UnknownNameError, ZooError
from zoo.registry.names import suggest

if TYPE_CHECKING:
    from zoo.specs.base import Spec

SUFFIXES = (".yaml", ".yml")


def folders() -> list[Path]:
    """Folders that are searched: what ships, then those of ``ZOO_SPECS``."""
    chosen = [Path(part).expanduser() for part in os.environ.get("ZOO_SPECS", "").split(os.pathsep) if part]
    for folder in chosen:
        if not folder.is_dir():
            raise ZooError(f"ZOO_SPECS names {folder}, which is no folder. Correct or unset it.")
    return [paths.shipped("specs"), *chosen]


def files() -> dict[str, Path]:
    """Name → file of every entry, in alphabetical order, without reading any.

    Raises :class:`AmbiguousNameError` where two files have one name.
    """
    found: dict[str, Path] = {}
    for root in folders():
        for folder, below, names in os.walk(root):
            below[:] = sorted(name for name in below if name != "schema" and not name.startswith((".", "_")))
            for file in sorted(names):
                path = Path(folder, file)
                if path.suffix not in SUFFIXES or file.startswith((".", "_")) or not exists(path):
                    continue
                name = name_of(path)
                if name in found and not found[name].samefile(path):
                    raise AmbiguousNameError(
                        f"{found[name]} and {path} both have the name {name!r}. Rename one of the files."
                    )
                found.setdefault(name, path)
    return dict(sorted(found.items()))


def name_of(path: Path) -> str:
    """The name of the entry in a file."""
    return Path(os.path.abspath(path)).parent.name if path.stem == "paper" else path.stem


def find(source: str | Path) -> Path:
    """The file of an entry, by its name or its path.

    Raises :class:`UnknownNameError` with the nearest spelling.
    """
    text = str(source)
    if isinstance(source, Path) or text.endswith(SUFFIXES) or "/" in text or os.sep in text:
        path = Path(source)
        if exists(path):
            return path
        raise UnknownNameError(f"there is no file {shown(path)}. `zoo list` prints names that need no path.")
    known = files()
    if text in known:
        return known[text]
    close = suggest(text, known)
    raise UnknownNameError(f"nothing is called {text[:100]!r}.{close} `zoo list` prints all names.")


def entries() -> Iterator[tuple[str, Spec | SpecError]]:
    """Every entry with its spec, or with what is wrong with it."""
    from zoo.specs.loading import load

    for name, path in files().items():
        try:
            yield name, load(path)
        except SpecError as problem:
            yield name, problem


def exists(path: Path) -> bool:
    """Whether there is a file; never fails, however odd the path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shown(path: Path) -> str:
    """A path as it stands in messages: relative where it lies below the working folder."""
    try:
        absolute, here = Path(os.path.abspath(path)), Path.cwd()
    except OSError:  # the working folder is gone
        return str(path)
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
