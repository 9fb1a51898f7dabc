"""The index of a hub: whatever happens to it, by our hands or by others', the answer is what is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.checks import shown, truth

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import ZooWarning
from zoo.hub.base import DirectoryHub
from zoo.hub.cache import CacheHub
from zoo.hub.changes import changing
from zoo.hub.index import index as module
from zoo.hub.index.index import Index, folder_of, places
from zoo.hub.index.query import Query
from zoo.hub.plain import FolderHub
from zoo.hub.repository import Repository

Make = Callable[..., CheckpointFolder]


@pytest.fixture(params=["cache", "plain"])
def hub(request: pytest.FixtureRequest, memory: Path) -> DirectoryHub:
    return CacheHub(memory / "hub") if request.param == "cache" else FolderHub(memory / "hub")


@pytest.fixture
def cache(memory: Path) -> CacheHub:
    return CacheHub(memory / "hub")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of files are taken at their word at once, as if they had not been changed just now."""
    monkeypatch.setattr(module, "SETTLED", -1)


def again(hub: DirectoryHub) -> DirectoryHub:
    """The hub as another process finds it."""
    return type(hub)(hub.root)


def test_nothing_where_there_is_no_hub(hub: DirectoryHub) -> None:
    assert hub.names() == []
    assert hub.index.find() == []
    assert not hub.index.built or hub.index.count() == 0


def test_publishing_tagging_and_deleting_show_at_once(make: Make, cache: CacheHub) -> None:
    assert cache.index.count() == 0
    first = cache.publish(make("one"), tag="v1")
    assert shown(cache) == truth(cache)
    cache.publish(make("two", members=3))
    cache.publish(make("one", seed=2, title="Another"))
    assert shown(cache) == truth(cache)
    cache.tag("two", "final")
    assert shown(again(cache)) == shown(cache) == truth(cache)
    cache.delete("one", cache.resolve("one").commit)
    assert cache.index.get(["one"])[0].commit == first.commit
    cache.delete("two")
    assert shown(again(cache)) == shown(cache) == truth(cache)
    assert cache.names() == ["one"]


def test_publishing_and_deleting_in_plain_folders(make: Make, memory: Path) -> None:
    hub = FolderHub(memory / "hub")
    for number in range(3):
        hub.publish(make(f"net-{number}"))
        assert shown(hub) == truth(hub)
    hub.publish(make("net-1", seed=5, title="Another"))
    hub.delete("net-0")
    assert shown(again(hub)) == shown(hub) == truth(hub)


def test_names_come_from_the_index_once_there_is_one(make: Make, hub: DirectoryHub) -> None:
    hub.publish(make("one"))
    assert hub.names() == ["one"]
    assert not hub.index.built
    assert hub.index.names() == ["one"]
    assert hub.index.built
    hub.publish(make("two"))
    assert hub.names() == again(hub).names() == ["one", "two"]


class TestOtherHands:
    """What changes without our code. Times are settled, so that nothing is read again for being fresh."""

    @pytest.fixture
    def filled(self, make: Make, hub: DirectoryHub, settled: None) -> DirectoryHub:
        for number in range(4):
            hub.publish(make(f"net-{number}", seed=number))
        assert shown(hub) == truth(hub)
        return hub

    def folder(self, hub: DirectoryHub, name: str) -> Path:
        return hub.root / (name if isinstance(hub, FolderHub) else f"models--{name}")

    def test_a_folder_is_deleted(self, filled: DirectoryHub) -> None:
        shutil.rmtree(self.folder(filled, "net-2"))
        assert filled.index.names() == ["net-0", "net-1", "net-3"]
        assert shown(filled) == truth(filled)

    def test_a_folder_is_copied_and_one_renamed(self, filled: DirectoryHub) -> None:
        shutil.copytree(self.folder(filled, "net-1"), self.folder(filled, "copy"), symlinks=True)
        os.rename(self.folder(filled, "net-0"), self.folder(filled, "moved"))
        assert filled.index.names() == ["copy", "moved", "net-1", "net-2", "net-3"]
        assert shown(filled) == truth(filled)

    def test_a_folder_is_replaced_by_another(self, filled: DirectoryHub, make: Make) -> None:
        other = type(filled)(filled.root.parent / "other")
        other.publish(make("net-1", seed=9, title="From elsewhere"))
        shutil.rmtree(self.folder(filled, "net-1"))
        shutil.copytree(self.folder(other, "net-1"), self.folder(filled, "net-1"), symlinks=True)
        assert shown(filled) == truth(filled)
        assert filled.index.find(Query(text="elsewhere"))[0].name == "net-1"

    def test_files_that_are_no_checkpoint_come_and_go(self, filled: DirectoryHub) -> None:
        (filled.root / "notes.txt").write_text("mine")
        self.folder(filled, "empty").mkdir()
        assert shown(filled) == truth(filled)
        (filled.root / "models--A--B--C").mkdir()
        assert len(filled.index.names()) == 4

    def test_the_hub_goes_and_another_comes(self, filled: DirectoryHub, make: Make) -> None:
        shutil.rmtree(filled.root)
        assert filled.index.names() == []
        filled.publish(make("new"))
        assert shown(filled) == truth(filled)

    def test_a_copy_of_the_hub_with_all_its_times(self, filled: DirectoryHub, make: Make) -> None:
        copy = filled.root.with_name("copy")
        shutil.copytree(filled.root, copy, symlinks=True)
        filled.publish(make("net-0", seed=7, title="Later"))
        assert shown(filled)["net-0"][4] == "Later"
        shutil.rmtree(filled.root)
        shutil.copytree(copy, filled.root, symlinks=True)
        assert shown(filled) == truth(filled)


