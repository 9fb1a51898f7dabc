"""The resolver: from a kind to the class that declares it and the class that implements it.

Kinds are strings until somebody asks for one, so listing them costs nothing. Plugins add kinds
through the entry-point group ``zoo.kinds``: an entry point named ``models.my-kind`` that points
at a :class:`Kind`. They are listed from package metadata and loaded when asked for.
"""

from zoo.registry.builtin import BUILTIN, Kind
from zoo.registry.names import glob, suggest
from zoo.registry.tables import (
    FAMILIES,
    Plugin,
    implementation,
    kinds,
    plugins,
    register,
    registered,
    resolve,
    spec_class,
)

__all__ = [
    "BUILTIN",
    "FAMILIES",
    "Kind",
    "Plugin",
    "glob",
    "implementation",
    "kinds",
    "plugins",
    "register",
    "registered",
    "resolve",
    "spec_class",
    "suggest",
]
