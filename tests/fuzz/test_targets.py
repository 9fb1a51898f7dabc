"""Every reader of foreign bytes and names, for a moment; ``scripts/fuzz`` runs the same for hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fuzz.targets import LIST
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from fuzz.conftest import Open

EXAMPLES = {
    "folder": 150, "safetensors": 200, "spec": 150, "names": 250, "cards": 100, "server": 500,
    "client": 500, "objects": 80,
    "importing": 800, "hdf5": 5,
}  # fmt: skip
"""Target → inputs, about two seconds of each."""


def test_every_target_is_run() -> None:
    from fuzz import running, wire  # noqa: F401  # the one adds a target, the other names them

    assert set(EXAMPLES) == set(LIST) == set(running.TARGETS)


@pytest.mark.filterwarnings("default")  # odd numbers make numpy and torch warn, which is no harm
@pytest.mark.parametrize("name", EXAMPLES)
def test_promises_are_kept(opened: Open, name: str) -> None:
    target = opened(name)

    @settings(max_examples=EXAMPLES[name])
    @given(st.binary(max_size=96))
    def check(data: bytes) -> None:
        target(data)

    check()
