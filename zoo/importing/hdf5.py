"""Arrays by name out of HDF5 files, which stay within themselves and hold what they say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from zoo.errors import MissingDependencyError
from zoo.importing.apart import read_apart
from zoo.importing.files import ForeignFile

READER = Path(__file__).with_name("hdf5_reader.py")


def read_hdf5(file: ForeignFile) -> dict[str, np.ndarray]:
    """The datasets of a file by name, those in groups as ``group/name``.

    Nothing outside the file is followed: links, external and virtual storage are refused, and so are
    types that are no numbers, and sizes beyond what is stored. Raises :class:`ForeignFileError`, see
    :func:`read_apart`, and :class:`MissingDependencyError` where h5py is not installed.
    """
    if find_spec("h5py") is None:
        raise MissingDependencyError("h5py", "data", "reading HDF5 files")
    return read_apart(file, "HDF5", READER)
