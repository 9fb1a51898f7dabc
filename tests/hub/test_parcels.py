"""Parcels on every form of hub: what one writes another reads, whole, and of two writers one is told."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import HubError
from zoo.hub.base import OvertakenError, UnreachableError
from zoo.hub.cache import CacheHub
from zoo.hub.lookup import open_hub
from zoo.hub.objects import ObjectHub
from zoo.hub.parcels import INDEX, Parcels, index, named, packed, parcels, unpacked
from zoo.hub.plain import FolderHub
from zoo.placing import write_whole

if TYPE_CHECKING:
    from conftest import Make, Served

FORMS = ("directory", "memory", "file", "s3", "server")
RUN = named("run", "one")
FILES = {"a/spec.json": b"{}", "a/snapshots/0000000000.safetensors": bytes(5000), "a/empty.csv": b""}


@pytest.fixture(params=FORMS)
def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    form, root = request.param, request.getfixturevalue("memory")
    if form == "directory":
        return CacheHub(root / "hub", "mine")
    if form == "server":
        served: Served = request.getfixturevalue("served")
        monkeypatch.setenv("ZOO_TOKEN", served.token)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        return open_hub(f"{served.url}/lab")
    urls = {"memory": f"memory://{uuid4().hex}", "file": f"file://{root}/hub"}
    return ObjectHub(urls.get(form) or request.getfixturevalue("s3"), "mine")


def test_a_parcel_is_written_read_replaced_and_removed(hub: Any, make: Make) -> None:
    there = parcels(hub)
    assert there.read(RUN) is there.newest(RUN) is None
    there.remove(RUN)
    first = there.write(RUN, FILES, None)
    found = there.read(RUN)
    assert found is not None
    assert (found.commit, found.files) == (first, FILES)
    assert there.newest(RUN) == first
    assert there.write(RUN, FILES, None) == first, "the same again is no other"
    second = there.write(RUN, {**FILES, "a/empty.csv": b"1"}, first)
    for outdated in (None, first):
        with pytest.raises(OvertakenError, match="somebody else"):
            there.write(RUN, {"a": b"2"}, outdated)
    found = there.read(RUN)
    assert found is not None
    assert (found.commit, found.files["a/empty.csv"]) == (second, b"1")
    hub.publish(make("tiny"))
    assert hub.names() == ["tiny"], "parcels are no checkpoints"
    there.remove(RUN)
    assert there.read(RUN) is None
    with pytest.raises(OvertakenError):
        there.write(RUN, FILES, second)
    assert there.read(RUN) is None
    there.write(RUN, {}, None)
    found = there.read(RUN)
    assert found is not None
    assert found.files == {}


def test_of_those_who_begin_at_once_one_is_first(hub: Any) -> None:
    barrier, won, told = threading.Barrier(4), [], []

    def one(number: int) -> None:
        barrier.wait()
        try:
            won.append((number, parcels(hub).write(RUN, {"a": b"%d" % number}, None)))
        except HubError as problem:
            told.append(problem)

    several = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for each in several:
        each.start()
    for each in several:
        each.join()
    if "file" in hub.where:  # looks and then writes, which docs/hubs.md says
        assert won
        return
    assert len(won) == 1, told
    assert all(isinstance(problem, OvertakenError) for problem in told), told
    found = parcels(hub).read(RUN)
    assert found is not None
    assert found.files["a"] == b"%d" % won[0][0]


def test_who_reads_while_it_is_replaced_reads_one_or_the_other(memory: Path) -> None:
    there, end = parcels(CacheHub(memory / "hub")), threading.Event()
    commit = there.write(RUN, {"a": b"0", "b": b"0"}, None)

    def write() -> None:
        last = commit
        for number in range(1, 200):
            time.sleep(0.001)
            last = there.write(RUN, {"a": b"%d" % number, "b": b"%d" % number}, last)
        end.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not end.is_set():
        found = there.read(RUN)
        assert found is not None
        assert found.files["a"] == found.files["b"]
        reads += 1
    writer.join()
    assert reads > 3
    assert len(list((memory / "hub").glob("*/snapshots/*"))) == 2, "what was replaced takes no room"


def test_damage_is_found(memory: Path) -> None:
    hub = CacheHub(memory / "hub")
    there = parcels(hub)
    commit = there.write(RUN, FILES, None)
    folder = hub._repository(RUN).snapshot(commit)
    digest = json.loads((folder / INDEX).read_text())["files"]["a/spec.json"]["sha256"]
    write_whole((folder / digest).resolve(), b"[]")
    with pytest.raises(HubError, match=rf"a/spec\.json is not what the index says.*zoo delete {RUN}"):
        there.read(RUN)
    there.remove(RUN)
    assert there.read(RUN) is None


def entry(path: str, **changes: Any) -> bytes:
    return json.dumps(
        {"format": "parcel/1", "files": {path: {"sha256": "0" * 64, "size": 1}}, **changes}
    ).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b"{" * 5000,
        entry("../up"),
        entry("/root"),
        entry("a//b"),
        entry("a\\b"),
        entry(".hidden"),
        entry("a", format="parcel/2"),
        entry("a", files=[]),
        entry("a", files={"a": {"sha256": "x", "size": 1}}),
        entry("a", files={"a": {"sha256": "0" * 64, "size": -1}}),
        entry("a", files={"a": {"sha256": "0" * 64, "size": 2**40}}),
        entry("a", files={str(k): {"sha256": "0" * 64, "size": 0} for k in range(20_000)}),
    ],
)
def test_what_is_no_index_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        index(text)


def test_packed_files_come_back_or_not_at_all() -> None:
    assert unpacked(packed(FILES)) == FILES
    for name in packed(FILES):
        with pytest.raises(ValueError, match="index"):
            unpacked({file: data for file, data in packed(FILES).items() if file != name})
        with pytest.raises(ValueError, match="index"):
            unpacked({**packed(FILES), name: packed(FILES)[name] + b"0"})


def test_hubs_without_parcels_say_so(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="zoo serve"):
        parcels(FolderHub(tmp_path, "plain"))
    with pytest.raises(HubError, match="no organisation"):
        parcels(open_hub("https://hub.example.org"))
    with pytest.raises(HubError, match=r"no organisation.*hf://lab"):
        parcels(open_hub("hf://"))


def test_a_directory_that_is_away_may_come_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    there: Parcels = parcels(CacheHub(tmp_path / "file" / "hub"))
    with pytest.raises(UnreachableError):
        there.write(RUN, FILES, None)


def test_a_checkpoint_of_such_a_name_is_not_loaded(memory: Path) -> None:
    hub = CacheHub(memory / "hub")
    parcels(hub).write(RUN, FILES, None)
    folder: CheckpointFolder = hub.fetch(RUN)
    with pytest.raises(Exception, match=r"record\.json"):
        _ = folder.record
