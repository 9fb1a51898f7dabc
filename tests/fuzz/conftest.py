"""Targets of the fuzzer for tests, which leave nothing of theirs behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz.targets import Target, open_target

Open = Callable[[str], Target]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """``opened("names")`` gives a target; environment, folder and client are as before afterwards."""
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils import _http

    for variable in ("ZOO_HOME", "ZOO_OFFLINE", "ZOO_TOKEN", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(variable, "")
    for constant in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setattr(constants, constant, getattr(constants, constant))
    monkeypatch.chdir(tmp_path)
    before = _http._GLOBAL_CLIENT_FACTORY
    yield lambda name: open_target(name, tmp_path / name)
    set_client_factory(before)
