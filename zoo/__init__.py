"""A declarative model zoo for the science of neural networks.

The verbs, and nothing else; each is loaded when it is first used, so importing the zoo is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.analysis.compare import compare as compare
    from zoo.analysis.measure import analyse as analyse
    from zoo.deriving.derive import derive as derive
    from zoo.hub import names as names
    from zoo.hub.load import load as load
    from zoo.hub.publish import publish as publish
    from zoo.hub.publish import pull as pull
    from zoo.hub.verify import verify as verify
    from zoo.importing.adopt import adopt as adopt
    from zoo.importing.record import record as record
    from zoo.specs.loading import load as spec  # noqa: F401
    from zoo.studies.reproduce import reproduce as reproduce
    from zoo.sweeps.results import results as results
    from zoo.sweeps.sweep import sweep as sweep
    from zoo.training.train import train as train

__version__ = "0.1.0"

_VERBS = {
    "names": "zoo.hub",
    "load": "zoo.hub.load",
    "train": "zoo.training.train",
    "sweep": "zoo.sweeps.sweep",
    "results": "zoo.sweeps.results",
    "derive": "zoo.deriving.derive",
    "adopt": "zoo.importing.adopt",
    "record": "zoo.importing.record",
    "publish": "zoo.hub.publish",
    "pull": "zoo.hub.publish",
    "verify": "zoo.hub.verify",
    "compare": "zoo.analysis.compare",
    "analyse": "zoo.analysis.measure",
    "reproduce": "zoo.studies.reproduce",
    "spec": "zoo.specs.loading:load",
}

__all__ = [*_VERBS]


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"the zoo has no verb {name!r}; it has {', '.join(_VERBS)}")
    import importlib

    module, _, attribute = _VERBS[name].partition(":")
    verb = getattr(importlib.import_module(module), attribute or name)
    globals()[name] = verb
    return verb


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
