"""Lists of what is on hubs, with and without an index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import HubError, ZooError, ZooWarning
from zoo.hub.cache import CacheHub
from zoo.hub.index.query import Query
from zoo.hub.listing import entries, find
from zoo.hub.lookup import hubs, open_hub
from zoo.hub.objects import ObjectHub
from zoo.hub.plain import FolderHub

Make = Callable[..., CheckpointFolder]


def test_filters_over_all_hubs(make: Make) -> None:
    zoo.publish(make("mine", tags=["lorenz"], members=2).path)
    zoo.publish("dsa-rnn-flipflop")
    assert {entry.name for entry in entries("dsa-*", task="sine")} == {"dsa-gru-sine", "dsa-rnn-sine"}
    assert [entry.name for entry in entries(tag="lorenz", hub="local")] == ["mine"]
    assert {entry.task for entry in entries(kind="flip-flop")} == {"flip-flop"}
    assert {entry.paper for entry in entries(paper="fastdsa")} == {"fastdsa"}
    assert [entry.name for entry in entries(text="TINY elman")] == ["mine"]
    assert [entry.name for entry in entries(metric=["test/mse<0.4", "test/mse>0.2"])] == ["mine"]
    assert entries(metric="test/mse<0.3") == []
    assert len(entries(limit=3)) == 3
    assert [entry.name for entry in entries(["*flipflop", "!dsa-gru*", "!dsa-l*", "!*relu*"])] == [
        "dsa-rnn-flipflop"
    ]


def test_a_name_on_two_hubs_is_shown_once(make: Make) -> None:
    zoo.publish("dsa-rnn-flipflop")
    names, found = find(Query(names=("dsa-rnn-flipflop",)), hubs())
    assert names == ["dsa-rnn-flipflop"]
    assert [each.hubs for each in found] == [("local", "registry")]
    assert found[0].entry.hub == "local"
    assert found[0].entry.commit == open_hub("local").resolve("dsa-rnn-flipflop").commit


def test_of_a_hub_without_an_index_only_names_are_known(make: Make) -> None:
    hub = ObjectHub("memory://listing", "store")
    hub.publish(make("net-1"))
    names, found = find(Query(names=("net-*",)), [hub])
    assert names == ["net-1"]
    assert (found[0].entry.model, found[0].hubs) == (None, ("store",))
    assert find(Query(model="elman"), [hub]) == ([], [])
    hub.delete("net-1")


def test_a_hub_that_does_not_answer_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_HUBS", "https://127.0.0.1:9")
    with pytest.warns(ZooWarning, match="names on .* are missing"):
        assert "dsa-rnn-sine" in {entry.name for entry in entries()}


def test_bad_questions_are_refused(make: Make) -> None:
    with pytest.raises(ZooError, match="Bounds look like"):
        entries(metric="loss")
    with pytest.raises(HubError, match="there is no hub"):
        entries(hub="nowhere")


def test_the_form_of_a_directory_is_seen_without_a_look_at_all_of_it(
    make: Make, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in (("cache", CacheHub), ("plain", FolderHub)):
        for number in range(3):
            kind(memory / name).publish(make(f"net-{number}"))
        assert type(open_hub(memory / name)) is kind
    (memory / "cache" / "net").mkdir()
    (memory / "cache" / "net" / "record.json").write_text("{}")
    assert type(open_hub(memory / "cache")) is CacheHub
    assert type(open_hub(memory / "none")) is CacheHub


def test_publishing_asks_after_no_other_name(
    make: Make, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hub in (CacheHub(memory / "cache"), FolderHub(memory / "plain")):
        hub.publish(make("one", card=None))
        for called in ("_listed", "names"):
            monkeypatch.setattr(type(hub), called, lambda self: pytest.fail("all names are listed"))
        hub.publish(make("two", card=None))
        hub.publish(make("one", card=None, seed=2), parent=hub.resolve("one").commit)
