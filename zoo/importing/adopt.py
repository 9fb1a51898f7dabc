"""The verb ``adopt``: weights and recordings that were made elsewhere, as a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.folder import CheckpointFolder, write
from zoo.errors import ForeignFileError
from zoo.importing.files import ARRAYS, ForeignFile, read
from zoo.importing.mapping import load_mapping
from zoo.specs.base import NAME
from zoo.specs.catalogue import find
from zoo.specs.composing import compose_file
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import load
from zoo.specs.mapping import MappingSpec
from zoo.specs.problems import validate
from zoo.specs.record import Imported

if TYPE_CHECKING:
    from zoo.network import Network

Files = str | Path | Sequence[str | Path]
MOST = 300
"""Characters of a line in the record."""


def adopt(
    files: Files,
    *,
    source: str,
    licence: str,
    output: str | Path,
    spec: str | Path | ExperimentSpec | None = None,
    mapping: str | Path | MappingSpec | None = None,
    member: int | None = None,
    steps: int = 0,
    name: str | None = None,
    held_out: float = 0.2,
    progress: bool = False,
) -> CheckpointFolder:
    """A checkpoint of weights or of recordings that were made elsewhere. No code of theirs is run.

    Args:
        files: Weights (``.safetensors``, or ``.pt`` and the like with plain tensors), or recordings
            (``.npy``, ``.npz``, ``.h5``) of ``[trial, time, unit]``. Several files are a population.
        source: Who made them, and where they were published.
        licence: SPDX expression under which they were.
        output: Folder to write.
        spec: Of weights: the experiment that says their model and the task that they are measured on, by
            name, as a file or itself. A file may leave out the learner.
        mapping: From their names and layouts to ours: a YAML file, or itself.
        member: Which member of the spec's population the file is.
        steps: Batches that the networks were trained on, where that is known.
        name: Of the checkpoint. Without it, that of the spec, or of the file of a recording.
        held_out: Share of the trials of a recording for testing, where its file does not say which.
        progress: A bar on standard error.

    Raises:
        ForeignFileError: A file that is damaged, or does not fit; everything that does not is listed.
        UnsafeFileError: A file that would need code to be read.
        SpecError: A spec or a mapping that does not validate, a licence that is none.
        CheckpointError: There is something at ``output``, or it cannot be written.
        MissingDependencyError: HDF5 without h5py.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    _check(paths, steps, held_out, Path(output))
    rules = load_mapping(Path(mapping)) if isinstance(mapping, str | Path) else mapping
    origin: dict[str, Any] = {
        "source": source.strip(),
        "sha256": (),
        "mapping": rules.digest() if rules else None,
    }
    validate(Imported, origin)
    opened = [read(path) for path in paths]
    origin["sha256"] = tuple(file.sha256 for file in opened)
    if all(file.suffix in ARRAYS for file in opened):
        experiment, members, made = _recordings(opened, spec, rules, name, licence, held_out)
    elif any(file.suffix in ARRAYS for file in opened):
        raise ForeignFileError(
            "some files are weights and others recordings. Import them one after the other."
        )
    elif spec is None:
        raise ForeignFileError(
            "weights need the experiment that says their model and task. Name one of `zoo list`, or a YAML "
            "file with both, with --spec."
        )
    else:
        chosen = validate(ExperimentSpec, _renamed(_experiment(spec), name, licence))
        experiment, members, made = _weights(opened, _populated(chosen, len(opened), member), rules)
    return _written(experiment, members, {**origin, **made}, steps, Path(output), progress)


def _check(paths: Sequence[Path], steps: int, held_out: float, output: Path) -> None:
    if not paths:
        raise ForeignFileError("there is nothing to import. Give at least one file.")
    if steps < 0 or not 0 <= held_out < 1:
        raise ForeignFileError(
            f"steps is at least 0 (not {steps}), held_out from 0 to below 1 (not {held_out})."
        )
    if os.path.lexists(output):
        raise ForeignFileError(f"{output} exists already and is not replaced. Choose another folder.")


def _experiment(spec: str | Path | ExperimentSpec) -> ExperimentSpec:
    """An experiment; one without a learner, and nothing to train, where a file names none."""
    if isinstance(spec, ExperimentSpec):
        return spec
    path = find(spec)
    without = "learner" not in compose_file(path).data
    return load(path, ["learner={kind: none}", "train.steps=0"] * without, ExperimentSpec)


def _renamed(experiment: ExperimentSpec, name: str | None, licence: str) -> dict[str, Any]:
    return {**dict(experiment), "license": licence, "name": name or experiment.name}


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
    if population is not None and population.grid:
        raise ForeignFileError(
            f"the spec {experiment.name} {has}, which differ in {', '.join(population.grid)}, and there are "
            f"{files} file(s). Give one for each, or one file and --member."
        )
    return experiment.updated(population=None if files == 1 else {"members": files})


