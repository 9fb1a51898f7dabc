"""Files of weights that are damaged, that lie, or that would run code."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from foreign import Theirs, ours
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from zoo.errors import ForeignFileError, UnsafeFileError
from zoo.importing import files
from zoo.importing.files import ForeignFile
from zoo.importing.weights import read_tensors


def read(path: Path, *inside: str) -> dict[str, Tensor]:
    return read_tensors(files.read(path), inside)[0]


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


# Plain files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_plain_tensors_are_read(suffix: str, tmp_path: Path) -> None:
    model = Theirs()
    file = tmp_path / f"weights{suffix}"
    torch.save(model.state_dict(), file)
    found = read(file)
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())
    torch.save(dict(model.named_parameters()), file)
    assert {name: value.requires_grad for name, value in read(file).items()} == dict.fromkeys(found, False)


def test_nested_ones_are_found_and_what_else_there_is_said(tmp_path: Path) -> None:
    model = Theirs()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 2, 3)).sum().backward()
    optimizer.step()
    file = tmp_path / "run.ckpt"
    torch.save(
        {"epoch": 3, "model": {"state_dict": model.state_dict()}, "optimizer": optimizer.state_dict()}, file
    )
    found, notes = read_tensors(files.read(file))
    assert found.keys() == model.state_dict().keys()
    assert notes == ["looked into 'model', and not into 'epoch', 'optimizer'", "looked into 'state_dict'"]
    assert read(file, "model", "state_dict").keys() == found.keys()
    with pytest.raises(ForeignFileError, match=r"has no 'modle' to look into.*Did you mean 'model'"):
        read(file, "modle")
    torch.save({"rnn": {"weight": torch.ones(2)}, "fc": {"bias": torch.ones(1)}, "lr": 0.1}, file)
    found, notes = read_tensors(files.read(file))
    assert set(found) == {"rnn.weight", "fc.bias"}
    assert notes == ["'lr' is no tensor but 0.1, and was left out"]


def test_where_two_nests_are_possible_none_is_chosen(tmp_path: Path) -> None:
    file = tmp_path / "two.pt"
    torch.save({"model": {"w": torch.ones(1)}, "net": {"w": torch.zeros(1)}}, file)
    assert set(read(file)) == {"model.w", "net.w"}
    torch.save({"lr": 1}, file)
    with pytest.raises(ForeignFileError, match="holds no tensors"):
        read(file)


# Code ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
def test_nothing_is_run(suffix: str, form: str, tmp_path: Path) -> None:
    file, trace = tmp_path / f"bomb{suffix}", tmp_path / "trace"
    content = {"state_dict": {"w": torch.ones(2)}, "extra": Bomb(trace)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UnsafeFileError, match=r"(asks for '\w+\.mkdir'|is a pickle).*safetensors") as caught:
        read(file)
    assert str(file) in str(caught.value)
    assert not trace.exists()
    torch.load(file, weights_only=False) if form != "pickle" else pickle.loads(file.read_bytes())
    assert trace.exists()  # it would have been


@pytest.mark.parametrize(
    "content", [Theirs(), {"w": np.ones(3)}, {"args": SimpleNamespace(lr=1), "w": torch.ones(1)}]
)
def test_whole_models_and_other_objects_are_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(UnsafeFileError, match=r"asks for|more than plain tensors"):
        read(tmp_path / "model.pt")


def test_what_torch_would_let_pass_but_reserves_memory_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "plain.pt")
    size = 2**45
    attack = (
        b"\x80\x02}X\x01\x00\x00\x00wcbuiltins\nbytearray\n\x8a\x06"
        + struct.pack("<Q", size)[:6]
        + b"\x85Rs."
    )
    _repacked(tmp_path / "plain.pt", tmp_path / "attack.pt", attack)
    with pytest.raises(UnsafeFileError, match=r"asks for 'builtins\.bytearray'"):
        read(tmp_path / "attack.pt")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("script/data.pkl", "script/constants.pkl", "script/code/__torch__.py", "script/version"):
            archive.writestr(name, b"3\n")
    with pytest.raises(UnsafeFileError, match="TorchScript, a program"):
        read(tmp_path / "script.pt")


@pytest.mark.parametrize("suffix", [".pkl", ".joblib", ".dill", ".pickle"])
def test_pickles_by_name_are_not_even_opened(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match="is a pickle, which can run any code"):
        files.read(tmp_path / f"not-there{suffix}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("w.onnx", "a kind that is not read"),
        ("w.mat", "a kind that is not read.*recordings from .npy"),
        ("w", "a kind that is not read.*Weights are read from .safetensors"),
        ("nowhere.pt", "No such file"),
        ("folder.pt", "is no file"),
        ("nul\0.pt", "cannot be read"),
    ],
)
def test_other_files_are_refused_with_the_reason(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises((ForeignFileError, UnsafeFileError), match=message):
        files.read(tmp_path / name)


def test_a_device_or_a_giant_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    with pytest.raises(ForeignFileError, match="is no file"):
        files.read(tmp_path / "zero.pt")
    with (tmp_path / "giant.pt").open("wb") as stream:
        stream.truncate(files.MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(ForeignFileError, match="at most 4,294,967,296 are read"):
        files.read(tmp_path / "giant.pt")


# Lies ---------------------------------------------------------------------------------------------


def _repacked(source: Path, target: Path, data: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """The archive with another pickle in it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith("/data.pkl") else old.read(name))


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as archive:
        data = archive.read("plain/data.pkl")
    _repacked(tmp_path / "plain.pt", tmp_path / "packed.pt", data + bytes(10**7), zipfile.ZIP_DEFLATED)
    with pytest.raises(ForeignFileError, match="unpacks to more than it is"):
        read(tmp_path / "packed.pt")


