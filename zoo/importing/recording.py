"""Arrays as a recording: which of them is what, and which trials are held out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ForeignFileError
from zoo.importing.files import ForeignFile
from zoo.importing.mapping import listed
from zoo.importing.naming import Named, name_arrays
from zoo.models.recording import LATENT
from zoo.models.trajectories import Trajectories
from zoo.specs.mapping import MappingSpec
from zoo.specs.models.recording import MAX_NUMBERS, RecordingSpec
from zoo.specs.problems import validate
from zoo.specs.tasks.recorded import RecordedSpec

STATES = ("states", "latents", "rates", "activity", "encod_data")
"""Names of the activity, the likeliest first: ours, then the Computation-through-Dynamics Benchmark's."""
INPUTS = ("inputs", "ext_input")
OUTPUTS = ("outputs", "rates", "activity")
_LATENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True)
class Recorded:
    """A recording, and how it came about."""

    model: RecordingSpec
    task: RecordedSpec
    tensors: Mapping[str, Tensor]
    table: Mapping[str, str]
    """Our tensor → the arrays that it was made of."""
    notes: tuple[str, ...]


def recordings(
    file: ForeignFile, arrays: Mapping[str, np.ndarray], mapping: MappingSpec | None, share: float
) -> list[Recorded]:
    """The recordings in a file: one, unless it holds a list of arrays ``[trial, time, unit]``.

    ``share`` of the trials are held out, evenly spread, where the file does not say which. Raises
    :class:`ForeignFileError` where it is not clear which array is the activity, and for arrays that do not
    go together; :class:`AnalysisError` for numbers that are not finite.
    """
    where = str(file.path)
    if not arrays:
        file.refuse("holds no arrays")
    if mapping is not None or not all(re.fullmatch(r"arr_\d+", name) for name in arrays):
        return [assembled(where, name_arrays(where, arrays, mapping or MappingSpec()), share)]
    parts = [arrays[name] for name in sorted(arrays, key=lambda name: int(name[4:]))]
    if len(parts) == 1:
        return [assembled(where, {"states": Named(parts[0], "arr_0")}, share)]
    if all(part.ndim == 2 for part in parts):
        return [
            assembled(where, {"states": Named(parts, f"arr_0 … arr_{len(parts) - 1}, a trial each")}, share)
        ]
    return [assembled(where, {"states": Named(part, f"arr_{k}")}, share) for k, part in enumerate(parts)]


def assembled(
    where: str, named: Mapping[str, Named], share: float, facts: Mapping[str, Any] | None = None
) -> Recorded:
    """The recording of arrays by our names: see :func:`recordings`. ``facts`` are fields of its model."""
    rest = dict(named)
    states = _take(rest, STATES)
    if states is None:
        raise ForeignFileError(
            f"{where} does not say which array is the activity: it has {listed(rest) or 'none'}. Say so in a "
            "mapping, rename: {their-name: states}. The data of a task, without a network, hold none."
        )
    signals = {"states": states, "input": _take(rest, INPUTS), "output": _take(rest, OUTPUTS)}
    lengths = _take(rest, ("lengths",))
    runs = _runs(where, signals, None if lengths is None else _lengths(where, lengths, states))
    first = runs["states"]
    trials = len(first.states)
    order, held_out = _split(trials, states, share)
    tensors = {name: run.states[order] for name, run in runs.items()}
    table = {name: each.theirs for name, each in signals.items() if each is not None and name in runs}
    if first.lengths is not None:
        tensors["lengths"] = first.lengths[order]
        table["lengths"] = "their lengths" if lengths is None else lengths.theirs
    notes = []
    for name, each in rest.items():
        if why := _no_latent(name, each, states, trials, list(rest.values())):
            notes.append(f"{each.theirs} was left out: {why}")
        else:
            tensors[LATENT + name] = _latent(where, each)[order]
            table[LATENT + name] = each.theirs
    if held_out and states.held_out is None and "trial" not in rest:
        tensors[LATENT + "trial"] = order
        table[LATENT + "trial"] = "the number of each trial in the file"
    tensors = _one_type(tensors)
    return Recorded(*_specs(where, tensors, held_out, facts or {}), tensors, table, tuple(notes))


def _runs(
    where: str, signals: Mapping[str, Named | None], lengths: list[int] | None
) -> dict[str, Trajectories]:
    """The signals that there are, trial by trial, which must be the same trials."""
    runs = {}
    for name, each in signals.items():
        if each is not None and (isinstance(each.values, list) or each.values.size):
            runs[name] = run = _wrapped(where, name, each, lengths)
            first, states = runs["states"], signals["states"]
            assert states is not None
            alike = torch.equal(_ends(run), _ends(first)) and each.held_out == states.held_out
            if run.states.shape[:2] != first.states.shape[:2] or not alike:
                raise ForeignFileError(
                    f"{where}: the {name} {list(run.states.shape)} do not go with the states "
                    f"{list(first.states.shape)}: they should be the same trials and steps. Correct the "
                    "file, or leave them out with a mapping."
                )
    if "states" not in runs:
        raise ForeignFileError(f"{where}: the states are empty. Take a file that holds some.")
    return runs


def _ends(run: Trajectories) -> Tensor:
    return torch.tensor([]) if run.lengths is None else run.lengths


def _take(named: dict[str, Named], names: tuple[str, ...]) -> Named | None:
    """The first that there is, taken out."""
    return next((named.pop(name) for name in names if name in named), None)


