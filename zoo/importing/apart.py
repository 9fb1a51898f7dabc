"""Files that a library reads in a process of its own, which may hang or crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from zoo.importing.arrays import read_arrays
from zoo.importing.files import MAX_BYTES, ForeignFile

PATIENCE = 60.0
"""Seconds that reading may take, and one more for every so many bytes."""
SPEED = 10**7
REFUSED = 2
"""What a reader exits with that says why on its standard error."""


def read_apart(file: ForeignFile, format: str, reader: Path, *arguments: str) -> dict[str, np.ndarray]:
    """The arrays that a script makes of a file: from its standard input to an archive of NumPy.

    The script gets the bytes that it may make at most, and the arguments. Raises :class:`ForeignFileError`
    where it refuses the file, takes too long or crashes.
    """
    patience = PATIENCE + len(file.data) / SPEED
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", str(reader), str(MAX_BYTES), *arguments],
            input=file.data,
            capture_output=True,
            timeout=patience,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        file.refuse(f"could not be read as {format} within {patience:.0f} seconds, it is damaged")
    if done.returncode == REFUSED:
        file.refuse(done.stderr.decode("utf-8", "replace"))
    if done.returncode:
        file.refuse(f"cannot be read as {format}: the library for it crashed")
    return read_arrays(ForeignFile(file.path.with_suffix(".npz"), done.stdout))
