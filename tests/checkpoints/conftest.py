"""The checkpoints that the tests of hubs use."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_path = Path(__file__).resolve().parents[1] / "hub" / "conftest.py"
_spec = importlib.util.spec_from_file_location("zoo_test_checkpoints", _path)
assert _spec is not None
assert _spec.loader is not None
_module = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)  # where dataclasses look it up
_spec.loader.exec_module(_module)

fabricate, make = _module.fabricate, _module.make