def _lengths(where: str, lengths: Named, states: Named) -> list[int]:
    values = np.asarray(lengths.values)
    steps = states.values.shape[1] if isinstance(states.values, np.ndarray) and states.values.ndim == 3 else 0
    if values.shape != (len(states.values),) or values.dtype.kind not in "iu" or not steps * values.size:
        raise ForeignFileError(
            f"{where}: lengths should be a whole number for each trial of states [trial, time, unit]. "
            "Correct them, or leave them out with a mapping."
        )
    if int(values.min()) < 1 or int(values.max()) > steps:
        raise ForeignFileError(f"{where}: lengths should be from 1 to the {steps} steps that there are.")
    return [int(value) for value in values]


def _wrapped(where: str, name: str, named: Named | None, lengths: list[int] | None) -> Trajectories:
    """An array as trials ``[trial, time, unit]``, by the rules of every analysis."""
    assert named is not None
    values = named.values
    if named.held_out is not None and not isinstance(values, list) and values.ndim < 3:
        raise ForeignFileError(
            f"{where}: {named.theirs} are parts {list(values.shape)} without an axis of trials. Write them "
            "as [trial, time, unit]."
        )
    values = [_native(each) for each in values] if isinstance(values, list) else _native(values)
    if lengths is not None and isinstance(values, np.ndarray):
        if len(values) != len(lengths):
            raise ForeignFileError(
                f"{where}: there are {len(lengths)} lengths for {len(values)} trials of {name}."
            )
        values = [trial[:length] for trial, length in zip(values, lengths, strict=True)]
    if isinstance(values, list):
        padded = len(values) * max(len(value) for value in values) * max(value.shape[-1] for value in values)
        if padded > MAX_NUMBERS:
            raise ForeignFileError(
                f"{where}: padded to the longest trial, its {name} would be {padded:,} numbers; at most "
                f"{MAX_NUMBERS:,} are kept. Take a part of them, or cut the longest trials."
            )
    return Trajectories.wrap(values, name=f"{named.theirs} of {where}")


def _split(trials: int, states: Named, share: float) -> tuple[Tensor, int]:
    """The order of the trials, those held out at the end, and how many these are."""
    if states.held_out is not None:
        conditions = trials // len(states.values)  # or whatever further leading axes there are
        return torch.arange(trials), states.held_out * conditions
    number = torch.arange(trials, dtype=torch.float64)
    out = ((number + 1) * share + 1e-9).floor() > (number * share + 1e-9).floor()
    return torch.cat([torch.nonzero(~out)[:, 0], torch.nonzero(out)[:, 0]]), int(out.sum())


def _no_latent(name: str, named: Named, states: Named, trials: int, others: list[Named]) -> str:
    """Why an array cannot be kept as a variable of the trials; empty where it can."""
    values = named.values
    if isinstance(values, list) or trials == 1 or not values.ndim or len(values) != trials or values.ndim > 5:
        return f"it has no axis of the {trials} trials"
    if named.held_out != states.held_out:
        return "it is not split into the same trials as the states"
    if not values.size:
        return "it is empty"
    if values.dtype.kind not in "fiub":
        return f"it has the type {values.dtype}"
    if not _LATENT.fullmatch(name):
        return "its name has more than letters, digits and underscores; rename it in a mapping"
    before = others[: others.index(named)]
    same = next((other for other in before if np.array_equal(values, other.values)), None)
    return "" if same is None else f"it is the same as {same.theirs}"


def _latent(where: str, named: Named) -> Tensor:
    """``[trial, …]``, whole numbers as int64."""
    values = np.asarray(named.values)
    if values.dtype.kind in "iub":
        return torch.from_numpy(values.astype(np.int64))
    if not np.isfinite(values).all():
        raise ForeignFileError(
            f"{where}: {named.theirs} holds NaN or infinite values. Fill them in, or leave it out with a "
            "mapping."
        )
    return torch.from_numpy(values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64))


def _one_type(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same, with all that are no whole numbers of the largest type among them."""
    types = (tensor.dtype for tensor in tensors.values() if tensor.is_floating_point())
    dtype = max(types, key=lambda each: each.itemsize)
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors.items()}


def _native(values: np.ndarray) -> np.ndarray:
    """In the order of bytes and of a type that torch knows; what is no number stays as it is."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    wanted = {"f": np.float32 if size == 4 else np.float64, "i": np.int64, "u": np.float64}.get(kind)
    return values if wanted is None else values.astype(wanted, copy=False)


def _specs(
    where: str, tensors: Mapping[str, Tensor], held_out: int, facts: Mapping[str, Any]
) -> tuple[RecordingSpec, RecordedSpec]:
    """What the model and the task of a recording say of it."""
    trials, steps, units = tensors["states"].shape
    model = {
        "trials": trials,
        "steps": steps,
        "units": units,
        "channels": tensors["input"].shape[2] if "input" in tensors else 0,
        "outputs": tensors["output"].shape[2] if "output" in tensors else 0,
        "ragged": "lengths" in tensors,
        "latents": {
            name.removeprefix(LATENT): {
                "shape": tuple(tensor.shape[1:]),
                "whole": not tensor.is_floating_point(),
            }
            for name, tensor in tensors.items()
            if name.startswith(LATENT)
        },
        **facts,
    }
    found = validate(RecordingSpec, model, lambda path: where)
    task = {"trials": trials, "steps": steps, "width": found.width, "held_out": held_out}
    return found, validate(RecordedSpec, task, lambda path: where)
