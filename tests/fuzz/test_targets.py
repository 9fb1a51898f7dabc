"""Every reader of foreign bytes and names, for a moment; ``scripts/fuzz`` runs the same for hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz.targets import LIST

if TYPE_CHECKING:
    from fuzz.conftest import Open

EXAMPLES = {
    "folder": 60, "safetensors": 60, "spec": 60, "names": 80, "cards": 60, "server": 150, "client": 150, "objects": 40,
    "importing": 300, "hdf5": 3,
}  # fmt: skip
"""Target → inputs, about two seconds of each."""
BROKEN = {
    "safetensors": ["0065ffefffff0941ca3befef"],  # a name of 20,000 characters in the message
    "names": [
        "d4399e9e",
        "36eb8265",
        "d096f09db3d0536f",
        "1ba19dc8870461db595d",
    ],  # tokens, and a slow pattern
    "cards": ["0065ca2f94f95ec3288df257bc2186eb", "06eb8902fa47734a2ac22fc0"],  # tags that no reader takes
}
"""Inputs that once broke a promise, in hexadecimal."""


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

    for data in BROKEN.get(name, []):
        check = example(bytes.fromhex(data))(check)
    check()
