"""Arrays in numpy's files and in HDF5: what is read, and what lies, leads elsewhere or would run code."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ForeignFileError, MissingDependencyError, UnsafeFileError
from zoo.importing import files
from zoo.importing.arrays import read_arrays
from zoo.importing.files import ForeignFile
from zoo.importing.hdf5 import read_hdf5


def read(path: Path) -> dict[str, np.ndarray]:
    file = files.read(path)
    return (read_hdf5 if path.suffix in (".h5", ".hdf5") else read_arrays)(file)


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


# numpy --------------------------------------------------------------------------------------------


def test_numpy_files_are_read(tmp_path: Path) -> None:
    states, inputs = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    np.save(tmp_path / "a.npy", states)
    np.savez_compressed(tmp_path / "a.npz", states=states, inputs=inputs.astype(np.float16))
    assert np.array_equal(read(tmp_path / "a.npy")["states"], states)
    found = read(tmp_path / "a.npz")
    assert np.array_equal(found["states"], states)
    assert found["inputs"].dtype == np.float16


@pytest.mark.parametrize("save", [np.save, np.savez])
def test_arrays_of_objects_are_not_unpickled(save: Callable[..., None], tmp_path: Path) -> None:
    path, trace = tmp_path / ("a.npy" if save is np.save else "a.npz"), tmp_path / "trace"
    save(path, np.array([Bomb(trace), np.ones(3)], dtype=object))
    with pytest.raises(UnsafeFileError, match=r"an array of Python objects: a pickle.*numpy\.savez"):
        read(path)
    assert not trace.exists()
    found = np.load(path, allow_pickle=True)
    assert found is not None
    _ = found if path.suffix == ".npy" else found["arr_0"]
    assert trace.exists()  # it would have been


def header(shape: str, dtype: str = "'<f8'") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header("(1000000, 1000000, 1000)") + bytes(80), r"says it has the shape .* followed by 80 bytes"),
        (header("(3,)") + bytes(23), "followed by 23 bytes"),
        (header("(3,)") + bytes(25), "followed by 25 bytes"),
        (header("(-1, -3)") + bytes(24), "cannot be read|says it has"),
        (header("(3,)", "[('a', '<f8'), ('b', 'O')]") + bytes(24), "array of Python objects"),
        (header("(3,)", "__import__('os').getpid()") + bytes(24), "cannot be read as numpy's"),
        (header("(3,)").replace(b"NUMPY\x01", b"NUMPY\x03") + bytes(24), "version"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "cannot be read as numpy's"),
        (b"\x80\x04.", "cannot be read as numpy's"),
        (b"", "cannot be read as numpy's"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_lie_are_refused_before_they_take_memory(
    data: bytes, message: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", data)
    else:
        path.write_bytes(data)
    with pytest.raises((ForeignFileError, UnsafeFileError), match=message):
        read(path)


def test_archives_that_unpack_to_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", states=np.zeros((100, 1000, 10)))
    monkeypatch.setattr("zoo.importing.arrays.MAX_BYTES", 10**6)
    with pytest.raises(ForeignFileError, match=r"unpacks to 1 arrays of 8,000,\d+ bytes; at most"):
        read(tmp_path / "a.npz")


def _bytes(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


NPZ = _bytes(states=np.arange(24.0).reshape(2, 3, 4), lengths=np.array([3, 2]))


@settings(max_examples=150)
@given(st.data())
def test_changed_bytes_are_read_or_refused(data: st.DataObject) -> None:
    changed = bytearray(NPZ)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(NPZ) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ForeignFileError, UnsafeFileError):
        found = read_arrays(ForeignFile(Path("fuzzed.npz"), bytes(changed)))
        assert sum(array.nbytes for array in found.values()) <= len(NPZ)


def test_truncated_and_odd_archives_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", states=np.ones((3, 4, 5)))
    data = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(data) - 1, 31):
        (tmp_path / "cut.npz").write_bytes(data[:length])
        with pytest.raises(ForeignFileError):
            read(tmp_path / "cut.npz")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("../states.txt", b"")
    with pytest.raises(ForeignFileError, match="which is no array or is there twice"):
        read(tmp_path / "odd.npz")


# HDF5 ---------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Any]:
    """The file ``a.h5``, to write into; closed by the test that reads it."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        yield file


@pytest.fixture
def refused(root: Any, tmp_path: Path) -> Callable[[str], None]:
    """``refused(message)`` closes the file and reads it."""

    def check(message: str) -> None:
        root.close()
        with pytest.raises(ForeignFileError, match=message):
            read(tmp_path / "a.h5")

    return check


