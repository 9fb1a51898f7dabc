"""Reading: what is right is read, and anything else is one clear error and no harm."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from zoo.checkpoints.folder import CheckpointFolder, parse_json
from zoo.errors import CheckpointError, NewerVersionError, UnsafeFileError, ZooError

Make = Callable[..., CheckpointFolder]
FILES = ("spec.json", "model.safetensors", "golden.safetensors")


def again(folder: CheckpointFolder) -> CheckpointFolder:
    return CheckpointFolder(folder.path)


def copy(folder: CheckpointFolder) -> CheckpointFolder:
    return CheckpointFolder(
        shutil.copytree(folder.path, tempfile.mkdtemp(dir=folder.path.parent), dirs_exist_ok=True)
    )


def edit(folder: CheckpointFolder, file: str, data: bytes) -> CheckpointFolder:
    """Replace a file and have the record agree, as an attacker would."""
    (folder.path / file).write_bytes(data)
    record = json.loads((folder.path / "record.json").read_bytes())
    record["files"][file] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    (folder.path / "record.json").write_text(json.dumps(record))
    return again(folder)


def test_what_was_written_is_read(make: Make) -> None:
    folder = again(make("pop", members=3, seed=5, series=[[0, 9, 100]] * 3))
    random = np.random.default_rng(502)
    expected = torch.from_numpy(random.standard_normal((4, 2), np.float32))
    tensors = folder.tensors("model-2.safetensors")
    assert sorted(tensors) == ["cell.weight_hh_l0", "cell.weight_ih_l0", "output.weight"]
    assert torch.equal(tensors["cell.weight_ih_l0"], expected)
    assert folder.record.name == "pop"
    assert folder.record.members == 3
    assert folder.experiment.digest() == folder.record.experiment
    weights = {f"model-{k}{at}.safetensors" for k in range(3) for at in ("", "-at-0", "-at-9")}
    listed = {"spec.json", "golden.safetensors", *weights}
    assert set(folder.record.files) == listed, "README.md has no digest, people write in it"
    assert [check.file for check in folder.verify()] == sorted(folder.record.files)
    assert set(folder.contents()) == {*listed, "record.json", "README.md"}


def test_weights_of_every_member_are_needed(make: Make) -> None:
    folder = make("pop", members=3)
    del (record := json.loads((folder.path / "record.json").read_bytes()))["files"]["model-1.safetensors"]
    (folder.path / "record.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=r"record\.json lists no model-1\.safetensors"):
        again(folder).verify()


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_byte_anywhere_is_found(make: Make, file: str) -> None:
    folder = make()
    good = (folder.path / file).read_bytes()
    for position in sorted({0, 1, 7, 8, 9, len(good) - 1, *range(0, len(good), max(1, len(good) // 40))}):
        bad = bytearray(good)
        bad[position] ^= 1
        (folder.path / file).write_bytes(bad)
        with pytest.raises(CheckpointError, match=file):
            again(folder).read(file)
        with pytest.raises(CheckpointError, match=file):
            again(folder).verify()
    (folder.path / file).write_bytes(good)
    again(folder).verify()


def test_verify_names_every_damaged_file_and_check_raises_nothing(make: Make) -> None:
    folder = make()
    for file in ("model.safetensors", "golden.safetensors"):
        (folder.path / file).write_bytes(b"x" * folder.record.files[file].size)
    results = {check.file: check.problem for check in again(folder).check()}
    assert not results["spec.json"]
    assert all(results[file] for file in ("model.safetensors", "golden.safetensors"))
    with pytest.raises(CheckpointError, match=r"(?s)golden\.safetensors.*model\.safetensors"):
        again(folder).verify()


def test_only_what_is_read_is_verified(make: Make) -> None:
    folder = make()
    (folder.path / "golden.safetensors").write_bytes(b"")
    assert again(folder).tensors("model.safetensors")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 10, 100, -1])
def test_a_truncated_file_is_refused_whether_the_record_agrees_or_not(make: Make, length: int) -> None:
    folder = make()
    cut = (folder.path / "model.safetensors").read_bytes()[:length]
    (folder.path / "model.safetensors").write_bytes(cut)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors has .* bytes instead of .*Fetch the checkpoint"
    ):
        again(folder).tensors("model.safetensors")
    agreed = edit(folder, "model.safetensors", cut)
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*Fetch the checkpoint"):
        agreed.tensors("model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        again(agreed).verify()


@pytest.mark.parametrize(
    "header",
    [
        b"{" * 50_000,
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9999]}}',
        b'{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"XYZ","shape":[1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b"{}        ",
        b'{"\xff":1}',
    ],
)
def test_a_hostile_header_is_refused_though_the_record_agrees(make: Make, header: bytes) -> None:
    data = len(header).to_bytes(8, "little") + header + bytes(4)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        edit(make(), "model.safetensors", data).tensors("model.safetensors")
    too_long = (2**63).to_bytes(8, "little") + header
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        edit(make(), "model.safetensors", too_long).tensors("model.safetensors")


def test_a_header_as_long_as_a_pickle_begins_is_no_pickle(make: Make) -> None:
    for first in (b"\x80\x02", b"PK"):
        bare = int.from_bytes(save({"w": np.zeros(1, np.float32)})[:2], "little")
        data = save({"w" * (int.from_bytes(first, "little") - bare): np.zeros(1, np.float32)})
        assert data.startswith(first)
        assert edit(make(), "model.safetensors", data).tensors("model.safetensors")


class Bomb:
    """Leaves a mark when it is unpickled."""

    mark = "unpickled-by-mistake"

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


PICKLED = {
    "pickle": pickle.dumps(Bomb()),
    "old pickle": pickle.dumps(Bomb(), 2),
    "zip": b"PK\x03\x04" + bytes(60),
}


@pytest.mark.parametrize("kind", PICKLED)
@pytest.mark.parametrize("agree", [True, False])
def test_a_pickle_in_place_of_the_weights_is_never_opened(
    make: Make, kind: str, agree: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make()
    if agree:
        folder = edit(folder, "model.safetensors", PICKLED[kind])
    else:
        (folder.path / "model.safetensors").write_bytes(PICKLED[kind])
    for use in (lambda: again(folder).tensors("model.safetensors"), lambda: again(folder).contents()):
        with pytest.raises(CheckpointError, match=r"model\.safetensors looks like a pickle.*safetensors"):
            use()
    with pytest.raises(UnsafeFileError):
        again(folder).tensors("model.safetensors")
    assert not Path(Bomb.mark).exists()


@pytest.mark.parametrize(
    "name", ["model.pt", "a.pth", "state.ckpt", "pytorch_model.bin", "x.PKL", "x.joblib"]
)
def test_a_folder_with_a_pickle_is_refused(make: Make, name: str) -> None:
    folder = make()
    (folder.path / name).write_bytes(b"anything")
    with pytest.raises(UnsafeFileError, match=r"pickle.*safetensors"):
        _ = again(folder).record


def test_a_file_offered_as_a_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pt")
    for name in ("model.pt", "missing.ckpt"):
        with pytest.raises(UnsafeFileError):
            _ = CheckpointFolder(tmp_path / name).record
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(UnsafeFileError):
        _ = CheckpointFolder(tmp_path / "model.safetensors").record
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CheckpointError, match=r"is a file\. Give the folder"):
        _ = CheckpointFolder(tmp_path / "notes.txt").record
    (tmp_path / "record.json").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnsafeFileError):
        _ = CheckpointFolder(tmp_path / "record.json").record


def test_a_newer_version_says_to_upgrade(make: Make) -> None:
    folder = make()
    record = json.loads((folder.path / "record.json").read_bytes())
    newer = edit(make(), "spec.json", json.dumps({"spec": "experiment/7", "new": 1}).encode())
    with pytest.raises(
        NewerVersionError, match=r"(?s)spec\.json.*experiment/7.*pip install --upgrade neuroai-zoo"
    ):
        _ = newer.experiment
    assert any("experiment/7" in check.problem for check in newer.check())
    (folder.path / "record.json").write_text(json.dumps({**record, "spec": "record/2", "unheard of": 1}))
    with pytest.raises(
        NewerVersionError, match=r"(?s)record\.json.*record/2.*pip install --upgrade neuroai-zoo"
    ):
        _ = again(folder).record


def test_a_spec_of_an_earlier_layout_is_read(make: Make) -> None:
    folder = make()
    spec = json.loads(folder.read("spec.json"))
    train = spec.pop("train")
    older = {**spec, "spec": "experiment/0", "training": {"iterations": train["steps"] + 1, "batch": 8}}
    found = edit(folder, "spec.json", json.dumps(older).encode())
    assert found.experiment.train.steps == train["steps"] + 1
    assert found.experiment.train.batch_size == 8
    found.verify()


def test_another_experiment_than_the_record_says_is_found(make: Make) -> None:
    folder = make()
    spec = json.loads(folder.read("spec.json"))
    spec["model"]["hidden"] = 5
    with pytest.raises(CheckpointError, match=r"spec\.json is another experiment"):
        edit(folder, "spec.json", json.dumps(spec).encode()).verify()


def test_mistakes_are_named_with_file_and_field(make: Make) -> None:
    folder = make()
    record = json.loads((folder.path / "record.json").read_bytes())
    wrong = {**record, "parameters": -1, "files": {**record["files"], "../x": record["files"]["spec.json"]}}
    (folder.path / "record.json").write_text(json.dumps(wrong))
    with pytest.raises(CheckpointError, match=r"record\.json is not valid.*parameters.*files"):
        _ = again(folder).record
    spec = json.loads((folder.path / "spec.json").read_bytes())
    spec["model"]["hidden"] = "four"
    found = edit(make(), "spec.json", json.dumps(spec).encode())
    with pytest.raises(CheckpointError, match=r"spec\.json is not valid.*model\.hidden"):
        _ = found.experiment
    spec["model"] = {"kind": "elmann"}
    with pytest.raises(CheckpointError, match=r"model\.kind.*Did you mean 'elman'"):
        _ = edit(make(), "spec.json", json.dumps(spec).encode()).experiment


HOSTILE = {
    "deep list": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "huge integer": b'{"spec": ' + b"9" * 10_000 + b"}",
    "not a number": b'{"spec": NaN}',
    "infinity": b'{"spec": -Infinity}',
    "duplicate key": b'{"spec": "record/1", "spec": "record/1"}',
    "utf-16": '{"spec": "record/1"}'.encode("utf-16"),
    "latin-1": b'{"title": "caf\xe9"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "half a surrogate": b'{"title": "\\ud800"}',
    "nothing": b"",
    "null": b"null",
    "list": b"[1, 2]",
    "text": b'"record/1"',
    "zeros": bytes(1000),
    "a header of another type": b'{"spec": ["record/1"]}',
    "a header of another family": b'{"spec": "study/1"}',
    "a long header": b'{"spec": "record/' + b"9" * 4000 + b'"}',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_json_is_one_clear_error(make: Make, kind: str) -> None:
    folder = make()
    with pytest.raises(CheckpointError, match=r"spec\.json"):
        _ = edit(folder, "spec.json", HOSTILE[kind]).experiment
    with pytest.raises(CheckpointError, match=r"spec\.json"):
        again(folder).verify()
    (folder.path / "record.json").write_bytes(HOSTILE[kind])
    with pytest.raises(CheckpointError, match=r"record\.json") as caught:
        _ = again(folder).record
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "data",
    [
        b"NaN",
        b"[Infinity]",
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "b": 2}}',
        b'["\\udc00"]',
        b"\xff",
        b"[1,]",
    ],
)
def test_json_is_strict(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(data)
    assert parse_json(b'{"a": [1, 2.5, "\\ud83d\\ude00", null]}') == {"a": [1, 2.5, "\U0001f600", None]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def read_or_refuse(folder: CheckpointFolder) -> None:
    try:
        again(folder).contents()
        again(folder).tensors("model.safetensors")
    except ZooError as problem:
        if str(folder.path) not in str(problem):
            raise
    finally:
        shutil.rmtree(folder.path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, fabricate: Make) -> CheckpointFolder:
    return fabricate(tmp_path_factory.mktemp("made") / "tiny")


@settings(max_examples=150)
@given(data=st.data())
def test_a_record_with_any_field_replaced_is_read_or_refused(
    made: CheckpointFolder, data: st.DataObject
) -> None:
    folder = copy(made)
    record = json.loads((folder.path / "record.json").read_bytes())
    node: Any = record
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        inside = node[key] if isinstance(node[key], dict | list) and node[key] else None
        if inside is None or data.draw(st.booleans()):
            break
        node = inside
    node[key] = data.draw(JSON)
    (folder.path / "record.json").write_text(json.dumps(record))
    read_or_refuse(folder)


@settings(max_examples=150)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(made: CheckpointFolder, data: st.DataObject) -> None:
    folder = copy(made)
    file = data.draw(st.sampled_from(("record.json", "spec.json", "model.safetensors", "README.md")))
    good = (folder.path / file).read_bytes()
    start, end = sorted((data.draw(st.integers(0, len(good))), data.draw(st.integers(0, len(good)))))
    bad = good[:start] + data.draw(st.binary(max_size=30)) + good[end:]
    if file in FILES:
        folder = edit(folder, file, bad)
    else:
        (folder.path / file).write_bytes(bad)
    read_or_refuse(folder)


@pytest.mark.parametrize(
    "name", ["../spec.json", "a/b", "/etc/passwd", "..", ".", "", ".hidden", "a\0b", "a\nb", "é"]
)
def test_names_with_more_than_a_name_are_refused(make: Make, name: str) -> None:
    with pytest.raises(CheckpointError):
        make().read(name)
    with pytest.raises(CheckpointError):
        make()._bytes(name)


def test_what_is_not_there_is_named(make: Make, tmp_path: Path) -> None:
    folder = make()
    with pytest.raises(CheckpointError, match=r"no 'ledger\.safetensors'. Its record lists: golden"):
        folder.read("ledger.safetensors")
    (folder.path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors. Fetch"):
        again(folder).tensors("model.safetensors")
    (folder.path / "record.json").unlink()
    with pytest.raises(CheckpointError, match=r"it has no record\.json"):
        _ = again(folder).record
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        _ = CheckpointFolder(tmp_path / "nowhere").record
    with pytest.raises(CheckpointError, match="is no path"):
        CheckpointFolder(Path("a\0b"))
    with pytest.raises(CheckpointError):
        _ = CheckpointFolder(Path("x" * 5000)).record


@pytest.mark.parametrize("file", ["record.json", "spec.json", "model.safetensors", "README.md"])
def test_links_out_of_the_folder_are_not_followed(make: Make, file: str, tmp_path: Path) -> None:
    folder = make()
    secret = tmp_path / "secret"
    os.rename(folder.path / file, secret)
    for target in (secret, os.path.relpath(secret, folder.path)):
        (folder.path / file).symlink_to(target)
        with pytest.raises(CheckpointError, match="leads out of the checkpoint folder"):
            again(folder).contents()
        (folder.path / file).unlink()
    os.rename(secret, folder.path / "inside")
    (folder.path / file).symlink_to("inside")
    again(folder).contents()


def test_a_snapshot_may_link_to_the_blobs_of_its_own_hub_only(make: Make, tmp_path: Path) -> None:
    made, snapshot, blobs = make(), tmp_path / "repo" / "snapshots" / "abc", tmp_path / "repo" / "blobs"
    snapshot.parent.mkdir(parents=True)
    os.rename(made.path, snapshot)
    blobs.mkdir()
    data = (snapshot / "record.json").read_bytes()
    blob = blobs / hashlib.sha256(data).hexdigest()
    os.rename(snapshot / "record.json", blob)
    (snapshot / "record.json").symlink_to(Path("../../blobs") / blob.name)
    CheckpointFolder(snapshot).contents()
    blob.write_bytes(data.replace(b'"title": "A', b'"title": "B'))
    with pytest.raises(CheckpointError, match="is not what its name in the hub says"):
        _ = CheckpointFolder(snapshot).record
    blob.write_bytes(data)
    os.rename(blobs, tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="leads out of the checkpoint folder"):
        _ = CheckpointFolder(snapshot).record


def test_what_is_no_file_is_refused_without_waiting_for_it(make: Make) -> None:
    folder = make()
    model = folder.path / "model.safetensors"
    model.unlink()
    os.mkfifo(model)
    with pytest.raises(CheckpointError, match="no regular file"):
        again(folder).tensors("model.safetensors")
    model.unlink()
    model.mkdir()
    with pytest.raises(CheckpointError, match="no regular file"):
        again(folder).tensors("model.safetensors")


def test_a_huge_file_is_refused_before_it_is_read(make: Make) -> None:
    folder = make()
    for file in ("model.safetensors", "record.json", "README.md"):
        os.truncate(folder.path / file, 2**40)  # a hole: it takes no room
        started = time.perf_counter()
        with pytest.raises(CheckpointError, match=r"has 1,099,511,627,776 bytes instead of"):
            again(folder)._bytes(file, folder.record.files[file].size if file in FILES else None)
        assert time.perf_counter() - started < 0.5


def test_no_torch_until_a_tensor_is_asked_for(make: Make) -> None:
    code = (
        "import sys; from pathlib import Path; from zoo.checkpoints.folder import CheckpointFolder as F\n"
        "f = F(Path(sys.argv[1])); f.record; f.experiment; f.verify(); f.contents()\n"
        "assert not {'torch', 'lightning', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(make().path)], check=True)


def test_opening_is_quick(make: Make) -> None:
    folder = make(hidden=200)

    def once() -> float:
        started = time.perf_counter()
        found = again(folder)
        _ = found.record, found.experiment, found.tensors("model.safetensors")
        return time.perf_counter() - started

    assert min(once() for _ in range(30)) < 0.005, "half a millisecond is usual"