def _weights(
    files: Sequence[ForeignFile], experiment: ExperimentSpec, mapping: MappingSpec | None
) -> tuple[ExperimentSpec, list[Network], dict[str, Any]]:
    """A network for each file, and what the first was made of."""
    from zoo.checkpoints.network import empty
    from zoo.importing.fitting import fit
    from zoo.importing.weights import read_tensors

    if experiment.model.kind == "recording":
        raise ForeignFileError(f"{experiment.name} is of a recording, and {files[0].path} of weights.")
    members, made = [], []
    for file, spec in zip(files, experiment.members(), strict=True):
        tensors, notes = read_tensors(file, mapping.inside if mapping else ())
        expected = empty(spec).model.state_dict()
        fitted = fit(tensors, expected, mapping, str(file.path))
        made.append(_told(fitted.table, [*notes, *(f"{each} was left out" for each in fitted.left_out)]))
        members.append(_network(spec, fitted.tensors, file))
    return experiment, members, made[0]


def _recordings(
    files: Sequence[ForeignFile],
    spec: Any,
    mapping: MappingSpec | None,
    name: str | None,
    licence: str,
    share: float,
) -> tuple[ExperimentSpec, list[Network], dict[str, Any]]:
    """A network in whose place each recording stands, and what the first was made of."""
    from zoo.importing.arrays import read_arrays
    from zoo.importing.hdf5 import read_hdf5
    from zoo.importing.recording import recordings

    if spec is not None:
        raise ForeignFileError("recordings need no spec: it follows from the arrays. Leave it out.")
    found = [
        (file, each)
        for file in files
        for each in recordings(
            file, (read_hdf5 if file.suffix in (".h5", ".hdf5") else read_arrays)(file), mapping, share
        )
    ]
    first = found[0][1]
    for file, each in found[1:]:
        if (each.model, each.task) != (first.model, first.task):
            raise ForeignFileError(
                f"{file.path} holds {_size(each)}, and {found[0][0].path} {_size(first)}: the members of a "
                "population have the same arrays. Import them one by one."
            )
    document = {
        "name": name or _name(files[0].path),
        "license": licence,
        "model": first.model,
        "task": first.task,
        "learner": {"kind": "none"},
        "train": {"steps": 0},
        "record": {"snapshots": None, "golden_trials": min(4, first.model.trials)},
        "population": {"members": len(found)} if len(found) > 1 else None,
    }
    experiment = validate(ExperimentSpec, document)
    members = [
        _network(member, each.tensors, file)
        for member, (file, each) in zip(experiment.members(), found, strict=True)
    ]
    return experiment, members, _told(first.table, first.notes)


def _size(recorded: Any) -> str:
    model = recorded.model
    return f"{model.trials} trials × {model.steps} steps × {model.units} units"


def _name(path: Path) -> str:
    """The name of a file as that of a checkpoint. Raises :class:`ForeignFileError` where it cannot be one."""
    import re

    name = path.stem.lower().replace(" ", "-")
    if not re.fullmatch(NAME, name):
        raise ForeignFileError(f"{path.name} cannot give the checkpoint its name. Give one with --name.")
    return name


def _network(experiment: ExperimentSpec, tensors: Mapping[str, Any], file: ForeignFile) -> Network:
    from zoo.checkpoints.network import empty, fill

    network = empty(experiment)
    fill(network, tensors, str(file.path))
    return network.eval()


def _told(table: Mapping[str, str], notes: Iterable[str]) -> dict[str, Any]:
    """What was made of what, in lines that fit into a record."""
    return {
        "tensors": {ours: made[:MOST] for ours, made in table.items()},
        "notes": tuple(note[:MOST] for note in notes),
    }


def _written(
    experiment: ExperimentSpec,
    members: Sequence[Network],
    origin: Mapping[str, Any],
    steps: int,
    output: Path,
    progress: bool,
) -> CheckpointFolder:
    """The networks measured, and the checkpoint written."""
    import torch

    from zoo.checkpoints.making import make
    from zoo.checkpoints.network import evaluate, golden_outputs
    from zoo.progress import Bars
    from zoo.training.provenance import code_version, environment

    probe = golden_outputs(members, experiment.record.golden_trials)["y"]
    if not bool(torch.isfinite(probe).all()):
        raise ForeignFileError(
            "the outputs of the network are not finite on the task, so that nothing could be verified. Look "
            "whether model and mapping are the right ones."
        )
    with Bars(progress) as bars:
        measured = [evaluate(member) for member in bars.over(members, "measuring")]
    metrics = {name: tuple(each[name] for each in measured) for name in measured[0]}
    if steps:
        metrics["train/steps"] = (float(steps),) * len(members)
    facts = {
        "steps": [steps] * len(members),
        "stopped": ["imported"] * len(members),
        "metrics": metrics,
        "code": code_version().plain(),
        "environment": environment(torch.device("cpu")).plain(),
        "wall_time": [0.0] * len(members),
        "imported": origin,
    }
    record, files = make(experiment, members, facts)
    return CheckpointFolder(write(output, record, files))
