"""Lists of models come from an index, and say what stands in the folder at that moment."""

from __future__ import annotations

import json
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from httpx2 import Client

from zoo.hub.cache import CacheHub
from zoo.hub.index import index as module
from zoo.hub.index.index import Index
from zoo.hub.server import catalogue
from zoo.hub.server.catalogue import Catalogue, ServedSource, Wanted
from zoo.hub.server.shelf import Shelf
from zoo.hub.server.tokens import Token

if TYPE_CHECKING:
    from conftest import Make, Served


@pytest.fixture
def filled(served: Served, make: Make) -> Served:
    """Six models, of which ``lab/net-1`` is private."""
    hub = CacheHub(served.root)
    for number in range(6):
        folder = make("net", seed=number, card=f"---\ntags: [kind-{number % 2}]\n---\n# Net {number}\n")
        hub.publish(folder, f"lab/net-{number}")
    hide(served, "lab--net-1")
    return served


def hide(served: Served, folder: str, private: bool = True) -> None:
    """As other hands do: no writer of ours tells of it."""
    path = served.root / f"models--{folder}" / "about.json"
    path.write_text(json.dumps({"private": private, "created": "", "commits": {}}))


def ids(served: Served, token: str = "", **query: Any) -> list[str]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with Client(base_url=served.url, headers=headers) as client:
        return [model["id"] for model in client.get("/api/models", params=query).json()]


def names(*numbers: int) -> list[str]:
    return [f"lab/net-{number}" for number in numbers]


def test_what_is_private_is_told_to_nobody_from_the_moment_on(
    filled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids(filled) == names(0, 2, 3, 4, 5)
    assert ids(filled, filled.token) == names(0, 1, 2, 3, 4, 5)
    monkeypatch.setattr(Index, "_differing", lambda self, cursor, budget: (set(), cursor))
    monkeypatch.setattr(module, "SETTLED", -1)
    ids(filled)
    hide(filled, "lab--net-4")
    assert ids(filled) == names(0, 2, 3, 5)
    (filled.root / "models--lab--net-5" / "about.json").write_text("damaged")
    assert ids(filled) == names(0, 2, 3)
    assert ids(filled, filled.token) == names(0, 1, 2, 3, 4, 5)
    hide(filled, "lab--net-4", private=False)
    os.utime(filled.root / "models--lab--net-4" / "about.json", ns=(0, 10**18))
    assert ids(filled, filled.token)[4] == "lab/net-4"  # which looks at it
    assert ids(filled) == names(0, 2, 3, 4)


def test_what_other_hands_remove_is_not_told(filled: Served) -> None:
    assert len(ids(filled)) == 5
    shutil.rmtree(filled.root / "models--lab--net-0")
    (filled.root / "models--lab--net-2" / "refs" / "main").unlink()
    assert ids(filled) == names(3, 4, 5)
    with Client(base_url=filled.url) as client:
        assert "3 models" in client.get("/").text


def test_pages_of_what_may_be_read(filled: Served) -> None:
    with Client(base_url=filled.url) as client:
        found, address = [], "/api/models?limit=2&filter=neuroai-zoo,kind-1"
        assert client.get(address).json() == []
        address = "/api/models?limit=2"
        while address:
            answer = client.get(address)
            assert len(answer.json()) <= 2
            found += [model["id"] for model in answer.json()]
            address = answer.links.get("next", {}).get("url", "")
        assert found == names(0, 2, 3, 4, 5)
        assert client.get("/api/models?limit=2&skip=90").json() == []
        assert client.get("/api/models?gated=true").json() == []
        assert client.get("/api/models?sort=size").status_code == 400
    assert ids(filled, filter="kind-1") == names(3, 5)
    assert ids(filled, filter="kind-1", author="lab", search="NET-5") == names(5)
    assert ids(filled, author="la") == []
    assert ids(filled, search="%") == []


def test_a_short_answer_says_the_same_as_a_full_one(filled: Served) -> None:
    with Client(base_url=filled.url) as client:
        short, full = (client.get("/api/models", params={"full": full}).json() for full in ("false", "true"))
    assert [{key: model[key] for key in short[0]} for model in full] == short
    assert set(full[0]) - set(short[0]) == {"cardData", "model-index", "siblings"}


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        (None, ["b/open", "open"]),
        (Token("a", "", "", write=False), ["a/shut", "b/open", "open"]),
        (Token("c", "", "", organisations=("b",)), ["b/open", "b/shut", "open"]),
        (Token("b", "", "", admin=True), ["a/shut", "b/open", "b/shut", "open", "shut"]),
    ],
)
def test_who_may_read_what(served: Served, make: Make, token: Token | None, seen: list[str]) -> None:
    hub = CacheHub(served.root)
    for name in ("open", "shut", "a/shut", "b/open", "b/shut"):
        hub.publish(make("net"), name)
        hide(served, name.replace("/", "--"), private="shut" in name)
    found = Catalogue(Shelf(served.root))
    models, more = found.page(Wanted(token=token), "name", 0, 10)
    assert [model.name for model in models] == seen
    assert not more
    assert found.count(Wanted(token=token)) == len(seen)
    assert found.page(Wanted(token=token), "name", 0, len(seen) - 1)[1]


def test_a_hub_that_takes_long_to_read_asks_for_patience(
    filled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()
    read = ServedSource.read
    monkeypatch.setattr(ServedSource, "read", lambda self, name: going.wait() and read(self, name))
    monkeypatch.setattr(catalogue, "WAIT", 0.05)
    with Client(base_url=filled.url) as client:
        answer = client.get("/api/models")
        assert answer.status_code == 503
        assert "takes long the first time" in answer.json()["error"]
        assert client.get("/api/models/lab/net-0").status_code == 200
        going.set()
        monkeypatch.setattr(catalogue, "WAIT", 20.0)
        assert len(client.get("/api/models").json()) == 5
