"""Hubs: where checkpoints are published and fetched by name. Each verb is loaded when first used."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.hub.listing import entries as entries
    from zoo.hub.load import load as load
    from zoo.hub.lookup import expand as expand
    from zoo.hub.lookup import fetch as fetch
    from zoo.hub.lookup import hubs as hubs
    from zoo.hub.lookup import names as names
    from zoo.hub.lookup import open_hub as open_hub
    from zoo.hub.publish import plan as plan
    from zoo.hub.publish import publish as publish
    from zoo.hub.publish import pull as pull
    from zoo.hub.reference import Reference as Reference
    from zoo.hub.verify import verify as verify

_VERBS = {
    **dict.fromkeys(("expand", "fetch", "hubs", "names", "open_hub"), "zoo.hub.lookup"),
    "entries": "zoo.hub.listing",
    "Reference": "zoo.hub.reference",
    "load": "zoo.hub.load",
    "plan": "zoo.hub.publish",
    "publish": "zoo.hub.publish",
    "pull": "zoo.hub.publish",
    "verify": "zoo.hub.verify",
}

__all__ = [*_VERBS]


class _Hub(ModuleType):
    """This package. Importing ``zoo.hub.load`` would put the module in the place of the verb ``load``."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _VERBS:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Hub


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"zoo.hub has no {name!r}; it has {', '.join(_VERBS)}")
    value = getattr(importlib.import_module(_VERBS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
