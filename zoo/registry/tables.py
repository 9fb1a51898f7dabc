"""The tables of kinds, and how a kind is turned into classes and an experiment into modules."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from zoo.errors import RegistryError, ZooError
from zoo.registry.builtin import BUILTIN, Kind
from zoo.registry.names import suggest

if TYPE_CHECKING:
    from zoo.learners.base import Learner
    from zoo.specs.experiment import ExperimentSpec
    from zoo.training.data import TaskData

FAMILIES = tuple(BUILTIN)
GROUP = "zoo.kinds"
_SINGULAR = {
    "models": "model",
    "tasks": "task",
    "learners": "learner",
    "analyses": "analysis",
    "operations": "operation",
}

_registered: dict[tuple[str, str], Kind] = {}


@dataclass(frozen=True)
class Plugin:
    """A kind that another distribution offers, as its metadata describes it."""

    family: str
    kind: str
    target: str
    distribution: str
    error: str = ""
    """Why it cannot be used; empty when nothing is known to be wrong."""


@cache
def _entry_points() -> tuple[tuple[Plugin, EntryPoint], ...]:
    """Plugins by metadata alone: no plugin code runs here."""
    found: list[tuple[Plugin, EntryPoint]] = []
    taken: dict[tuple[str, str], str] = {(f, k): "the zoo itself" for f in BUILTIN for k in BUILTIN[f]}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        family, _, kind = point.name.partition(".")
        owner = point.dist.name if point.dist else "unknown distribution"
        error = ""
        if family not in BUILTIN or not kind:
            known = ", ".join(FAMILIES)
            error = f"entry point {point.name!r} should be named FAMILY.KIND with a family of {known}"
        elif (family, kind) in taken:
            error = f"{family} kind {kind!r} is already taken by {taken[family, kind]}"
        else:
            taken[family, kind] = owner
        found.append((Plugin(family, kind, point.value, owner, error), point))
    return tuple(found)


def plugins(load: bool = False) -> list[Plugin]:
    """Kinds offered by installed distributions.

    ``load`` imports each of them and reports what fails, which is how a broken one is found
    without hiding the others.
    """
    listed = []
    for plugin, _ in _entry_points():
        error = plugin.error
        if load and not error:
            try:
                spec_class(plugin.family, plugin.kind)
                implementation(plugin.family, plugin.kind)
            except ZooError as problem:
                error = str(problem)
        listed.append(Plugin(plugin.family, plugin.kind, plugin.target, plugin.distribution, error))
    return listed


def register(family: str, kind: str, entry: Kind) -> None:
    """Add a kind from Python, for a notebook or a test. Raises on a name that is taken."""
    _check_family(family)
    if kind in kinds(family):
        raise RegistryError(
            f"{family} kind {kind!r} is registered twice: as {_lookup(family, kind)} and as {entry}. "
            "Choose another kind name for the second."
        )
    _registered[family, kind] = entry


def registered() -> dict[tuple[str, str], Kind]:
    """(family, kind) → what :func:`register` has added in this process."""
    return dict(_registered)


def kinds(family: str) -> list[str]:
    """Names of all kinds of a family, ours and those of plugins, without loading any."""
    _check_family(family)
    ours = [*BUILTIN[family], *(k for f, k in _registered if f == family)]
    return sorted({*ours, *(p.kind for p, _ in _entry_points() if p.family == family and not p.error)})


def spec_class(family: str, kind: str) -> type[Any]:
    """The spec class of a kind. Raises :class:`RegistryError` with the nearest spelling."""
    entry = _lookup(family, kind)
    found = _load(entry.spec, family, kind)
    field = getattr(found, "model_fields", {}).get("kind")
    if getattr(found, "family", None) != family or field is None or field.default != kind:
        raise RegistryError(
            _broken(family, kind, f"{entry.spec} is no spec class of the family {family} with kind {kind!r}")
        )
    return found


def implementation(family: str, kind: str) -> type[Any]:
    """The class that implements a kind; importing it may import torch."""
    return _load(_lookup(family, kind).implementation, family, kind)


def resolve(experiment: ExperimentSpec) -> tuple[Learner, TaskData]:
    """The LightningModule and LightningDataModule that an experiment declares.

    The weights are initialised from ``experiment.train.seed`` alone: the same spec gives the same
    weights, whatever the state of torch's generators.
    """
    from zoo.network import build
    from zoo.training.data import TaskData

    network = build(experiment)
    return network.learner(), TaskData(network, experiment.train)


def _check_family(family: str) -> None:
    if family not in BUILTIN:
        raise RegistryError(f"there is no family of kinds {family!r}; there are {', '.join(FAMILIES)}.")


def _lookup(family: str, kind: str) -> Kind:
    _check_family(family)
    if kind in BUILTIN[family]:
        return BUILTIN[family][kind]
    if (family, kind) in _registered:
        return _registered[family, kind]
    for plugin, point in _entry_points():
        if (plugin.family, plugin.kind) == (family, kind) and not plugin.error:
            return _from_plugin(plugin, point)
    raise RegistryError(
        f"there is no {_SINGULAR[family]} of kind {kind!r}."
        f"{suggest(kind, kinds(family))} Known kinds: {', '.join(kinds(family))}."
    )


@cache
def _from_plugin(plugin: Plugin, point: EntryPoint) -> Kind:
    try:
        entry = point.load()
    except (Exception, SystemExit) as problem:  # a plugin's own failure, of whatever type
        raise RegistryError(_broken(plugin.family, plugin.kind, _reason(problem))) from problem
    if not isinstance(entry, Kind):
        raise RegistryError(_broken(plugin.family, plugin.kind, f"{point.value} is no zoo.registry.Kind"))
    return entry


def _load(target: str, family: str, kind: str) -> type[Any]:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ZooError:
        raise  # says what is missing and what to do
    except (Exception, SystemExit) as problem:
        raise RegistryError(
            _broken(family, kind, f"{target} cannot be loaded: {_reason(problem)}")
        ) from problem


def _reason(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}"


def _broken(family: str, kind: str, why: str) -> str:
    for plugin, _ in _entry_points():
        if (
            (plugin.family, plugin.kind) == (family, kind)
            and not plugin.error
            and kind not in BUILTIN[family]
        ):
            return (
                f"the plugin {plugin.distribution!r}, which offers {family} kind {kind!r}, is broken: {why}. "
                "Mend or uninstall it; everything else keeps working."
            )
    return f"{family} kind {kind!r} is broken: {why}."