def test_a_storage_that_says_it_is_larger_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(10.0)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as archive:
        data = archive.read("plain/data.pkl")
    lie = data.replace(b"K\x0atq", b"J\xff\xff\xff\x7ftq").replace(b"K\x0a\x85", b"J\xff\xff\xff\x7f\x85")
    assert lie != data
    _repacked(tmp_path / "plain.pt", tmp_path / "lie.pt", lie)
    with pytest.raises(ForeignFileError, match="cannot be read, it is damaged"):
        read(tmp_path / "lie.pt")


def test_a_tensor_that_is_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "stretched.pt")
    with pytest.raises(ForeignFileError, match="'w', which says it is larger than what was stored"):
        read(tmp_path / "stretched.pt")
    torch.save({"w": torch.ones(3, 3).to_sparse()}, tmp_path / "sparse.pt")
    with pytest.raises((ForeignFileError, UnsafeFileError)):
        read(tmp_path / "sparse.pt")


def test_nests_without_end_are_refused(tmp_path: Path) -> None:
    inside: dict[str, Any] = {"w": torch.ones(1)}
    inside["again"] = inside
    torch.save(inside, tmp_path / "circle.pt")
    with pytest.raises(ForeignFileError, match="nested more than 8 deep"):
        read(tmp_path / "circle.pt")
    wide: dict[str, Any] = {}
    for _ in range(7):
        wide = dict.fromkeys(map(str, range(100)), wide)
    torch.save(wide, tmp_path / "wide.pt")
    with pytest.raises(ForeignFileError, match="more than 100,000 entries"):
        read(tmp_path / "wide.pt")


@pytest.mark.parametrize("name", ["a\nb", "x" * 201, "\x1b[31m", "a\u202eb"])
def test_names_that_are_no_line_are_refused(name: str, tmp_path: Path) -> None:
    save_file({name: torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ForeignFileError, match="not 200 printable characters at most"):
        read(tmp_path / "w.safetensors")


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    torch.save({"a": {"b": torch.ones(1)}, "a.b": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ForeignFileError, match=r"two tensors that would be called 'a\.b'"):
        read(tmp_path / "w.pt")


def _safetensors(header: dict[str, Any], data: bytes, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "data",
    [
        _safetensors({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
        _safetensors({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
        _safetensors({"a": entry([2**40], 0, 2**42)}, bytes(8)),
        _safetensors({"a": entry([2**62, 4], 0, 0)}, b""),
        _safetensors({"a": entry([2], 8, 0)}, bytes(8)),
        _safetensors({"a": entry([3], 0, 8)}, bytes(8)),
        _safetensors({"a": entry([2], 0, 8)}, bytes(8), length=2**40),
        _safetensors({"a": entry([2], 0, 8)}, bytes(7)),
        b"",
        b"PK\x03\x04",
        b"\x80\x04.",
    ],
    ids=[
        "overlap",
        "twice",
        "huge",
        "overflow",
        "backward",
        "shape",
        "header",
        "truncated",
        "empty",
        "zip",
        "pickle",
    ],
)
def test_safetensors_that_lie_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(ForeignFileError, match="is no valid safetensors file"):
        read(tmp_path / "w.safetensors")


@pytest.mark.parametrize("make", [lambda w: save(w), lambda w: _saved(w)], ids=["safetensors", "torch"])
def test_truncated_files_are_refused(make: Callable[..., bytes], tmp_path: Path) -> None:
    data = make(ours(Theirs()))
    suffix = ".pt" if data.startswith(b"PK") else ".safetensors"
    for length in range(0, len(data) - 1, 97):
        file = ForeignFile(tmp_path / f"cut{suffix}", data[:length])
        with pytest.raises((ForeignFileError, UnsafeFileError)):
            read_tensors(file)


def _saved(weights: dict[str, Tensor]) -> bytes:
    stream = io.BytesIO()
    torch.save(weights, stream)
    return stream.getvalue()


BYTES = _saved({"w": torch.arange(6.0).reshape(2, 3), "layer": nn.Linear(2, 2).state_dict()})


@settings(max_examples=150)
@given(st.data())
def test_changed_bytes_are_read_or_refused(data: st.DataObject) -> None:
    changed = bytearray(BYTES)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(BYTES) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ForeignFileError, UnsafeFileError):
        found, _ = read_tensors(ForeignFile(Path("fuzzed.pt"), bytes(changed)))
        assert all(isinstance(value, Tensor) for value in found.values())
