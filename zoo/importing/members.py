"""Networks out of files: those whose weights they are, or those in whose place recordings stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.network import empty, fill
from zoo.errors import ForeignFileError
from zoo.importing.arrays import read_arrays
from zoo.importing.files import ForeignFile, read
from zoo.importing.fitting import fit
from zoo.importing.hdf5 import read_hdf5
from zoo.importing.naming import name_arrays
from zoo.importing.nwb import read_nwb
from zoo.importing.recording import Recorded, assembled, recordings
from zoo.importing.weights import read_tensors
from zoo.network import Network
from zoo.specs.base import NAME
from zoo.specs.catalogue import find
from zoo.specs.composing import compose_file
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load
from zoo.specs.mapping import MappingSpec, NwbSpec
from zoo.specs.problems import validate

MOST = 300
"""Characters of a line in the record."""


@dataclass(frozen=True)
class Members:
    """The networks of an experiment, one a member, and what they were made of."""

    experiment: ExperimentSpec
    networks: Sequence[Network]
    sha256: Sequence[str]
    """Of the files."""
    table: Mapping[str, str]
    """Our tensor → what of the first file it was made of."""
    notes: Sequence[str]


def from_weights(
    paths: Sequence[Path],
    spec: str | Path | ExperimentSpec,
    mapping: MappingSpec | None,
    member: int | None,
    known: Mapping[str, Any],
) -> Members:
    """A network for each file of weights; ``known`` are fields of the experiment that are given.

    Raises what :func:`zoo.adopt` does.
    """
    chosen = validate(ExperimentSpec, {**dict(_experiment(spec)), **known})
    experiment = _populated(chosen, len(paths), member)
    networks, digests, told = [], [], []
    for path, single in zip(paths, experiment.members(), strict=True):
        file = read(path)
        tensors, notes = read_tensors(file, mapping.inside if mapping else ())
        fitted = fit(tensors, empty(single).model.state_dict(), mapping, str(path))
        networks.append(_network(single, fitted.tensors, file))
        digests.append(file.sha256)
        told.append((fitted.table, [*notes, *(f"{name} was left out" for name in fitted.left_out)]))
    return Members(experiment, networks, digests, *_lines(*told[0]))


def from_recordings(
    paths: Sequence[Path], mapping: MappingSpec | None, held_out: float, known: Mapping[str, Any]
) -> Members:
    """A network in whose place each recording stands.

    Raises what :func:`zoo.adopt` does.
    """
    files = [read(path) for path in paths]
    found = [(file, each) for file in files for each in _recordings(file, mapping, held_out)]
    first = found[0][1]
    for file, each in found[1:]:
        if (each.model, each.task) != (first.model, first.task):
            raise ForeignFileError(
                f"{file.path} holds {_size(each)}, and {files[0].path} {_size(first)}: the members of a "
                "population have the same arrays. Import them one by one."
            )
    document = {
        "model": first.model,
        "task": first.task,
        "learner": {"kind": "none"},
        "train": {"steps": 0},
        "record": {"snapshots": None, "golden_trials": min(4, first.model.trials)},
        "population": {"members": len(found)} if len(found) > 1 else None,
        **known,
    }
    experiment = validate(ExperimentSpec, {"name": known.get("name") or _name(paths[0]), **document})
    networks = [
        _network(single, each.tensors, file)
        for single, (file, each) in zip(experiment.members(), found, strict=True)
    ]
    return Members(experiment, networks, [file.sha256 for file in files], *_lines(first.table, first.notes))


def _experiment(spec: str | Path | ExperimentSpec) -> ExperimentSpec:
    """An experiment; one without a learner, and nothing to train, where a file names none."""
    if isinstance(spec, ExperimentSpec):
        return spec
    path = find(spec)
    without = "learner" not in compose_file(path).data
    found = load(path, ["learner={kind: none}", "train.steps=0"] * without, ExperimentSpec)
    if found.model.kind == "recording":
        raise ForeignFileError(f"{found.name} is of a recording, which has no weights. Give another spec.")
    return found


def _populated(experiment: ExperimentSpec, files: int, member: int | None) -> ExperimentSpec:
    """The experiment whose members are the files. Raises :class:`ForeignFileError` where it has others."""
    population = experiment.population
    has = "is of a single network" if population is None else f"has members 0 to {len(population) - 1}"
    if member is not None:
        if population is None or files > 1 or not 0 <= member < len(population):
            raise ForeignFileError(
                f"the spec {experiment.name} {has}, and {files} file(s) should be member {member}. Give one "
                "file with the number of a member, or leave out the number."
            )
        return experiment.member(member)
    if population is not None and len(population) == files:
        return experiment
    if population is not None and population.paths:
        raise ForeignFileError(
            f"the spec {experiment.name} {has}, which differ in {', '.join(population.paths)}, and there are "
            f"{files} file(s). Give one for each, or one file and --member."
        )
    members = None if files == 1 else {"members": files}
    return validate(ExperimentSpec, {**dict(experiment), "population": members})


def _network(experiment: ExperimentSpec, tensors: Mapping[str, Tensor], file: ForeignFile) -> Network:
    """A network with these weights, which gives numbers on its own task."""
    network = empty(experiment)
    fill(network, tensors, str(file.path))
    network.eval()
    with torch.no_grad():
        y = network(network.batch("test", 0, 0, experiment.record.golden_trials).x).y
    if not bool(torch.isfinite(y).all()):
        raise ForeignFileError(
            f"{file.path}: the outputs of the network are not finite on the task, so that nothing could be "
            "verified. Look whether model and mapping are the right ones."
        )
    return network


def _recordings(file: ForeignFile, mapping: MappingSpec | None, held_out: float) -> list[Recorded]:
    if file.suffix == ".nwb":
        arrays, facts, test = read_nwb(file, mapping.nwb if mapping else NwbSpec())
        named = name_arrays(str(file.path), arrays, mapping or MappingSpec())
        if test is not None:
            named = {name: replace(each, held_out=test) for name, each in named.items()}
        return [assembled(str(file.path), named, held_out, facts)]
    arrays = read_hdf5(file) if file.suffix in (".h5", ".hdf5") else read_arrays(file)
    return recordings(file, arrays, mapping, held_out)


def _size(recorded: Recorded) -> str:
    model = recorded.model
    return f"{model.trials} trials × {model.steps} steps × {model.units} units"


def _name(path: Path) -> str:
    """The name of a file as that of a checkpoint. Raises :class:`ForeignFileError` where it cannot be one."""
    name = path.stem.lower().replace(" ", "-")
    if not re.fullmatch(NAME, name):
        raise ForeignFileError(f"{path.name} cannot give the checkpoint its name. Give one with --name.")
    return name


def _lines(table: Mapping[str, str], notes: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """What was made of what, in lines that fit into a record."""
    return {ours: made[:MOST] for ours, made in table.items()}, [note[:MOST] for note in notes]
