"""Where the data that ship with the zoo lie, and where a user's own are kept."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Literal

from zoo.errors import ZooError


@cache
def shipped(what: Literal["specs", "registry"]) -> Path:
    """The folder ``specs/`` or ``registry/``: inside the installed package, or of the checkout.

    Raises :class:`ZooError` when neither holds any file, rather than serving an empty catalogue.
    """
    package = Path(__file__).resolve().parent
    tried = (package / "_data" / what, package.parent / what)
    for folder in tried:
        if folder.is_dir() and any(folder.iterdir()):
            return folder
    raise ZooError(
        f"the installation has no {what}/ folder (looked in {' and '.join(map(str, tried))}). "
        "Reinstall neuroai-zoo, or run from a complete checkout."
    )


def home() -> Path:
    """``$ZOO_HOME``, or ``zoo`` in the user's data folder: runs, the local hub and cached results."""
    if chosen := os.environ.get("ZOO_HOME"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share").absolute() / "zoo"
