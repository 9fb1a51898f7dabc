"""Publishers and readers that are killed, or get in each other's way: the index says what is on the hub."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.checks import shown, start, truth

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.cache import CacheHub
from zoo.hub.index import index as module
from zoo.hub.index.index import Index

Make = Callable[..., CheckpointFolder]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what writers tell leads to a change: no fresh file and no other look at the hub does."""
    monkeypatch.setattr(module, "SETTLED", -1)
    monkeypatch.setattr(Index, "_differing", lambda self, cursor, budget: (set(), cursor))
    monkeypatch.setattr(Index, "_seen", lambda self, ask: self._database.entries(ask()))


def states(hub: CacheHub) -> list[tuple[str, str, tuple[str, ...]]]:
    """Names, commits and tags on the disk."""
    return [(name, hub.resolve(name).commit, tuple(sorted(hub.tags(name)))) for name in sorted(hub._listed())]


def seen(hub: CacheHub) -> list[tuple[str, str, tuple[str, ...]]]:
    """The same as the index says."""
    return [(entry.name, entry.commit, entry.revisions) for entry in hub.index.find()]


@pytest.mark.parametrize("act", ["publish", "delete"])
def test_a_publisher_killed_before_each_touch_of_the_disk(
    make: Make, memory: Path, act: str, told: None
) -> None:
    hub = CacheHub(memory / "hub", "hub")
    new = make(seed=2, title="new")
    old = hub.publish(make(seed=1))
    hub.publish(make("other", seed=3))
    assert seen(hub) == states(hub)
    kills = 0
    with start("steps", act, hub.root, "cache", new.path) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for line in publisher.stdout:
            assert seen(hub) == states(hub), line
            kills += line != "done\n"
            if "tiny" not in hub.names():
                hub.publish(make(seed=1))
            elif hub.resolve("tiny").commit != old.commit:
                hub.delete("tiny", hub.resolve("tiny").commit)
            publisher.stdin.write("\n")
            publisher.stdin.flush()
    assert kills > 10
    assert shown(hub) == truth(hub)


def reader(root: Path, delay: float) -> None:
    """A process that reads the hub into the index, and is killed after so many seconds."""
    child = os.fork()
    if not child:
        try:
            module.BATCH = 3
            CacheHub(root, "hub").index.count()
        finally:
            os._exit(0)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_readers_killed_at_any_moment(make: Make, memory: Path) -> None:
    hub, chance = CacheHub(memory / "hub", "hub"), random.Random(0)
    for number in range(40):
        hub.publish(make(f"net-{number}", seed=number))
    for turn in range(40):
        reader(hub.root, chance.uniform(0, 0.08))
        if turn % 10 == 9:
            assert shown(CacheHub(hub.root, "hub")) == truth(hub)
            hub.publish(make(f"net-{turn}", seed=1000 + turn))
            hub.delete(f"net-{turn - 5}")
    health = hub.index.check()
    assert (health.entries, health.stale, health.damaged) == (36, 0, False)


def test_a_reader_beside_publishers(make: Make, memory: Path) -> None:
    hub = CacheHub(memory / "hub", "hub")
    folders = [make(f"net-{number % 3}", seed=number, title=f"number {number}").path for number in range(9)]
    publishers = [start("times", 30, hub.root, "cache", *folders[k::3]) for k in range(3)]
    counts: list[int] = []
    while any(publisher.poll() is None for publisher in publishers):
        counts.append(len(CacheHub(hub.root, "hub").index.names()))
        assert all(not entry.problem for entry in hub.index.find())
    for publisher in publishers:
        publisher.communicate()
        assert publisher.returncode == 0
    assert counts == sorted(counts)
    assert shown(hub) == truth(hub)
    assert hub.names() == ["net-0", "net-1", "net-2"]
    assert hub.index.check().stale == 0
