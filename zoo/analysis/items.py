"""What can be compared, brought to one form: names, globs, arrays, trajectories and networks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from zoo.errors import AnalysisError, brief, calling
from zoo.models.trajectories import Trajectories, is_ragged
from zoo.registry import glob
from zoo.specs.analyses.base import RunSpec

if TYPE_CHECKING:
    from zoo.hub.reference import Reference

WHAT = (
    "Give names or globs, Trajectories, arrays [trial, time, unit] or files of them, or networks; "
    "as a list, or as a dict from name to one of them"
)


@dataclass(frozen=True)
class Item:
    """One thing to compare, not yet loaded."""

    name: str
    label: str
    open: Callable[[], Trajectories]
    identity: Callable[[], tuple[str, str] | None] = lambda: None
    """Where it comes from, and a digest (SHA-256) of everything that its trajectories follow from;
    none where only the trajectories themselves can tell."""
    network: Callable[[], Any] = lambda: None
    """The network itself, where there is one."""
    reference: Reference | None = None
    """Of a published network."""


def gather(
    items: Any,
    spec: RunSpec,
    labels: Sequence[str] | Mapping[str, Any] | None,
    least: Literal[1, 2] = 2,
) -> list[Item]:
    """At least one item, or two, with different names.

    Raises :class:`AnalysisError` for things that cannot be compared, a name that comes twice, or fewer
    than ``least``; what the hub raises on names that it does not know.
    """
    if least == 1 and isinstance(items, np.ndarray | Tensor | Trajectories):
        items = [items]
    wanted = "two networks" if least == 2 else "one network"
    if isinstance(items, Mapping):
        found = [item for name, value in items.items() for item in _named(str(name), value, spec)]
    elif _is_array_file(items):
        found = list(_any(items, 1, spec))
    elif _is_name(items):
        found = list(_from_hub(items, spec))
    elif isinstance(items, Iterable) and not isinstance(items, np.ndarray | Tensor | Trajectories):
        found = [item for number, value in enumerate(items, 1) for item in _any(value, number, spec)]
    else:
        raise AnalysisError(
            f"an analysis needs at least {wanted}, and one {type(items).__name__} was given. {WHAT}."
        )
    if len(found) < least:
        only = f"only {found[0].name!r}" if found else "nothing"
        raise AnalysisError(f"an analysis needs at least {wanted}, and {only} was given. {WHAT}.")
    twice = [name for name, times in Counter(item.name for item in found).items() if times > 1]
    if twice:
        raise AnalysisError(
            f"{', '.join(map(repr, twice[:5]))} would be in the matrix more than once. "
            "Give each network once (patterns may overlap), or different names in a dict."
        )
    return found if labels is None else _labelled(found, labels)


def _any(value: Any, number: int, spec: RunSpec) -> Iterator[Item]:
    """The items that one element of a list stands for."""
    if _is_array_file(value):
        yield from _named(Path(value).stem, value, spec)
    elif _is_name(value):
        yield from _from_hub(value, spec)
    elif isinstance(value, Trajectories) or _is_network(value):
        yield from _named(str(getattr(value, "name", "")) or f"network-{number}", value, spec)
    else:
        yield from _named(f"array-{number}", value, spec)


def _named(name: str, value: Any, spec: RunSpec) -> Iterator[Item]:
    """The items that a value of a dict stands for; a glob's keep their names, and the key is their label."""
    if _is_array_file(value):
        yield Item(name, name, lambda: _from_file(Path(value), name))
    elif _is_name(value):
        found = list(_from_hub(value, spec))
        if len(found) == 1:
            found = [replace(found[0], name=name)]
        yield from (replace(item, label=name) for item in found)
    elif isinstance(value, Trajectories):
        yield Item(name, name, lambda: value)
    elif _is_network(value):
        label = getattr(getattr(value, "record", None), "name", name)  # members of one checkpoint share it
        yield Item(name, label, lambda: _run(value, spec), network=lambda: value)
    elif isinstance(value, np.ndarray | Tensor) or is_ragged(value):
        yield Item(name, name, lambda: Trajectories.wrap(value, name=name))
    else:
        raise AnalysisError(f"{calling(name)} is {brief(value)}, which cannot be compared. {WHAT}.")


