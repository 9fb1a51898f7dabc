"""Arrays by name out of HDF5 files, which stay within themselves and hold what they say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.errors import MissingDependencyError, ZooError, brief
from zoo.importing.files import MAX_BYTES, RATIO, ForeignFile

MAX_GROUPS = 1000
MAX_DEPTH = 16
SMALL = 2**20
"""Bytes of an array that need not be compared with what is stored of it."""


def read_hdf5(file: ForeignFile) -> dict[str, np.ndarray]:
    """The datasets of a file by name, those in groups as ``group/name``.

    Nothing outside the file is followed: links, external and virtual storage are refused, and so are
    types that are no numbers, and sizes beyond what is stored. Raises :class:`ForeignFileError`, and
    :class:`MissingDependencyError` where h5py is not installed.
    """
    try:
        import h5py
    except ImportError as problem:
        raise MissingDependencyError("h5py", "data", "reading HDF5 files") from problem
    try:
        with h5py.File(io.BytesIO(file.data), "r") as root:
            datasets = dict(_datasets(file, root))
            total = sum(dataset.nbytes for dataset in datasets.values())
            if total > MAX_BYTES:
                file.refuse(
                    f"unpacks to {total:,} bytes; at most {MAX_BYTES:,} are read", "Take a part of it."
                )
            return {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
    except ZooError:
        raise
    except Exception as problem:  # whatever the library meets in a damaged one
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        file.refuse(f"cannot be read as HDF5: {brief(reason, 200)}")


def _datasets(file: ForeignFile, root: Any) -> Iterator[tuple[str, Any]]:
    """Name and dataset, of plain ones, in all groups."""
    import h5py

    pending = [("", root)]
    for above, group in pending:
        for key in group:
            name = file.check_name(f"{above}{key}")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                file.refuse(f"holds {brief(name)}, a link to elsewhere, and links are not followed")
            found = group.get(key)
            if isinstance(found, h5py.Dataset):
                yield name, _plain(file, name, found)
            elif isinstance(found, h5py.Group):
                pending.append((f"{name}/", found))
        if len(pending) > MAX_GROUPS or above.count("/") > MAX_DEPTH:
            file.refuse(
                f"has groups nested more than {MAX_DEPTH} deep or more than {MAX_GROUPS:,} of them, perhaps "
                "because one is inside itself"
            )


def _plain(file: ForeignFile, name: str, dataset: Any) -> Any:
    """A dataset of numbers that are in this file."""
    if dataset.external or dataset.is_virtual:
        file.refuse(f"holds {brief(name)}, whose numbers are in other files, which are not opened")
    if dataset.dtype.kind not in "fiub":
        file.refuse(
            f"holds {brief(name)} of the type {brief(str(dataset.dtype))}, and only numbers are read",
            "Write a file without it.",
        )
    if dataset.nbytes > max(SMALL, RATIO * dataset.id.get_storage_size()):
        file.refuse(f"holds {brief(name)}, which says it has {dataset.nbytes:,} bytes, and stores far fewer")
    return dataset
