"""Arrays by name out of files that numpy wrote: no pickles, and no more than the file holds."""

from __future__ import annotations

import io
import zipfile
from math import prod
from typing import BinaryIO

import numpy as np

from zoo.errors import ZooError, brief
from zoo.importing.files import MAX_BYTES, ForeignFile

MAX_ARRAYS = 10_000
SUFFIX = ".npy"


def read_arrays(file: ForeignFile) -> dict[str, np.ndarray]:
    """The arrays of a file by name; the one of an ``.npy`` file is called ``states``.

    Raises :class:`ForeignFileError` for damaged files and for arrays that are not of numbers, or larger
    than what is there; :class:`UnsafeFileError` for arrays of Python objects, which are pickles.
    """
    try:
        if file.suffix == SUFFIX:
            return {"states": _array(file, "states", io.BytesIO(file.data), len(file.data))}
        return _archive(file)
    except ZooError:
        raise
    except Exception as problem:  # whatever numpy and zipfile meet in a damaged one
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        file.refuse(f"cannot be read as numpy's: {brief(reason, 200)}")


def _archive(file: ForeignFile) -> dict[str, np.ndarray]:
    found = {}
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        entries = archive.infolist()
        total = sum(entry.file_size for entry in entries)
        if len(entries) > MAX_ARRAYS or total > MAX_BYTES:
            file.refuse(
                f"unpacks to {len(entries):,} arrays of {total:,} bytes; at most {MAX_ARRAYS:,} arrays and "
                f"{MAX_BYTES:,} bytes are read",
                "Take a part of it.",
            )
        for entry in entries:
            name = entry.filename.removesuffix(SUFFIX)
            if name in found or name == entry.filename:
                file.refuse(f"holds {brief(entry.filename)}, which is no array or is there twice")
            with archive.open(entry) as stream:
                found[file.check_name(name)] = _array(file, name, io.BytesIO(stream.read()), entry.file_size)
    return found


def _array(file: ForeignFile, name: str, stream: BinaryIO, size: int) -> np.ndarray:
    """One array, whose header is compared with the bytes that follow before anything is reserved for it."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        file.refuse(f"holds {brief(name)} in version {version} of numpy's format, which has named fields")
    if dtype.hasobject:
        file.unsafe(
            f"holds {brief(name)}, an array of Python objects: a pickle, which can run any code when read"
        )
    if prod(shape) * dtype.itemsize != size - stream.tell():
        file.refuse(
            f"holds {brief(name)}, which says it has the shape {shape} and is followed by "
            f"{size - stream.tell():,} bytes"
        )
    stream.seek(0)
    return np.load(stream, allow_pickle=False)
