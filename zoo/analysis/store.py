"""What analyses have found before, by digest, so that a comparison computes only what is new.

Everything here may be lost or damaged at any time: what cannot be read whole is as if it were not there.
Delete ``$ZOO_HOME/cache`` whenever you like.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

import zoo
from zoo import paths
from zoo.analysis.base import Comparator, Features
from zoo.placing import write_whole
from zoo.specs.base import canonical_json
from zoo.specs.families import AnalysisSpec

LARGEST = 2**20
"""Bytes of one network's features that are worth keeping; larger ones are soon computed again."""
MOST = 4096
"""Networks whose distances from each other are kept together: 128 MiB a measure."""
COMPLEX = ".complex"
"""How the name of a tensor ends that holds real and imaginary parts on its last axis."""


class Store:
    """Features of networks, and measures of pairs of them, under one analysis with all its parameters."""

    def __init__(self, comparator: Comparator[Any]) -> None:
        self.folder: Path = _folder(comparator.spec, comparator.version)

    # Of one network ---------------------------------------------------------------------------

    def features(self, digest: str, name: str) -> Features | None:
        """What was kept of a network, if anything."""
        found = _read(self._file(digest))
        try:
            shape = found.pop("shape").tolist()
        except KeyError:
            return None
        values = {
            key.removesuffix(COMPLEX): torch.view_as_complex(value) if key.endswith(COMPLEX) else value
            for key, value in found.items()
        }
        return Features(values, shape[0], shape[1], name) if len(shape) == 2 and values else None

    def keep_features(self, digest: str, features: Features) -> None:
        values = {
            key + COMPLEX if value.is_complex() else key: torch.view_as_real(value)
            if value.is_complex()
            else value
            for key, value in features.values.items()
        }
        if sum(value.nbytes for value in values.values()) <= LARGEST:
            shape = torch.tensor([features.trials, features.steps])
            _write(self._file(digest), {**values, "shape": shape})

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}.safetensors"

    # Of pairs ---------------------------------------------------------------------------------

    def pairs(self, digests: Sequence[str]) -> dict[str, np.ndarray]:
        """Measures of all pairs, ``[n, n]`` by name, NaN where nothing is known; empty where nothing is."""
        known, tables = self._tables()
        place = {digest: row for row, digest in enumerate(known)}
        rows = np.array([place.get(digest, -1) for digest in digests])
        there = (rows[:, None] >= 0) & (rows[None] >= 0)
        if "distance" not in tables or not there.any():
            return {}
        found = {name: table[np.ix_(rows, rows)] for name, table in tables.items()}
        distance = found["distance"]
        there &= np.isfinite(distance) & (distance >= 0) & (distance == distance.T)
        return {name: np.where(there, table, np.nan) for name, table in found.items()}

    def keep_pairs(self, digests: Sequence[str], found: Mapping[str, np.ndarray]) -> None:
        """Add measures ``[n, n]`` to those that are known; NaN adds nothing."""
        known, tables = self._tables()
        everything = list(dict.fromkeys([*known, *digests]))
        if len(everything) > MOST or (tables and tables.keys() != found.keys()):
            known, tables, everything = [], {}, list(dict.fromkeys(digests))
        place = {digest: row for row, digest in enumerate(everything)}
        rows = np.array([place[digest] for digest in digests])
        merged = {}
        for name, values in found.items():
            table = np.full((len(everything),) * 2, np.nan)
            if known:
                table[: len(known), : len(known)] = tables[name]
            block = table[np.ix_(rows, rows)]
            table[np.ix_(rows, rows)] = np.where(np.isnan(values), block, values)
            merged[name] = torch.from_numpy(table)
        names = np.frombuffer(bytes.fromhex("".join(everything)), dtype=np.uint8).reshape(-1, 32)
        _write(self.folder / "pairs.safetensors", {**merged, "digests": torch.from_numpy(names.copy())})

    def _tables(self) -> tuple[list[str], dict[str, np.ndarray]]:
        found = _read(self.folder / "pairs.safetensors")
        digests = found.pop("digests", None)
        if digests is None or digests.ndim != 2 or digests.shape[1] != 32 or digests.dtype != torch.uint8:
            return [], {}
        count = len(digests)
        if any(table.shape != (count, count) or table.dtype != torch.float64 for table in found.values()):
            return [], {}
        return [bytes(row).hex() for row in digests.numpy()], {k: v.numpy() for k, v in found.items()}


def _read(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return load(file.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError):
        return {}


def _write(file: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    with contextlib.suppress(OSError):  # a full or read-only disk must not cost the result
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}))


class FindingStore:
    """What a measurement with all its parameters has found in networks."""

    def __init__(self, spec: AnalysisSpec, version: int) -> None:
        self.folder: Path = _folder(spec, version)

    def read(self, digest: str) -> tuple[dict[str, float], dict[str, np.ndarray]] | None:
        """Numbers and arrays of a network, if they were kept."""
        try:
            with np.load(self.folder / f"{digest}.npz", allow_pickle=False) as found:
                arrays = dict(found)
            names, values = (arrays.pop(key) for key in ("numbers.names", "numbers.values"))
            return dict(zip(map(str, names), map(float, values), strict=True)), arrays
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def keep(self, digest: str, numbers: Mapping[str, float], arrays: Mapping[str, np.ndarray]) -> None:
        if sum(array.nbytes for array in arrays.values()) > LARGEST * 16:
            return
        buffer, every = io.BytesIO(), dict(arrays)
        every |= {"numbers.names": np.array(list(numbers), dtype=str)}
        every |= {"numbers.values": np.array(list(numbers.values()), dtype=np.float64)}
        np.savez(buffer, **every)  # type: ignore[arg-type]
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / f"{digest}.npz", buffer.getvalue())


def _folder(spec: AnalysisSpec, version: int) -> Path:
    """Of an analysis with all its parameters, in this version of it."""
    key = {"spec": spec.plain(), "version": [zoo.__version__, version]}
    name = f"{spec.kind}-{hashlib.sha256(canonical_json(key).encode()).hexdigest()[:16]}"
    return paths.home() / "cache" / "analysis" / name
