"""Arrays by name out of HDF5 files, which stay within themselves and hold what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from zoo.errors import MissingDependencyError
from zoo.importing.arrays import read_arrays
from zoo.importing.files import MAX_BYTES, ForeignFile

READER = Path(__file__).with_name("hdf5_reader.py")
PATIENCE = 60.0
"""Seconds that reading may take, and one more for every so many bytes."""
SPEED = 10**7


def read_hdf5(file: ForeignFile) -> dict[str, np.ndarray]:
    """The datasets of a file by name, those in groups as ``group/name``.

    Nothing outside the file is followed: links, external and virtual storage are refused, and so are
    types that are no numbers, and sizes beyond what is stored. A process of its own reads it, so that a file
    on which the library hangs or crashes is refused, too. Raises :class:`ForeignFileError`, and
    :class:`MissingDependencyError` where h5py is not installed.
    """
    if find_spec("h5py") is None:
        raise MissingDependencyError("h5py", "data", "reading HDF5 files")
    patience = PATIENCE + len(file.data) / SPEED
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(READER), str(MAX_BYTES)],
            input=file.data,
            capture_output=True,
            timeout=patience,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        file.refuse(f"could not be read as HDF5 within {patience:.0f} seconds, it is damaged")
    if done.returncode == 2:
        file.refuse(done.stderr.decode("utf-8", "replace"))
    if done.returncode:
        file.refuse("cannot be read as HDF5: the library for it crashed")
    return read_arrays(ForeignFile(file.path.with_suffix(".npz"), done.stdout))
