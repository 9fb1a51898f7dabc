"""Arrays by name out of NWB files: spikes of units, or responses of regions, trial by trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import MissingDependencyError
from zoo.importing.arrays import read_arrays
from zoo.importing.files import MAX_BYTES, ForeignFile
from zoo.importing.hdf5 import PATIENCE, SPEED
from zoo.specs.mapping import NwbSpec

READER = Path(__file__).with_name("nwb_reader.py")
FACTS, TEST = "nwb/facts", "nwb/test"


def read_nwb(file: ForeignFile, spec: NwbSpec) -> tuple[dict[str, np.ndarray], dict[str, Any], int | None]:
    """The arrays of a recording, what is known of its model, and how many trials at the end are for testing.

    A process of its own reads the file; see :func:`zoo.importing.hdf5.read_hdf5`. Raises
    :class:`ForeignFileError`, and :class:`MissingDependencyError` where pynwb is not installed.
    """
    if find_spec("pynwb") is None:
        raise MissingDependencyError("pynwb", "nwb", "reading NWB files")
    patience = PATIENCE + len(file.data) / SPEED
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", str(READER), str(MAX_BYTES), json.dumps(spec.plain())],
            input=file.data,
            capture_output=True,
            timeout=patience,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        file.refuse(f"could not be read as NWB within {patience:.0f} seconds, it is damaged")
    if done.returncode == 2:
        file.refuse(done.stderr.decode("utf-8", "replace"))
    if done.returncode:
        file.refuse("cannot be read as NWB: the library for it crashed")
    arrays = read_arrays(ForeignFile(file.path.with_suffix(".npz"), done.stdout))
    facts: dict[str, Any] = json.loads(arrays.pop(FACTS).tobytes())
    test = arrays.pop(TEST, None)
    return arrays, facts, None if test is None else int(test)