def _is_array_file(value: Any) -> bool:
    return isinstance(value, str | Path) and Path(value).suffix in (".npy", ".npz")


def _from_file(path: Path, name: str) -> Trajectories:
    """An array, or the arrays ``states`` and ``inputs``, that numpy wrote; pickles are not read."""
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            arrays = {"states": found} if isinstance(found, np.ndarray) else dict(found)
    except (OSError, ValueError, EOFError, BadZipFile) as problem:
        raise AnalysisError(
            f"{path} cannot be read as an array: {brief(str(problem), 120)}. Write it with numpy.save, or "
            "with numpy.savez and the names states and inputs; without objects in it."
        ) from problem
    if "states" not in arrays:
        raise AnalysisError(f"{path} has no array 'states'; it has {', '.join(arrays) or 'none'}.")
    return Trajectories.wrap(arrays["states"], arrays.get("inputs"), name=name)


def _is_name(value: Any) -> bool:
    if isinstance(value, str | Path):
        return True
    from zoo.hub.reference import Reference

    return isinstance(value, Reference)


def _is_network(value: Any) -> bool:
    return callable(getattr(value, "trajectories", None))


def _from_hub(name: Any, spec: RunSpec) -> Iterator[Item]:
    from zoo.hub import expand

    for reference in expand(name):
        yield from_reference(reference, spec)


def from_reference(reference: Reference, spec: RunSpec) -> Item:
    """One published network."""
    from zoo.hub.load import load

    return Item(
        str(reference),
        reference.name,
        lambda: _run(load(reference), spec),
        partial(_identity, reference),
        partial(load, reference),
        reference,
    )


def _identity(reference: Reference) -> tuple[str, str] | None:
    from zoo.checkpoints.network import origin
    from zoo.hub import fetch

    folder = fetch(reference)
    member = reference.member if isinstance(reference.member, int) else None
    found = origin(folder, member, reference.step)
    return found, hashlib.sha256(f"{folder.record.experiment}/{found}".encode()).hexdigest()


def _run(network: Any, spec: RunSpec) -> Trajectories:
    return network.trajectories(trials=spec.trials, seed=spec.seed, split=spec.split, site=spec.site)


def _labelled(items: list[Item], labels: Sequence[str] | Mapping[str, Any]) -> list[Item]:
    """The items with labels of the caller: one each in order, or label → patterns of names."""
    if not isinstance(labels, Mapping):
        given = [labels] if isinstance(labels, str) else [str(label) for label in labels]
        if len(given) != len(items):
            raise AnalysisError(f"there are {len(given)} labels for {len(items)} networks; give one each.")
        return [replace(item, label=label) for item, label in zip(items, given, strict=True)]
    names = [item.name for item in items]
    found: dict[str, str] = {}
    for label, patterns in labels.items():
        members = glob(patterns, names)
        if not members:
            raise AnalysisError(
                f"the label {label!r} is for {brief(patterns)}, which is none of the networks: "
                f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
            )
        for name in members:
            if found.setdefault(name, str(label)) != str(label):
                raise AnalysisError(
                    f"{name!r} has two labels, {found[name]!r} and {str(label)!r}; give it one."
                )
    without = [name for name in names if name not in found]
    if without:
        raise AnalysisError(
            f"no label is given for {brief(', '.join(without), 200)}. "
            "Add a pattern that matches, or leave these networks out."
        )
    return [replace(item, label=found[item.name]) for item in items]


def content(trajectories: Trajectories, parts: Iterable[str]) -> str:
    """SHA-256 of what an analysis reads: what its result is filed under."""
    digest = hashlib.sha256()
    for name in sorted({*parts, "lengths", "latents"}):
        value = getattr(trajectories, name)
        if value is None:
            continue
        tensors = value if isinstance(value, Mapping) else {"": value}
        for key in sorted(tensors):
            values = tensors[key].detach().cpu().contiguous()
            array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # which has none
            digest.update(f"{name}.{key} {array.dtype} {array.shape};".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
