"""Hubs in object stores: what is in the store, what is read of it, and what happens when it fails."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hub.stores import FaultyFileSystem, register

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import (
    CheckpointError,
    HubError,
    MissingDependencyError,
    OfflineError,
    UnknownNameError,
    ZooError,
)
from zoo.hub import objects, store
from zoo.hub.objects import ObjectHub

Make = Callable[..., CheckpointFolder]
Files = type[FaultyFileSystem]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    """The file system behind ``faulty://``, empty, and without faults until it is given some."""
    for variable in ("HF_HUB_OFFLINE", "ZOO_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(store, "PAUSE", 0.0)
    return register()


@pytest.fixture
def hub(files: Files) -> ObjectHub:
    return ObjectHub("faulty://hub/", "mine")


def blobs_read(files: Files) -> list[str]:
    """The digests of the blobs that were read, in order, which are then forgotten."""
    found = [path.rpartition("/")[2] for path in files.read if "/blobs/" in path]
    files.read.clear()
    return found


def other_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From here on nothing is in the cache."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / f"home-{time.monotonic_ns()}"))


def no_bad_blob(hub: ObjectHub) -> bool:
    return all(
        hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in hub.cache.glob("*/blobs/*")
    )


# what is in the store


def test_it_consists_of_objects_by_content(hub: ObjectHub, make: Make) -> None:
    one = hub.publish(make(seed=1), name="lab/tiny", tag="v1")
    digests = {hashlib.sha256(data).hexdigest() for data in make(seed=1).contents().values()}
    top = "models--lab--tiny"
    expected = {f"{top}/blobs/{digest}" for digest in digests}
    expected |= {f"{top}/snapshots/{one.commit}.json", f"{top}/refs/main", f"{top}/refs/v1"}
    assert set(hub.store.listing("")) == expected
    hub.publish(make(seed=2), name="lab/tiny")
    assert len(hub.store.listing("")) == len(expected) + 3, "the weights, the record and the manifest"


def test_what_is_being_written_cannot_be_seen(hub: ObjectHub, files: Files, make: Make) -> None:
    """Of a store that shows half a file, as SFTP does: all is written under another name, and moved."""
    hub.publish(make(), tag="v1")
    hub.tag("tiny", "v2")
    assert len(files.written) == 9
    assert all(path.startswith("/hub/models--tiny/new/") for path in files.written)
    assert not [path for path in hub.store.listing("") if "/new/" in path]


def test_publishing_again_writes_nothing(hub: ObjectHub, files: Files, make: Make) -> None:
    hub.publish(make(), tag="v1")
    files.requests.clear()
    hub.publish(make())
    assert "write" not in files.requests


def test_publishing_mends_what_is_cut_short(hub: ObjectHub, files: Files, make: Make) -> None:
    made = make()
    hub.publish(made)
    for path in list(hub.store.listing("")):
        if "/refs/" not in path:
            files().pipe_file(f"/hub/{path}", b"{")
    hub.publish(made)
    assert hub.fetch("tiny").contents() == made.contents()


def test_what_nobody_finished_is_removed_after_an_hour(hub: ObjectHub, files: Files, make: Make) -> None:
    hub.publish(make("other"))
    hub.publish(make(seed=1))
    left = {f"models--tiny/blobs/{'0' * 64}", "models--tiny/new/left", f"models--dead/blobs/{'1' * 64}"}
    for path in left:
        files().pipe_file(f"/hub/{path}", b"left")
    assert hub.prune() == 0
    age(files, *left)
    hub.publish(make(seed=2))
    assert left & hub.store.listing("").keys() == {f"models--dead/blobs/{'1' * 64}"}, "of this name"
    before = hub.store.listing("").keys() - left
    assert hub.prune() == 1
    assert hub.store.listing("").keys() == before
    files().pipe_file(f"/hub/models--tiny/blobs/{'0' * 64}", b"left")
    assert hub.prune(age=0) == 1
    assert hub.store.listing("").keys() == before
    for name in hub.names():
        hub.fetch(name).verify()


def age(files: Files, *paths: str) -> None:
    from datetime import timedelta

    for path in paths:
        files.store[f"/hub/{path}"].modified -= timedelta(hours=2)
        files.store[f"/hub/{path}"].created -= timedelta(hours=2)


def test_a_deletion_that_was_killed_is_finished(hub: ObjectHub, files: Files, make: Make) -> None:
    hub.publish(make(), tag="v1")
    files().rm_file("/hub/models--tiny/refs/main")
    assert hub.names() == []
    assert hub.tags("tiny") == {}
    with pytest.raises(UnknownNameError):
        hub.fetch("tiny", "v2")
    hub.delete("tiny")
    assert not hub.store.listing("")
    with pytest.raises(UnknownNameError):
        hub.delete("tiny")


def test_what_is_published_after_such_a_deletion_stays(hub: ObjectHub, files: Files, make: Make) -> None:
    one = hub.publish(make(seed=1), tag="v1")
    age(files, *hub.store.listing(""))
    two = hub.publish(make(seed=2), tag="v2")
    files().rm_file("/hub/models--tiny/refs/main")
    assert hub.publish(make(seed=1), tag="v1") == one
    assert hub.fetch("tiny").contents() == make(seed=1).contents()
    assert hub.tags("tiny") == {"v1": one.commit, "v2": two.commit}
    hub.fetch("tiny", "v2").verify()


def test_a_damaged_ref_is_named(hub: ObjectHub, files: Files, make: Make) -> None:
    revision = hub.publish(make())
    for bad in (b"", b"../../../etc", b"\xff" * 40, b"0" * 41):
        files().pipe_file("/hub/models--tiny/refs/main", bad)
        with pytest.raises(HubError, match="faulty://hub/models--tiny/refs/main names no commit"):
            hub.fetch("tiny")
    files().pipe_file("/hub/models--tiny/refs/main", b"0" * 40)
    with pytest.raises(UnknownNameError, match=f"It has: {revision.commit[:12]}"):
        hub.fetch("tiny")
    assert hub.publish(make()) == revision
    hub.fetch("tiny").verify()


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"[]", b'{"files": {}}', b'{"files": {}, "created": ""}', b"[" * 100_000, b"\x80"]
)
def test_a_damaged_manifest_is_named(
    hub: ObjectHub, files: Files, make: Make, bad: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = hub.publish(make()).commit
    other_machine(monkeypatch, tmp_path)
    files().pipe_file(f"/hub/models--tiny/snapshots/{commit}.json", bad)
    with pytest.raises(HubError, match=f"snapshots/{commit}.json is damaged.*Publish that checkpoint again"):
        hub.fetch("tiny")


# what is read


def test_a_member_is_read_without_the_others(
    hub: ObjectHub, files: Files, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = make("pop", members=50, series=[[0, 4]] * 50)
    hub.publish(made, tag="v1")
    digest = {file: entry.sha256 for file, entry in made.record.files.items()}
    digest["record.json"] = hashlib.sha256(made.contents()["record.json"]).hexdigest()
    other_machine(monkeypatch, tmp_path)
    blobs_read(files)
    folder = hub.fetch("pop", "v1")
    assert blobs_read(files) == []
    assert folder.record.members == 50
    assert blobs_read(files) == [digest["record.json"]]
    folder.read(folder.record.weights(7))
    assert blobs_read(files) == [digest["model-7.safetensors"]]
    folder.read(folder.record.weights(7, 4))
    assert blobs_read(files) == [digest["model-7-at-4.safetensors"]]
    folder.read(folder.record.weights(7))
    _ = hub.fetch("pop").record
    assert blobs_read(files) == [], "it is in the cache"
    assert folder.contents() == made.contents()
    assert len(blobs_read(files)) == len(set(digest.values())) + 1 - 3, "the others, and the card"


def test_a_new_revision_costs_what_changed(hub: ObjectHub, files: Files, make: Make) -> None:
    hub.publish(make(seed=1))
    hub.fetch("tiny").contents()
    hub.publish(make(seed=2))
    blobs_read(files)
    hub.fetch("tiny").contents()
    assert len(blobs_read(files)) == 2, "the weights and the record"


def test_a_full_commit_that_was_fetched_needs_no_request(hub: ObjectHub, files: Files, make: Make) -> None:
    commit = hub.publish(make()).commit
    hub.fetch("tiny").contents()
    files.requests.clear()
    assert hub.fetch("tiny", commit).contents() == make().contents()
    assert files.requests == []


def test_without_links_the_files_are_copied(
    hub: ObjectHub, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)  # what a FAT or exFAT disk answers
    hub.publish(make())
    folder = hub.fetch("tiny")
    assert folder.contents() == make().contents()
    assert not [path for path in folder.path.iterdir() if path.is_symlink()]


def test_other_bytes_than_the_manifest_says_are_refused_and_not_kept(
    hub: ObjectHub, files: Files, make: Make
) -> None:
    made = make(members=2)
    hub.publish(made)
    entry = made.record.files["model-1.safetensors"]
    path = f"/hub/models--tiny/blobs/{entry.sha256}"
    good = files().cat_file(path)
    folder = hub.fetch("tiny")
    for bad in (good[:-1] + b"?", good[:-1], b"", good + b"x", b"\x80\x04."):
        files().pipe_file(path, bad)
        with pytest.raises(
            CheckpointError, match=r"model-1\.safetensors of tiny did not arrive as faulty://hub"
        ):
            folder.read("model-1.safetensors")
        assert not os.path.lexists(folder.path / "model-1.safetensors")
        assert no_bad_blob(hub)
        folder.read("model-0.safetensors")
    files().rm_file(path)
    with pytest.raises(CheckpointError, match=r"which is model-1\.safetensors of tiny, is not there"):
        folder.read("model-1.safetensors")
    hub.publish(made)
    assert folder.contents() == made.contents()
    assert not list(hub.cache.rglob(".zoo-stage-*"))


# the network


@pytest.mark.parametrize("variable", ["ZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_what_was_fetched_loads_by_its_commit(
    hub: ObjectHub, files: Files, make: Make, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    made = make("pop", members=2)
    revision = hub.publish(made)
    hub.fetch("pop").read("model-0.safetensors")
    monkeypatch.setenv(variable, "1")
    files.requests.clear()
    folder = hub.fetch("pop", revision.commit)
    assert folder.read("model-0.safetensors") == made.read("model-0.safetensors")
    assert hub.resolve("pop", revision.commit) == revision
    for act in (
        lambda: folder.read("model-1.safetensors"),
        lambda: hub.fetch("pop"),
        lambda: hub.fetch("pop", revision.commit[:12]),
        lambda: hub.fetch("pop", "0" * 40),
        lambda: hub.publish(made),
        hub.names,
    ):
        with pytest.raises(
            OfflineError, match=f"faulty://hub is on the network, which {variable} switches off"
        ):
            act()
    assert files.requests == []
    with pytest.raises(OfflineError, match=r"model-1\.safetensors of pop.*zoo pull"):
        folder.read("model-1.safetensors")


def test_a_store_that_is_not_reached_is_one_error(
    s3: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = ObjectHub(s3)
    made = make()
    commit = online.publish(made).commit
    online.fetch("tiny").contents()
    options = {
        "endpoint_url": "http://user:hunter2@127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    monkeypatch.setattr(store, "TRIES", 2)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    hub = ObjectHub(s3, storage_options=options)
    assert hub.fetch("tiny", commit).contents() == made.contents()
    for act in (lambda: hub.fetch("tiny"), lambda: hub.publish(made)):
        with pytest.raises(
            HubError, match=f"cannot .* in {s3}: .*Check the address and the network"
        ) as caught:
            act()
        assert "hunter2" not in str(caught.value)


def test_what_a_store_refuses_is_not_tried_again(s3: str, make: Make, hub: ObjectHub, files: Files) -> None:
    with pytest.raises(HubError, match="Make the bucket or folder first"):
        ObjectHub("s3://no-such-bucket/hub").publish(make())
    assert ObjectHub("s3://no-such-bucket/hub").names() == []
    hub.publish(make())

    def refuse(operation: str, path: str, data: bytes) -> bytes:
        raise PermissionError(13, "token=hf_abcdefghijklmnop at https://me:hunter2@host/x?sig=1")

    files.fault = refuse
    files.requests.clear()
    with pytest.raises(HubError, match="Check the credentials") as caught:
        hub.publish(make(seed=1))
    assert len(files.requests) == 1
    assert not any(secret in str(caught.value) for secret in ("hunter2", "sig=1", "abcdefgh"))


def test_addresses_are_shown_without_secrets() -> None:
    hub = objects.open("sftp://me:hunter2@host/folder/")
    assert hub.where == hub.name == "sftp://host/folder"
    assert "hunter2" not in repr(hub)
    for bad, said in (
        ("s3://bucket/x?key=hunter2", "options in an address are not read"),
        ("simplecache::s3://u:hunter2@bucket", "no address of a store"),
        ("bucket", "no address"),
    ):
        with pytest.raises(HubError, match=said) as caught:
            objects.open(bad)
        assert "hunter2" not in str(caught.value)


def test_a_missing_library_is_named_with_its_command(files: Files) -> None:
    for url, command in (("gs://b", "pip install gcsfs"), ("sftp://me:pw@h/x", "pip install paramiko")):
        with pytest.raises(MissingDependencyError, match=f"{command}$"):
            ObjectHub(url).names()
    with pytest.raises(HubError, match="no library is known for nothing://"):
        ObjectHub("nothing://x").names()
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from zoo.hub.objects import ObjectHub\n"
        "try: ObjectHub('s3://b').names()\n"
        "except ImportError as e: print(e)\n"
    )
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    assert "pip install 'neuroai-zoo[s3]'" in said.stdout


def test_opening_a_hub_loads_no_library() -> None:
    code = (
        "import sys; from zoo.hub.objects import ObjectHub; ObjectHub('s3://bucket')\n"
        "assert not {'torch', 'fsspec', 's3fs', 'botocore', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# a store that fails


@pytest.mark.parametrize(
    ("rate", "seed"),
    [
        (0.1, 0),
        (0.5, 1),
        *(pytest.param(rate, s, marks=pytest.mark.slow) for rate in (0.1, 0.5) for s in range(2, 12)),
    ],
)
def test_a_store_that_fails_at_random_loses_nothing(
    hub: ObjectHub,
    files: Files,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    rate: float,
    seed: int,
) -> None:
    """Requests that fail, bytes that are cut short or others: each act succeeds, or is one clear error."""
    chance, published, failed, injected = random.Random(seed), {}, 0, 0

    def fault(operation: str, path: str, data: bytes) -> bytes:
        nonlocal injected
        if chance.random() > rate:
            return data
        injected += 1
        kind = chance.choice(["raise", "cut", "flip"])
        if kind == "raise" or operation not in ("read", "write"):
            raise chance.choice([ConnectionError, TimeoutError, OSError])("the store is having a bad day")
        if kind == "cut" or operation == "write":
            return data[: chance.randrange(len(data) or 1)]
        return bytes(byte ^ 0xFF for byte in data)

    made = [make(f"net-{number % 4}", seed=number, members=2) for number in range(8)]
    files.fault = fault
    for folder in made:
        try:
            published[hub.publish(folder).commit] = folder
        except ZooError as problem:
            failed += 1
            check_message(problem)
        other_machine(monkeypatch, tmp_path)
        for name in {each.record.name for each in published.values()}:
            try:
                assert hub.fetch(name).contents() in [each.contents() for each in made]
            except ZooError as problem:
                failed += 1
                check_message(problem)
            assert no_bad_blob(hub)
    files.fault = None
    assert injected > 30
    assert failed > 0 if rate == 0.5 else failed < 10
    other_machine(monkeypatch, tmp_path)
    for commit, folder in published.items():
        assert hub.fetch(folder.record.name, commit).contents() == folder.contents()
    for name in hub.names():
        for revision in hub.revisions(name):
            hub.fetch(name, revision.commit).verify()
    hub.prune(age=0)
    assert not [path for path in hub.store.listing("") if "/new/" in path]
    for commit, folder in published.items():
        hub.fetch(folder.record.name, commit).verify()


def check_message(problem: ZooError) -> None:
    """One clear line; where a whole checkpoint is verified, one for each file."""
    assert isinstance(problem, HubError | CheckpointError | UnknownNameError)
    for line in str(problem).splitlines():
        assert "faulty://hub" in line
        assert line.endswith((".", "zoo list"))


def test_answers_that_are_lost_change_nothing(hub: ObjectHub, files: Files, make: Make) -> None:
    """A write that is done and then said to have failed is made again, and is the same write."""
    lost: set[str] = set()
    one = hub.publish(make(seed=1))
    original = files.mv

    def mv(self: Any, old: str, new: str, **options: Any) -> None:
        original(self, old, new, **options)
        if new not in lost:
            lost.add(new)
            raise ConnectionError("the answer was lost")

    files.mv = mv  # type: ignore[method-assign]
    two = hub.publish(make(seed=2), tag="v2", parent=one.commit)
    assert hub.resolve("tiny") == two
    assert two.tags == ("v2",)
    assert len(lost) == 5, "two blobs, the manifest and two refs"


def test_two_processes_share_the_cache(memory: Path, make: Make) -> None:
    made = make("pop", members=20)
    url = f"file://{memory}/hub"
    ObjectHub(url).publish(made)
    code = (
        "import sys; from zoo.hub.objects import ObjectHub\n"
        "print(len(ObjectHub(sys.argv[1]).fetch('pop').verify()))"
    )
    command = [sys.executable, "-W", "error", "-c", code, url]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = [int(reader.communicate(timeout=60)[0]) for reader in readers]
    assert found == [len(made.record.files)] * 4
    hub = ObjectHub(url)
    assert no_bad_blob(hub)
    assert not list(hub.cache.rglob(".zoo-stage-*"))
    assert fsspec.filesystem("file").exists(f"{memory}/hub")
