"""Publishers to a store that are killed, or get in each other's way: what was published stays valid."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import HubError
from zoo.hub.manifest import Manifest
from zoo.hub.objects import ObjectHub

Make = Callable[..., CheckpointFolder]
PUBLISHER = Path(__file__).with_name("object_publisher.py")


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def hub(request: pytest.FixtureRequest, memory: Path) -> ObjectHub:
    return ObjectHub(f"file://{memory}/hub" if request.param == "file" else request.getfixturevalue("s3"))


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(PUBLISHER), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def check_store(hub: ObjectHub) -> int:
    """Every revision that the store shows is whole, read from the store itself; how many there are."""
    count = 0
    there = {path: hub.store.read(path, bytes) for path in hub.store.listing("")}
    for name in hub.names():
        top = f"models--{name}"
        listed = [path for path in there if path.startswith(f"{top}/snapshots/")]
        for path in listed:
            data = there[path]
            assert data is not None
            manifest = Manifest.parse(data, Path(path).stem)
            for entry in manifest.files.values():
                blob = there[f"{top}/blobs/{entry.sha256}"]
                assert blob is not None
                assert (len(blob), hashlib.sha256(blob).hexdigest()) == (entry.size, entry.sha256)
            count += 1
        for ref in (path for path in there if path.startswith(f"{top}/refs/")):
            assert f"{top}/snapshots/{(there[ref] or b'').decode()}.json" in listed
    return count


def leftovers(hub: ObjectHub) -> set[str]:
    """Objects that are of no use."""
    there = set(hub.store.listing(""))
    for name in hub.names():
        repository = hub._repository(name)
        there -= {f"{repository.folder}/refs/{ref}" for ref in ("main", *repository.tags())}
        for commit in repository.commits():
            manifest = repository.manifest(commit)
            assert manifest is not None
            there -= {f"{repository.folder}/snapshots/{commit}.json"}
            there -= {f"{repository.folder}/blobs/{digest}" for digest in manifest.digests}
    return there


def test_killed_before_each_request_while_publishing(hub: ObjectHub, make: Make) -> None:
    old, new = make(seed=1), make(seed=2)
    first = hub.publish(old)
    seen, last = [], 0
    with start("steps", hub.where, new.path) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for line in publisher.stdout:
            assert 1 <= check_store(hub) <= 2
            now = hub.fetch("tiny").contents()
            assert now in (old.contents(), new.contents())
            if now == new.contents():
                seen.append(line)
            assert hub.prune() == 0, "nothing is old enough"
            hub.prune(age=0)
            assert not leftovers(hub)
            for revision in hub.revisions("tiny"):
                if revision.commit != first.commit:
                    hub.delete("tiny", revision.commit)
            assert hub.fetch("tiny").contents() == old.contents()
            assert not leftovers(hub)
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            if line == "done\n":
                break
            last = int(line)
        publisher.stdin.close()
    assert publisher.returncode == 0
    assert last >= 10
    assert seen[-1] == "done\n"


def test_killed_before_each_request_while_publishing_first(hub: ObjectHub, make: Make) -> None:
    made = make(seed=1)
    with start("steps", hub.where, made.path) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for line in publisher.stdout:
            assert check_store(hub) == len(hub.names()) <= 1
            hub.publish(made, tag="v1")
            assert check_store(hub) == 1
            hub.prune(age=0)
            assert not leftovers(hub)
            hub.delete("tiny")
            assert not hub.store.listing("")
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            if line == "done\n":
                break
        publisher.stdin.close()
    assert publisher.returncode == 0


@pytest.mark.slow
def test_killed_at_any_moment(hub: ObjectHub, make: Make) -> None:
    """As above, in the middle of a request, too."""
    made = [make(seed=seed, hidden=150) for seed in range(12)]
    hub.publish(made[0])
    allowed = [folder.contents() for folder in made]
    with start("moments", 100, hub.where, *(folder.path for folder in made)) as publisher:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        for _ in publisher.stdout:
            check_store(hub)
            assert hub.fetch("tiny").contents() in allowed
            publisher.stdin.write("\n")
            publisher.stdin.flush()
        publisher.stdin.close()
    assert publisher.returncode == 0
    hub.prune(age=0)
    assert not leftovers(hub)
    assert check_store(hub) > 6, "most were finished some time"


def test_four_publish_and_two_read_the_same_names(hub: ObjectHub, make: Make, memory: Path) -> None:
    names, stop = ("one", "two", "three"), memory / "stop"
    made = [make(name, seed=seed) for seed in range(4) for name in names]
    for folder in made[:3]:
        hub.publish(folder)
    readers = [start("read", stop, hub.where, *names) for _ in range(2)]
    order = random.Random(1)
    writers = [
        start("times", 8, hub.where, *(folder.path for folder in order.sample(made, len(made))))
        for _ in range(4)
    ]
    try:
        assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    finally:
        stop.touch()
    verified = [int(reader.communicate(timeout=60)[0]) for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0]
    assert all(count > 10 for count in verified)
    for writer in writers:
        writer.communicate()
    assert hub.names() == sorted(names)
    assert check_store(hub) == 12
    hub.prune(age=0)
    assert not leftovers(hub)


def test_of_four_that_follow_one_commit_one_does(s3: str, make: Make) -> None:
    """A condition of S3: the others are refused, and leave nothing that can be seen."""
    hub = ObjectHub(s3)
    before = hub.publish(make(seed=9)).commit
    answers = race(hub, [(before, None, make(seed=seed)) for seed in range(4)])
    won = [answer for answer in answers if len(answer) == 40]
    assert won == [hub.resolve("tiny").commit]
    assert sum("somebody else has published tiny" in answer for answer in answers) == 3
    assert {revision.commit for revision in hub.revisions("tiny")} == {before, *won}


def test_of_four_that_set_one_tag_one_does(s3: str, make: Make) -> None:
    hub = ObjectHub(s3)
    answers = race(hub, [(None, "v1", make(seed=seed)) for seed in range(4)])
    won = [answer for answer in answers if len(answer) == 40]
    assert won == [hub.tags("tiny")["v1"]]
    assert sum("a tag never moves" in answer for answer in answers) == 3
    assert [revision.commit for revision in hub.revisions("tiny")] == won


def race(hub: ObjectHub, runs: list[tuple[str | None, str | None, CheckpointFolder]]) -> list[str]:
    """The commits or errors of publishers who begin at once, each with a parent, a tag and a checkpoint."""
    begin = threading.Barrier(len(runs))

    def publish(run: tuple[str | None, str | None, CheckpointFolder]) -> str:
        parent, tag, folder = run
        begin.wait()
        try:
            return hub.publish(folder, tag=tag, parent=parent).commit
        except HubError as problem:
            return str(problem)

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(publish, runs))
