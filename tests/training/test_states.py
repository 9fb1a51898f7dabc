"""States as they travel: the same values bit by bit, without a pickle, and nothing hostile gets through."""

from __future__ import annotations

import io
import json
import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from examples import experiment
from safetensors.torch import load, save

from zoo.errors import TrainingError
from zoo.training import recorder
from zoo.training.run import Run
from zoo.training.states import TREE, native, portable
from zoo.training.together import fit_all


def saved(state: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def opened(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True)


def same(one: Any, other: Any) -> bool:
    """The same types and bits, tensors and NaN among them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        flat = [each.contiguous().reshape(-1) for each in (one, other)]
        bits = [bytes(each.view(torch.uint8).numpy()) for each in flat if each.numel()]
        return one.dtype == other.dtype and one.shape == other.shape and bits[:1] == bits[1:]
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def test_every_value_comes_back_as_it_was() -> None:
    weights = torch.randn(3, 4)
    state = {
        "nothing": None,
        "flags": [True, False],
        "numbers": (1, 2**70, -0.0, 1e-320, math.inf, -math.inf, math.nan, 0.1),
        "text": 'ü\ud7ff"',
        0: {1: OrderedDict(b=2, a=1)},
        "weights": weights,
        "view": weights.T[1:],
        "special": torch.tensor([math.nan, math.inf, -0.0]),
        "half": torch.randn(2, dtype=torch.bfloat16),
        "double": torch.randn(2, dtype=torch.float64)[0],
        "complex": torch.randn(2, 2, dtype=torch.complex64),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "empty": torch.empty(0, 3),
        "lists": [[], (), {}],
    }
    there = portable(saved(state))
    assert set(load(there)) == {TREE, *map(str, range(8))}
    back = opened(native(there))
    back["view"] = back["view"].clone()
    assert same(back["complex"].view(torch.float32), state["complex"].view(torch.float32))
    del back["complex"], state["complex"]
    assert same(back, state)


@pytest.mark.parametrize("members", [1, 3])
def test_a_run_goes_on_from_a_state_that_travelled(
    members: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same weights as one that was never interrupted, with the state of a group as well."""
    train = {"steps": 12, "batch_size": 4, "validate_every": 4, "validation_trials": 4, "save_every": 5}
    spec = experiment("rate-leaky", train=train).updated(population={"members": members})
    runs = [Run.of(member) for member in spec.members()]
    fit_all(runs, progress=False)
    before = [run.snapshot(12).read_bytes() for run in runs]
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("ZOO_HOME", str(home))
    monkeypatch.setattr(recorder.Recorder, "_save_state", stopping(recorder.Recorder._save_state))
    runs = [Run.of(member) for member in spec.members()]
    with pytest.raises(StoppedError):
        fit_all(runs, progress=False)
    monkeypatch.undo()
    monkeypatch.setenv("ZOO_HOME", str(home))
    (state,) = home.rglob("state.ckpt")
    travelled = native(portable(state.read_bytes()))
    assert same(opened(travelled), opened(state.read_bytes()))
    state.write_bytes(travelled)
    fit_all(runs, progress=False)
    assert [run.snapshot(12).read_bytes() for run in runs] == before


class StoppedError(Exception):
    pass


def stopping(save: Any) -> Any:
    def save_and_stop(self: recorder.Recorder, trainer: Any) -> None:
        save(self, trainer)
        raise StoppedError

    return save_and_stop


def tree(node: Any, **tensors: torch.Tensor) -> bytes:
    text = node if isinstance(node, bytes) else json.dumps(node).encode()
    return save({TREE: torch.frombuffer(bytearray(text), dtype=torch.uint8), **tensors})


deep: Any = 0
for _ in range(100):
    deep = ["list", [deep]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04}.",
        save({"0": torch.zeros(1)}),
        tree(b"{"),
        tree(["dict", [[["list", []], 1]]]),
        tree(["dict", [[1]]]),
        tree(["eval", "1"]),
        tree(["tensor", "7"]),
        tree(["complex", "0"], **{"0": torch.zeros(3)}),
        tree(["float", "one"]),
        tree([1]),
        tree(["list", 3]),
        tree(deep),
        tree(b"[" * 100_000),
    ],
)
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(TrainingError, match="damaged"):
        native(data)


def test_what_cannot_travel_says_so() -> None:
    with pytest.raises(TrainingError, match="set"):
        portable(saved({"a": {1, 2}}))
    with pytest.raises(TrainingError, match="cannot be read"):
        portable(saved({"a": Path("/")}))
    with pytest.raises(TrainingError, match="read"):
        portable(b"not a state")
