"""The verb ``adopt``: weights and recordings that were made elsewhere, as a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.checkpoints.folder import CheckpointFolder, write
from zoo.errors import CheckpointError, ForeignFileError
from zoo.importing.files import ARRAYS
from zoo.importing.mapping import load_mapping
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.mapping import MappingSpec
from zoo.specs.problems import validate
from zoo.specs.record import Imported

if TYPE_CHECKING:
    from zoo.importing.members import Members


def adopt(
    files: str | Path | Sequence[str | Path],
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
            (``.npy``, ``.npz``, ``.h5``, ``.nwb``) of ``[trial, time, unit]``. Several files are a
            population.
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
        MissingDependencyError: HDF5 without h5py, NWB without pynwb.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    rules = load_mapping(Path(mapping)) if isinstance(mapping, str | Path) else mapping
    origin = {"source": source.strip(), "mapping": rules.digest() if rules else None}
    validate(Imported, {**origin, "sha256": ()})
    _check(paths, steps, held_out, Path(output))
    from zoo.importing.members import from_recordings, from_weights

    known = {"license": licence, **({} if name is None else {"name": name})}
    if paths[0].suffix.lower() in ARRAYS:
        if spec is not None or member is not None or steps:
            raise ForeignFileError(
                "a recording has no spec, member or steps that could be given. Leave them out."
            )
        made = from_recordings(paths, rules, held_out, known)
    elif spec is None:
        raise ForeignFileError(
            "weights need the experiment that says their model and task. Give one of `zoo list`, or a YAML "
            "file with both, as --spec."
        )
    else:
        made = from_weights(paths, spec, rules, member, known)
    return written(made, origin, steps, Path(output), progress)


def _check(paths: Sequence[Path], steps: int, held_out: float, output: Path) -> None:
    if not paths:
        raise ForeignFileError("there is nothing to import. Give at least one file.")
    if len({path.suffix.lower() in ARRAYS for path in paths}) > 1:
        raise ForeignFileError(
            "some files are weights and others recordings. Import them one after the other."
        )
    if steps < 0 or not 0 <= held_out < 1:
        raise ForeignFileError(
            f"steps is at least 0 (not {steps}), held_out from 0 to below 1 (not {held_out})."
        )
    free(output)


def free(output: Path) -> None:
    """Raises :class:`CheckpointError` where there is something already."""
    if os.path.lexists(output):
        raise CheckpointError(f"{output} exists already and is not replaced. Choose another folder.")


def written(
    made: Members, origin: dict[str, Any], steps: int, output: Path, progress: bool
) -> CheckpointFolder:
    """The networks measured, and the checkpoint written."""
    import torch

    from zoo.checkpoints.making import make
    from zoo.checkpoints.network import evaluate
    from zoo.progress import Bars
    from zoo.training.provenance import code_version, environment

    with Bars(progress) as bars:
        measured = [evaluate(network) for network in bars.over(made.networks, "measuring")]
    metrics = {name: tuple(each[name] for each in measured) for name in measured[0]}
    if steps:
        metrics["train/steps"] = (float(steps),) * len(measured)
    facts = {
        "steps": [steps] * len(measured),
        "stopped": ["imported"] * len(measured),
        "metrics": metrics,
        "code": code_version().plain(),
        "environment": environment(torch.device("cpu")).plain(),
        "wall_time": [0.0] * len(measured),
        "imported": {**origin, "sha256": made.sha256, "tensors": made.table, "notes": made.notes},
    }
    record, files = make(made.experiment, made.networks, facts)
    return CheckpointFolder(write(output, record, files))
