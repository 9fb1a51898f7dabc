"""Arrays by name out of NWB files: spikes of units, or responses of regions, trial by trial."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import MissingDependencyError
from zoo.importing.apart import read_apart
from zoo.importing.files import ForeignFile
from zoo.specs.mapping import NwbSpec

READER = Path(__file__).with_name("nwb_reader.py")
FACTS, TEST = "nwb/facts", "nwb/test"


def read_nwb(file: ForeignFile, spec: NwbSpec) -> tuple[dict[str, np.ndarray], dict[str, Any], int | None]:
    """The arrays of a recording, what is known of its model, and how many trials at the end are for testing.

    Raises :class:`ForeignFileError`, see :func:`read_apart`, and :class:`MissingDependencyError` where pynwb
    is not installed.
    """
    if find_spec("pynwb") is None:
        raise MissingDependencyError("pynwb", "nwb", "reading NWB files")
    arrays = read_apart(file, "NWB", READER, json.dumps(spec.plain()))
    facts: dict[str, Any] = json.loads(arrays.pop(FACTS).tobytes())
    test = arrays.pop(TEST, None)
    return arrays, facts, None if test is None else int(test)