def test_refs_that_other_hands_write(make: Make, cache: CacheHub, settled: None) -> None:
    old = cache.publish(make("one", seed=1))
    new = cache.publish(make("one", seed=2))
    assert shown(cache) == truth(cache)
    refs = cache.root / "models--one" / "refs"
    (refs / "main").write_text(old.commit)  # in place, as other libraries do
    os.utime(refs / "main", ns=(0, 10**18))
    assert shown(cache) == truth(cache)
    (refs / "mine").write_text(new.commit)
    assert cache.index.find(Query(tag="mine"))[0].commit == old.commit
    (refs / "main").write_text("nonsense")
    assert "names no commit" in cache.index.find()[0].problem
    (refs / "main").unlink()
    assert cache.index.find() == []


def test_what_a_question_does_not_get_to_is_looked_at_by_the_next(
    make: Make, cache: CacheHub, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"net-{number}" for number in range(6)]
    for name in names:
        old = cache.publish(make(name, seed=1, title="old"))
        cache.publish(make(name, seed=2, title="new"))
        (cache.root / f"models--{name}" / "old").write_text(old.commit)
    assert cache.index.count() == 6
    monkeypatch.setattr(module, "BUDGET", 0.0)
    monkeypatch.setattr(module, "SLICE", 2)
    for number, name in enumerate(names):
        path = cache.root / f"models--{name}"
        (path / "refs" / "main").write_text((path / "old").read_text())
        os.utime(path / "refs" / "main", ns=(0, 10**18 + number))
    found = [len(again(cache).index.names(Query(text="old"))) for _ in range(4)]
    assert found == sorted(found)
    assert found[0] == 2
    assert found[3] == 6


