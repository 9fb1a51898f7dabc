"""What workers do for a comparison: features of networks, and tiles of pairs.

Everything goes either way as bytes and arrays, so that a worker of another version can still refuse it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from zoo import paths
from zoo.analysis.base import Features
from zoo.analysis.items import from_reference
from zoo.errors import CheckpointError, EngineError, UnknownNameError
from zoo.hub.reference import Reference
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.base import RunSpec

Source = tuple[str, Trajectories | tuple[Reference, str]]
"""The name of a network, and its trajectories, or where it is published with the digest it has there."""


class Packed:
    """Objects that arrive at a worker as bytes, made and pickled when they are sent and not before."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __reduce__(self) -> tuple[type, tuple[bytes]]:
        return bytes, (pickle.dumps(self.make(), protocol=5),)


def tile(packed: bytes) -> dict[str, np.ndarray]:
    """What a tile finds of some pairs, see :data:`zoo.analysis.tiles.Tile`."""
    function, networks, pairs = pickle.loads(packed)
    found: Mapping[str, torch.Tensor] = function(
        [thawed(each) for each in networks], torch.from_numpy(pairs), lambda share: None
    )
    return {name: value.cpu().numpy() for name, value in found.items()}


def features(packed: bytes) -> list[Features]:
    """The features of some networks, frozen.

    Raises :class:`EngineError` where a network is not where the driver says; what extracting them raises.
    """
    meant, comparator, sources = pickle.loads(packed)
    before = surroundings()
    os.environ |= meant
    try:
        found = []
        for name, source in sources:
            run = source if isinstance(source, Trajectories) else _run(source[0], source[1], comparator.spec)
            found.append(frozen(comparator.features(replace(run, name=name))))
        return found
    finally:
        os.environ |= before


def surroundings() -> dict[str, str]:
    """What a name of a network means here, as far as the environment says."""
    return {"ZOO_HOME": str(paths.home()), "ZOO_HUBS": os.environ.get("ZOO_HUBS", "")}


def sent(source: Source) -> Source:
    """With tensors of their own: of a view, everything that it is a view of would be sent."""
    name, run = source
    if not isinstance(run, Trajectories):
        return source

    def of(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: of(value) for key, value in part.items()}
        return part.detach().cpu().clone() if isinstance(part, torch.Tensor) else part

    return name, replace(run, **{field.name: of(getattr(run, field.name)) for field in fields(run)})


def frozen(found: Features) -> Features:
    """With arrays in the place of tensors."""
    arrays: dict[str, Any] = {name: value.cpu().numpy() for name, value in found.values.items()}
    return replace(found, values=arrays)


def thawed(found: Features) -> Features:
    return replace(found, values={name: torch.tensor(value) for name, value in found.values.items()})


def _run(reference: Reference, digest: str, spec: RunSpec) -> Trajectories:
    item, identity = from_reference(reference, spec), None
    with suppress(UnknownNameError, CheckpointError):
        identity = item.identity()
    if identity is None or identity[1] != digest:
        raise EngineError(
            f"a worker does not find what its driver finds under {reference}. Set ZOO_HOME, and ZOO_HUBS "
            "where there are other hubs, to absolute paths that driver and workers share, and call again."
        )
    return item.open()
