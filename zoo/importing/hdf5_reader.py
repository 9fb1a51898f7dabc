"""A program of its own that turns an HDF5 file on its standard input into numpy's archive on its output.

The library for HDF5 may loop or crash on a damaged file, and takes its process with it. This one imports
nothing of the zoo; :mod:`zoo.importing.hdf5` starts it and waits for it as long as is reasonable. Why a file
is refused is written to standard error, with exit status 2.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

RATIO = 1100
"""Bytes of an array for each that is stored, at most: deflate packs no more."""
SMALL = 2**20
"""Bytes of an array that need not be compared with what is stored of it."""
MAX_GROUPS = 1000
MAX_DEPTH = 16
REFUSED = 2


class RefusedError(Exception):
    """Why the file is not read."""


def main(most: int) -> None:
    """Reads files that hold ``most`` bytes at most."""
    limit(2 * most + 2**31)
    with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as root:
        found = dict(datasets(root))
        total = sum(dataset.nbytes for dataset in found.values())
        if total > most:
            raise RefusedError(f"unpacks to {total:,} bytes; at most {most:,} are read")
        with zipfile.ZipFile(sys.stdout.buffer, "w") as archive:
            for name, dataset in found.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, np.asarray(dataset[()]), allow_pickle=False)


def limit(memory: int) -> None:
    """No more memory than that for this process, where the system can say so."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))


def datasets(root: Any) -> Iterator[tuple[str, Any]]:
    """Name and dataset, of plain ones, in all groups."""
    pending = [("", root)]
    for above, group in pending:
        for key in group:
            name = f"{above}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise RefusedError(f"holds {name!r}, a link to elsewhere, and links are not followed")
            found = group.get(key)
            if isinstance(found, h5py.Dataset):
                yield name, plain(name, found)
            elif isinstance(found, h5py.Group):
                pending.append((f"{name}/", found))
        if len(pending) > MAX_GROUPS or above.count("/") > MAX_DEPTH:
            raise RefusedError(
                f"has groups nested more than {MAX_DEPTH} deep or more than {MAX_GROUPS:,} of them, perhaps "
                "because one is inside itself"
            )


def plain(name: str, dataset: Any) -> Any:
    """A dataset of numbers that are in this file."""
    if dataset.external or dataset.is_virtual:
        raise RefusedError(f"holds {name!r}, whose numbers are in other files, which are not opened")
    if dataset.dtype.kind not in "fiub":
        raise RefusedError(f"holds {name!r} of the type {str(dataset.dtype)[:60]}, and only numbers are read")
    if dataset.nbytes > max(SMALL, RATIO * dataset.id.get_storage_size()):
        raise RefusedError(
            f"holds {name!r}, which says it has {dataset.nbytes:,} bytes, and stores far fewer"
        )
    return dataset


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Exception as problem:  # whatever the library meets in a damaged file
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        text = reason if isinstance(problem, RefusedError) else f"cannot be read as HDF5: {reason[:200]}"
        sys.stderr.write(text.encode("ascii", "backslashreplace").decode())
        sys.exit(REFUSED)
