"""What the arrays of a file are called, and those that come in two parts put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zoo.errors import ForeignFileError
from zoo.importing.mapping import rename, strip
from zoo.specs.mapping import MappingSpec

PARTS = {"train_": 0, "valid_": 1, "val_": 1, "eval_": 1, "test_": 1}
"""Prefixes of arrays that come in two parts: trials to train on, and others."""


@dataclass(frozen=True, eq=False)
class Named:
    """An array, or trials of different lengths, and what the file calls it."""

    values: np.ndarray | list[np.ndarray]
    theirs: str
    held_out: int | None = None
    """Trials at the end that the file keeps for testing; none where it does not say."""


def name_arrays(where: str, arrays: Mapping[str, np.ndarray], mapping: MappingSpec) -> dict[str, Named]:
    """Arrays by our names, the two parts of those that come in two put together."""
    if mapping.tensors or mapping.inside or mapping.dtype:
        raise ForeignFileError(
            f"{where} is a recording, of which a mapping can 'strip' and 'rename' arrays and nothing else. "
            "Take 'tensors', 'inside' and 'dtype' out of it."
        )
    whole = _joined(where, strip(arrays, mapping.strip, where))
    renamed, _ = rename(list(whole), mapping, where)
    return {ours: whole[theirs] for ours, theirs in renamed.items()}


def _joined(where: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Named]:
    """Arrays without the prefixes of their parts, where both parts are there."""
    pairs: dict[str, dict[int, str]] = {}
    for name in arrays:
        prefix = next((prefix for prefix in PARTS if name.startswith(prefix)), "")
        pair = pairs.setdefault(name.removeprefix(prefix), {})
        if prefix and pair.setdefault(PARTS[prefix], name) != name:
            raise ForeignFileError(
                f"{where} has more than two parts of one array, {pair[PARTS[prefix]]} and {name} among them. "
                "Write a file with one of the two."
            )
    if both := [base for base, pair in pairs.items() if len(pair) == 2 and base in arrays]:
        raise ForeignFileError(
            f"{where} has {both[0]} whole and in two parts. Write a file with one or the other."
        )
    found = {
        base: _both(where, arrays, *(pair[0], pair[1])) for base, pair in pairs.items() if len(pair) == 2
    }
    done = {name for base in found for name in pairs[base].values()}
    return found | {name: Named(array, name) for name, array in arrays.items() if name not in done}


def _both(where: str, arrays: Mapping[str, np.ndarray], first: str, second: str) -> Named:
    one, other = arrays[first], arrays[second]
    if one.ndim != other.ndim or not one.ndim or one.shape[1:] != other.shape[1:]:
        raise ForeignFileError(
            f"{where}: {first} {list(one.shape)} and {second} {list(other.shape)} are no parts of one array. "
            "Correct the file."
        )
    return Named(np.concatenate([one, other]), f"{first} and {second}", len(other))
