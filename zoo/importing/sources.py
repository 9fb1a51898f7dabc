"""Recordings from where their spec says they come from, and checkpoints of those that the catalogue names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo import __version__, paths
from zoo.checkpoints.folder import CheckpointFolder
from zoo.checkpoints.network import empty, fill
from zoo.errors import CheckpointError, SpecError, brief
from zoo.importing.members import Members
from zoo.importing.naming import Named
from zoo.importing.packages import Packaged, installed, read_grasshopper, read_resting
from zoo.importing.recording import Recorded, assembled
from zoo.network import Network
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.models.recording import RecordingSpec
from zoo.specs.models.sources import GrasshopperSource, NetworkSource, RestingSource

SHAPES = ("trials", "steps", "units", "channels", "outputs", "ragged", "latents", "signal", "dt")
Source = NetworkSource | GrasshopperSource | RestingSource


def read_source(source: Source, network: Network | None = None) -> tuple[Recorded, str, str]:
    """What is recorded there, where it comes from in a line, and a SHA-256 of what was read.

    ``network`` stands for the one that a :class:`NetworkSource` names. Raises
    :class:`MissingDependencyError` where a package is not installed, :class:`ForeignFileError` where it does
    not hold what it should, :class:`UnknownNameError` and :class:`AnalysisError` for networks and units that
    there are not.
    """
    if isinstance(source, NetworkSource):
        from zoo.importing.record import observed

        return observed(source, network)
    read: Packaged = (
        read_grasshopper(source) if isinstance(source, GrasshopperSource) else read_resting(source)
    )
    named = {
        name: Named(np.asarray(values), f"{name} of {source.package}") for name, values in read.arrays.items()
    }
    facts = {"source": source, "signal": read.signal, "dt": read.dt}
    return assembled(source.package, named, 0.0, facts), read.source, read.sha256


def checkpoint(experiment: ExperimentSpec) -> CheckpointFolder:
    """The checkpoint of an experiment whose recordings are read from their sources.

    It is kept under ``$ZOO_HOME/cache``, by the experiment, what the sources hold and the version of the zoo.
    Raises as :func:`read_source` does, and :class:`SpecError` where the recording is not as the spec says.
    """
    singles = experiment.members()
    stamp = hashlib.sha256("/".join([experiment.digest(), __version__, *map(_version, singles)]).encode())
    folder = CheckpointFolder(paths.home() / "cache" / "recordings" / stamp.hexdigest()[:32])
    if (folder.path / "record.json").is_file():
        return folder
    from zoo.importing.adopt import written

    networks, told, found = [], [], None
    for single in singles:
        found, where, sha256 = read_source(_source(single))
        networks.append(filled(single, found))
        told.append((where, sha256))
    assert found is not None
    members = Members(
        experiment, networks, [sha256 for _, sha256 in told if sha256], found.table, found.notes
    )
    where = told[0][0] if len(set(told)) == 1 else f"{told[0][0]}; and {len(told) - 1} more"
    try:
        return written(members, {"source": where, "mapping": None}, 0, folder.path, progress=False)
    except CheckpointError:
        if (folder.path / "record.json").is_file():  # another process was faster
            return folder
        raise


def filled(experiment: ExperimentSpec, recorded: Recorded) -> Network:
    """The network in whose place a recording stands. Raises :class:`SpecError` for another than it says."""
    model = experiment.model
    assert isinstance(model, RecordingSpec)
    said = {name: getattr(model, name) for name in SHAPES}
    is_ = {name: getattr(recorded.model, name) for name in SHAPES}
    wrong = [
        f"{name} is {_shown(is_[name])}, not {_shown(said[name])}"
        for name in SHAPES
        if said[name] != is_[name]
    ]
    if wrong:
        raise SpecError(
            f"{experiment.name}: what its source holds is not what its model says: {'; '.join(wrong)}.",
            "Correct the model, or the source.",
        )
    network = empty(experiment)
    fill(network, recorded.tensors, experiment.name)
    return network.eval()


def _source(experiment: ExperimentSpec) -> Source:
    source: Any = getattr(experiment.model, "source", None)
    if source is None:
        raise SpecError(
            f"{experiment.name} is a recording whose model names no source.",
            "Give model.source, or make a checkpoint of arrays with zoo import.",
        )
    return source


def _version(experiment: ExperimentSpec) -> str:
    """What tells one state of a source from another, without reading it."""
    source = _source(experiment)
    if isinstance(source, NetworkSource):
        from zoo.checkpoints.network import origin
        from zoo.hub import Reference, fetch

        reference = Reference.parse(source.of)
        member = reference.member if isinstance(reference.member, int) else None
        return origin(fetch(reference), member, reference.step)
    return installed(source.package)[1]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return brief({name: each.plain() for name, each in value.items()}, 300)
    return brief(value)
