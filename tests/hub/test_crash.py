"""Publishers that are killed, or get in each other's way: what was published stays valid."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.checks import check_all, leftovers, start

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.base import DirectoryHub
from zoo.hub.cache import CacheHub
from zoo.hub.plain import FolderHub

Make = Callable[..., CheckpointFolder]


def hub_of(root: Path, form: str) -> DirectoryHub:
    return CacheHub(root, "hub") if form == "cache" else FolderHub(root, "hub")


@pytest.mark.parametrize("form", ["cache", "plain", "fallback"])
def test_killed_before_each_touch_of_the_disk_while_publishing(make: Make, memory: Path, form: str) -> None:
    hub = hub_of(memory / "hub", form)
    old, new, other = make(seed=1), make(seed=2), make("other", seed=3)
    hub.publish(old)
    allowed = [old.contents(), new.contents()]
    seen = []
    with start("steps", "publish", hub.root, form, new.path) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for line in publisher.stdout:
            if form == "fallback":  # its moment without the folder ends with the next writer
                hub.publish(other)
            check_all(hub)
            now = hub.fetch("tiny").contents()
            assert now in allowed
            if now == allowed[1]:
                seen.append(line)
            hub.publish(other)
            if form != "cache":
                assert not list(leftovers(hub))
            hub.publish(old)
            assert not list(leftovers(hub))
            assert hub.fetch("tiny").contents() == allowed[0]
            if form == "cache" and hub.tags("tiny"):
                hub.delete("tiny", "v1")
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            if line == "done\n":
                break
            last = int(line)
        publisher.stdin.close()
    assert publisher.returncode == 0
    assert last > 20, "so many times is the disk touched"
    assert seen[-1] == "done\n"


@pytest.mark.parametrize("form", ["cache", "plain"])
def test_killed_before_each_touch_of_the_disk_while_publishing_first(
    make: Make, memory: Path, form: str
) -> None:
    hub, made = hub_of(memory / "hub", form), make(seed=1)
    with start("steps", "publish", hub.root, form, made.path) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for line in publisher.stdout:
            assert check_all(hub) == len(hub.names()) <= 1
            hub.publish(made, tag="v1" if form == "cache" else None)
            assert not list(leftovers(hub))
            assert check_all(hub) == 1
            hub.delete("tiny")
            assert hub.names() == []
            assert not list(leftovers(hub))
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            if line == "done\n":
                break
        publisher.stdin.close()
    assert publisher.returncode == 0


@pytest.mark.parametrize("form", ["cache", "plain"])
def test_killed_before_each_touch_of_the_disk_while_deleting(make: Make, memory: Path, form: str) -> None:
    hub, made, other = hub_of(memory / "hub", form), make(seed=1), make("other")
    hub.publish(made)
    with start("steps", "delete", hub.root, form, made.path) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for line in publisher.stdout:
            assert check_all(hub) in (0, 1), "all of it or nothing"
            hub.publish(other)
            assert not list(leftovers(hub))
            hub.delete("other")
            hub.publish(made)
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            if line == "done\n":
                break
        publisher.stdin.close()
    assert publisher.returncode == 0


@pytest.mark.parametrize("form", ["cache", "plain"])
def test_killed_at_any_moment(make: Make, memory: Path, form: str) -> None:
    """As above, in the middle of writing a file, too."""
    hub = hub_of(memory / "hub", form)
    made = [make(seed=seed, hidden=150) for seed in range(12)]
    hub.publish(made[0])
    allowed = [folder.contents() for folder in made]
    with start("moments", 25, hub.root, form, *(folder.path for folder in made)) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for _ in publisher.stdout:
            check_all(hub)
            assert hub.fetch("tiny").contents() in allowed
            publisher.stdin.write("\n")
            publisher.stdin.flush()
        publisher.stdin.close()
    assert publisher.returncode == 0
    hub.publish(made[0])
    assert not list(leftovers(hub))
    check_all(hub)


@pytest.mark.parametrize("form", ["cache", "plain"])
@pytest.mark.parametrize(
    ("publishers", "times", "loaders"),
    [(4, 15, 2), pytest.param(8, 50, 8, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_many_publish_and_load_the_same_names(
    make: Make, memory: Path, form: str, publishers: int, times: int, loaders: int
) -> None:
    hub, names = hub_of(memory / "hub", form), ("one", "two", "three")
    made = [make(name, seed=seed) for seed in range(5) for name in names]
    for folder in made[:3]:
        hub.publish(folder)
    readers = [start("read", hub.root, form, *names) for _ in range(loaders)]
    order = random.Random(1)
    writers = [
        start("times", times, hub.root, form, *(folder.path for folder in order.sample(made, len(made))))
        for _ in range(publishers)
    ]
    assert [writer.wait(timeout=600) for writer in writers] == [0] * publishers
    (memory / "stop").touch()
    verified = [int(reader.communicate(timeout=60)[0]) for reader in readers]
    assert [reader.returncode for reader in readers] == [0] * loaders
    print(f"{publishers * times} publishes, {sum(verified)} files verified while they went on")
    assert all(count > 30 for count in verified)
    for writer in writers:
        writer.communicate()
    assert hub.names() == sorted(names)
    assert check_all(hub) == (15 if form == "cache" else 3)
    assert not list(leftovers(hub))