def test_what_is_shown_is_looked_at(
    make: Make, cache: CacheHub, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = [cache.publish(make("one", seed=seed)) for seed in (1, 2)]
    assert cache.index.count() == 1
    monkeypatch.setattr(Index, "_differing", lambda self, cursor, budget: (set(), cursor))
    main = cache.root / "models--one" / "refs" / "main"
    main.write_text(revisions[0].commit)
    os.utime(main, ns=(0, 10**18))
    assert cache.index.get(["one", "nobody"])[0].commit == revisions[0].commit


def test_nothing_is_read_where_nothing_has_changed(
    make: Make, hub: DirectoryHub, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        hub.publish(make(f"net-{number}"))
    assert hub.index.count() == 5
    monkeypatch.setattr(Index, "_read", lambda self, names: pytest.fail(f"{names} are read"))
    monkeypatch.setattr(type(hub.index.source), "names", lambda self: pytest.fail("the folder is listed"))
    assert len(again(hub).index.find()) == 5
    assert hub.index.names(Query(model="elman")) == hub.names()


def test_what_is_fresh_is_read_again_until_it_has_settled(
    make: Make, cache: CacheHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.publish(make("one", seed=1))
    assert shown(cache) == truth(cache)
    reads: list[str] = []
    read = Index._read
    monkeypatch.setattr(Index, "_read", lambda self, names: reads.extend(names) or read(self, names))
    cache.index.count()
    assert reads == ["one"]
    monkeypatch.setattr(module, "SETTLED", -1)
    cache.index.count()
    reads.clear()
    cache.index.count()
    assert reads == []


def test_a_change_that_has_not_ended_is_looked_at_until_it_has(
    make: Make, cache: CacheHub, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = cache.publish(make("one", seed=1)), cache.publish(make("one", seed=2))
    assert cache.index.count() == 1
    monkeypatch.setattr(Index, "_differing", lambda self, cursor, budget: (set(), cursor))
    repository = Repository(cache.root, "one")
    with repository.locked():
        assert cache.index.names(Query(text="one")) == ["one"]
        repository.set_ref("main", old.commit)
        assert cache.index._answer(lambda: cache.index._database.entries(["one"]))[0].commit == old.commit
        repository.set_ref("main", new.commit)
    assert cache.index._answer(lambda: cache.index._database.entries(["one"]))[0].commit == new.commit
    with changing(
        cache.root, "one"
    ):  # by a process that is killed: the lock is free, and the line is missing
        assert cache.index._answer(lambda: cache.index._database.begun()) == {"one"}
        assert cache.index._answer(lambda: cache.index._database.begun()) == set()


def test_doctoring_finds_and_mends_what_is_stale(
    make: Make, cache: CacheHub, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"net-{number}" for number in range(4)]
    for name in names:
        cache.publish(make(name))
    health = cache.index.check()
    assert (health.entries, health.stale, health.damaged) == (4, 0, False)
    monkeypatch.setattr(module, "BUDGET", 0.0)
    monkeypatch.setattr(module, "SLICE", 1)
    for name in names[1:3]:
        (cache.root / f"models--{name}" / "refs" / "main").unlink()
    health = cache.index.check()
    assert (health.entries, health.stale, health.damaged) == (2, 2, False)
    assert shown(cache) == truth(cache)
    cache.index._database.close()
    (folder_of(cache.index.source) / "index.sqlite").write_bytes(b"nonsense" * 100)
    health = again(cache).index.check()
    assert (health.entries, health.stale, health.damaged) == (2, 0, True)


@pytest.mark.parametrize("damage", ["nonsense", "cut", "empty", "version", "folder"])
def test_a_damaged_file_is_made_anew(make: Make, hub: DirectoryHub, damage: str) -> None:
    for number in range(3):
        hub.publish(make(f"net-{number}"))
    assert shown(hub) == truth(hub)
    hub.index._database.close()
    file = folder_of(hub.index.source) / "index.sqlite"
    if damage == "nonsense":
        file.write_bytes(b"nonsense" * 1000)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "version":
        sqlite3.connect(file).execute("PRAGMA user_version = 99").connection.close()
    else:
        shutil.rmtree(file.parent)
    assert shown(again(hub)) == truth(hub)
    assert shown(again(hub)) == truth(hub)


def test_where_it_cannot_be_kept_it_is_kept_in_memory(
    make: Make, hub: DirectoryHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.publish(make("one"))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file"))
    fresh = again(hub)
    with pytest.warns(ZooWarning, match="cannot be kept"):
        assert shown(fresh) == truth(hub)
    hub.publish(make("two"))
    assert fresh.index.names() == ["one", "two"]


def test_a_checkpoint_that_cannot_be_read_is_listed_with_the_reason(make: Make, hub: DirectoryHub) -> None:
    hub.publish(make("good"))
    hub.publish(make("bad"))
    record = hub.resolve("bad").path / "record.json"
    where = record.resolve()
    where.write_text('{"spec": "record/1", "name": NaN}')
    bad, good = hub.index.find()
    assert (bad.name, good.name) == ("bad", "good")
    assert "record.json" in bad.problem
    assert bad.model is None
    assert good.problem == ""


def test_each_home_has_indexes_of_its_own_and_any_can_be_removed(make: Make, hub: DirectoryHub) -> None:
    from zoo.hub.caches import prune

    hub.publish(make("one"))
    assert hub.index.count() == 1
    assert [path.name for path in places().iterdir()] == [folder_of(hub.index.source).name]
    gone = prune(0, ("indexes",))
    assert [each.kind for each in gone] == ["indexes"]
    assert not list(places().iterdir())
    assert again(hub).index.count() == 1
