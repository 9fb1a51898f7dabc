"""Optional libraries: imported where they are used, with an error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from zoo.errors import MissingDependencyError

DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def need(module: str, extra: str, purpose: str) -> ModuleType:
    """The module, imported. Raises :class:`MissingDependencyError` where its library is not installed.

    ``purpose`` begins the message: "Drawing a figure" needs matplotlib, which is not installed.
    """
    library = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != library:
            raise  # something else is missing, and its own message says what
        raise MissingDependencyError(DISTRIBUTIONS.get(library, library), extra, purpose) from problem