def test_datasets_and_groups_are_read(root: Any, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 3))
    root["states"] = values
    root.create_dataset(
        "task/spikes", data=np.arange(60).reshape(4, 5, 3), compression="gzip", chunks=(1, 5, 3)
    )
    root.create_group("empty")
    root["scalar"] = 3.0
    root.close()
    found = read(tmp_path / "a.h5")
    assert set(found) == {"states", "task/spikes", "scalar"}
    assert np.array_equal(found["states"], values)
    assert found["task/spikes"].sum() == 59 * 30


def test_links_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["states"] = np.ones((2, 3, 4))
    links = {
        "external": h5py.ExternalLink(str(tmp_path / "secret.h5"), "/states"),
        "soft": h5py.SoftLink("/states"),
        "loop": h5py.SoftLink("/loop"),
    }
    for name, link in links.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["states"] = np.ones((2, 3, 4))
            file[name] = link
        with pytest.raises(ForeignFileError, match=f"holds '{name}', a link to elsewhere"):
            read(tmp_path / f"{name}.h5")


def test_a_group_inside_itself_is_refused(root: Any, refused: Callable[[str], None]) -> None:
    group = root.create_group("a")
    group["b"] = group
    refused("perhaps because one is inside itself")


def test_storage_outside_the_file_is_refused(
    root: Any, tmp_path: Path, refused: Callable[[str], None]
) -> None:
    (tmp_path / "passwords").write_bytes(bytes(80))
    root.create_dataset("states", (10,), "f8", external=[(str(tmp_path / "passwords"), 0, 80)])
    refused("whose numbers are in other files")


def test_virtual_storage_is_refused(root: Any, tmp_path: Path, refused: Callable[[str], None]) -> None:
    layout = h5py.VirtualLayout((3, 4), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "states", shape=(3, 4))
    root.create_virtual_dataset("states", layout)
    refused("whose numbers are in other files")


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (h5py.string_dtype(), "text"),
        (h5py.vlen_dtype(np.float64), None),
        (np.dtype([("a", "f8"), ("b", "i4")]), None),
        (h5py.ref_dtype, None),
        (np.dtype("c16"), None),
    ],
)
def test_what_is_no_number_is_refused(
    dtype: Any, value: Any, root: Any, refused: Callable[[str], None]
) -> None:
    root.create_dataset("states", (2,), dtype, **({} if value is None else {"data": [value, value]}))
    refused("only numbers are read")


def test_sizes_that_nothing_stands_behind_are_refused(root: Any, refused: Callable[[str], None]) -> None:
    root.create_dataset("states", (10**6, 10**6, 10**3), "f8", chunks=(1, 1000, 1000))
    refused(r"says it has 8,000,000,000,000,000 bytes, and stores far fewer")


def test_sizes_that_are_too_large_together_are_refused(
    root: Any, monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], None]
) -> None:
    for name in "abc":
        root[name] = np.ones(5000)
    monkeypatch.setattr("zoo.importing.apart.MAX_BYTES", 10**5)
    refused(r"unpacks to 120,000 bytes; at most 100,000 are read")


def test_damaged_files_are_refused(root: Any, tmp_path: Path) -> None:
    root.create_dataset("states", data=np.ones((20, 30, 4)), compression="gzip")
    root.close()
    data = (tmp_path / "a.h5").read_bytes()
    for length in (0, 100, len(data) // 2, len(data) - 100):
        (tmp_path / "cut.h5").write_bytes(data[:length])
        with pytest.raises(ForeignFileError, match="cannot be read as HDF5"):
            read(tmp_path / "cut.h5")


def test_a_file_on_which_the_library_hangs_or_crashes_is_refused(
    root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root["states"] = np.ones((2, 3, 4))
    root.close()
    reader = tmp_path / "reader.py"
    monkeypatch.setattr("zoo.importing.hdf5.READER", reader)
    monkeypatch.setattr("zoo.importing.apart.PATIENCE", 0.5)
    for ends, message in {
        "while True: pass": "within [01] seconds",
        "import os; os.abort()": "crashed",
    }.items():
        reader.write_text(ends)
        with pytest.raises(ForeignFileError, match=message):
            read(tmp_path / "a.h5")


def test_without_h5py_it_says_what_to_install(
    root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.close()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'neuroai-zoo\[data\]'"):
        read(tmp_path / "a.h5")
