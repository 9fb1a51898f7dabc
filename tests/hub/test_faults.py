"""A network that fails, processes that are killed: what is there is whole, and nothing is left over."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.checks import check_all, leftovers, start
from hub.faulty import FAULTS, serving_faulty
from huggingface_hub import constants

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import ZooError
from zoo.hub import fetch, open_hub
from zoo.hub.cache import CacheHub
from zoo.hub.caches import prune
from zoo.hub.huggingface import TOKEN, HuggingFaceHub
from zoo.hub.plain import FolderHub
from zoo.hub.server.running import serving
from zoo.placing import PREFIX

Make = Callable[..., CheckpointFolder]
Served = Any


@pytest.fixture
def hub(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(TOKEN, served.token)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    logging.disable()  # the client and the server tell of each fault
    yield
    logging.disable(logging.NOTSET)


def check_cache(cache: Path) -> int:
    """Every file that was fetched is what its name says; how many there are."""
    links = [path for path in cache.rglob("snapshots/*/*") if not path.name.endswith(".new")]
    for link in links:
        digest = hashlib.sha256(link.read_bytes()).hexdigest()
        assert digest == os.path.basename(os.readlink(link))
        listed = CheckpointFolder(link.parent).record.files if link.name != "README.md" else {}
        if link.name in listed:
            assert digest == listed[link.name].sha256
    return len(links)


@pytest.mark.parametrize(
    "rounds", [60, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_a_network_that_fails(hub: None, make: Make, served: Served, tmp_path: Path, rounds: int) -> None:
    made = [make(f"net-{k % 3}", members=2, seed=k) for k in range(6)]
    allowed = [{n: d for n, d in folder.contents().items() if n != "README.md"} for folder in made]
    dice, outcomes = random.Random(1), Counter[str]()
    with serving_faulty(served.root, seed=2, share=0.2) as (url, faulty):
        for _ in range(rounds):
            folder = dice.choice(made)
            address = f"{url}/lab/{folder.record.name}"
            act = dice.choice(("publish", "publish", "pull", "read", "prune"))
            try:
                if act == "publish":
                    HuggingFaceHub(url, "lab").publish(folder)
                elif act == "pull":
                    zoo.pull(address)
                elif act == "read":
                    fetch(address).read("model-1.safetensors")
                else:
                    prune(kinds=("checkpoints",))
                outcomes[f"{act} done"] += 1
            except ZooError as problem:
                outcomes[f"{act} refused"] += 1
                text = str(problem)
                assert re.search(r"[.:] [A-Z].*", text), f"says what to do next: {text}"
                assert len(text) < 1200
                assert served.token not in text
            check_cache(tmp_path / "cache")
    print(dict(outcomes), dict(faulty.happened))
    assert set(faulty.happened) == set(FAULTS)
    assert outcomes["publish done"] > rounds // 10
    with serving(served.root) as url:
        for folder in made:
            HuggingFaceHub(url, "lab").publish(folder)
        for revision in zoo.pull(f"{url}/lab/*"):
            got = fetch(f"local:{revision.name}").contents()
            got.pop("README.md")
            assert got in allowed
    for store in (CacheHub(served.root), open_hub("local")):
        assert check_all(store) >= 3
        assert not list(leftovers(store))
    prune(kinds=("leftovers",))
    assert not [
        path for path in (tmp_path / "cache").rglob("*") if "stage" in path.name or ".new" in path.name
    ]


def test_a_full_disk(
    hub: None, make: Make, served: Served, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the cache, and then in the local hub: one clear error, and nothing half-written."""
    made = make("large", members=6, hidden=150)  # 600 kB of the disk's megabyte
    HuggingFaceHub(served.url, "lab").publish(made)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(small_disk / "cache"))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(800_000))
    with pytest.raises(ZooError, match="No space left on device"):
        zoo.pull(f"{served.url}/lab/large")
    assert 0 < check_cache(small_disk / "cache") < 8, "some of it, each whole"
    filler.unlink()
    monkeypatch.setenv("ZOO_HOME", str(small_disk / "home"))
    with pytest.raises(ZooError, match="The disk is full: free some space"):
        zoo.pull(f"{served.url}/lab/large")
    assert open_hub("local").names() == []
    assert not [path for path in small_disk.rglob("*") if PREFIX in path.name]
    monkeypatch.setenv("ZOO_HOME", str(small_disk.parent / "home"))
    assert [revision.name for revision in zoo.pull(f"{served.url}/lab/large")] == ["lab/large"]


@pytest.mark.parametrize(
    "kills", [25, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize("what", ["pull", "push", "registry"])
def test_killed_at_any_moment(
    hub: None,
    make: Make,
    served: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    kills: int,
) -> None:
    """While pulling and pruning the cache, while pushing to a server, while updating plain folders."""
    made = [make(f"net-{k % 4}", seed=k, members=2) for k in range(8)]
    server = HuggingFaceHub(served.url, "lab")
    for folder in made[:4]:
        server.publish(folder)
    registry = FolderHub(tmp_path / "registry")
    arguments = {
        "pull": (served.url,),
        "push": (served.url, *(folder.path for folder in made)),
        "registry": (tmp_path / "registry", *(folder.path for folder in made)),
    }[what]
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))  # of the child
    with start("killed", kills, what, *arguments) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for count, _ in enumerate(child.stdout, 1):
            if count % 5 == 0:
                check_cache(tmp_path / "cache")
                check_all(CacheHub(served.root))
                check_all(open_hub("local"))
            child.stdin.write("\n")
            child.stdin.flush()
        child.stdin.close()
    assert child.returncode == 0
    assert count == kills
    for folder in made[:4]:
        server.publish(folder)
        registry.publish(folder)
    zoo.pull(f"{served.url}/lab/*")
    prune(kinds=("checkpoints",))
    for store in (CacheHub(served.root), open_hub("local"), registry):
        assert check_all(store) >= 4
        assert not list(leftovers(store))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() or "stage" in path.name]
