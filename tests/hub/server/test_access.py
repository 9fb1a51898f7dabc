"""Who may do what, with which token; and that tokens stay secret."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from httpx2 import Client, Response
from huggingface_hub.errors import HfHubHTTPError

from zoo.errors import HubError, UnknownNameError
from zoo.hub.cache import CacheHub
from zoo.hub.server import tokens
from zoo.hub.server.running import serving

if TYPE_CHECKING:
    from conftest import Make, Served

COMMIT = b"""{"key":"header","value":{"summary":"A commit"}}
{"key":"file","value":{"content":"aGk=","path":"a.txt","encoding":"base64"}}"""
WRITES: dict[str, tuple[str, str, Any]] = {
    "create": ("POST", "/api/repos/create", {"organization": "lab", "name": "new"}),
    "delete": ("DELETE", "/api/repos/delete", {"organization": "lab", "name": "net"}),
    "move": ("POST", "/api/repos/move", {"fromRepo": "lab/net", "toRepo": "lab/moved"}),
    "settings": ("PUT", "/api/models/lab/net/settings", {"visibility": "private"}),
    "preupload": ("POST", "/api/models/lab/net/preupload/main", {"files": []}),
    "commit": ("POST", "/api/models/lab/net/commit/main", COMMIT),
    "tag": ("POST", "/api/models/lab/net/tag/main", {"tag": "v2"}),
    "untag": ("DELETE", "/api/models/lab/net/tag/v1", None),
}
READS = (
    "/",
    "/lab/net",
    "/api/models",
    "/api/models/lab/net",
    "/api/models/lab/net/revision/v1",
    "/api/models/lab/net/tree/main",
    "/api/models/lab/net/refs",
    "/api/models/lab/net/commits/main",
    "/lab/net/resolve/main/README.md",
)


def ask(served: Served, token: str | None, method: str, path: str, body: Any = None) -> Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    with Client(base_url=served.url, headers=headers) as client:
        return client.request(method, path, content=content)


@pytest.fixture
def filled(served: Served, make: Make) -> Served:
    hub = CacheHub(served.root)
    for name in ("lab/net", "other/net", "plain"):
        hub.publish(make("tiny"), name, tag="v1")
    return served


@pytest.mark.parametrize("write", WRITES)
def test_only_those_who_may_write_do(filled: Served, write: str) -> None:
    before = {path: path.read_bytes() for path in filled.root.rglob("models--*/refs/*")}
    own = filled.add_token("lab-member", organisations=("lab",))
    refused = {
        "nobody": (None, 401),
        "a wrong token": ("zoo_" + "x" * 43, 401),
        "a reader": (filled.add_token("reader", write=False, organisations=("lab",)), 403),
        "another organisation": (filled.add_token("other"), 403),
    }
    for who, (token, status) in refused.items():
        answer = ask(filled, token, *WRITES[write])
        assert answer.status_code == status, who
        assert answer.json()["error"].endswith((".", "/")) or status == 401
    assert {path: path.read_bytes() for path in filled.root.rglob("models--*/refs/*")} == before
    assert ask(filled, own, *WRITES[write]).status_code == 200


def test_pushing_to_what_is_there_without_a_token_is_refused_as_such(filled: Served) -> None:
    """The client asks to create it first, and would stumble over a refusal of that."""
    body = {"organization": "lab", "name": "net"}
    for token, status in ((None, 401), (filled.add_token("stranger"), 403)):
        assert ask(filled, token, "POST", "/api/repos/create", body).status_code == 409
        api = filled.client(token or False)
        api.create_repo("lab/net", exist_ok=True)
        with pytest.raises(HfHubHTTPError) as problem:
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="lab/net")
        assert problem.value.response.status_code == status
    ask(filled, filled.token, "PUT", "/api/models/lab/net/settings", {"visibility": "private"})
    assert ask(filled, None, "POST", "/api/repos/create", body).status_code == 401


def test_a_name_of_ones_own_and_names_without_an_organisation(filled: Served) -> None:
    anna = filled.add_token("anna")
    made = ask(filled, anna, "POST", "/api/repos/create", {"name": "net"})
    assert made.json()["url"] == f"{filled.url}/anna/net"
    gone = ask(filled, anna, "DELETE", "/api/repos/delete", {"name": "plain"})
    assert gone.status_code == 403
    moved = ask(filled, anna, "POST", "/api/repos/move", {"fromRepo": "anna/net", "toRepo": "lab/stolen"})
    assert moved.status_code == 403
    taken = ask(filled, anna, "POST", "/api/repos/move", {"fromRepo": "lab/net", "toRepo": "anna/stolen"})
    assert taken.status_code == 403
    assert ask(filled, filled.token, "DELETE", "/api/repos/delete", {"name": "plain"}).status_code == 200


@pytest.mark.parametrize("path", READS)
def test_anyone_reads_what_is_public_but_not_with_a_wrong_token(filled: Served, path: str) -> None:
    assert ask(filled, None, "GET", path).status_code == 200
    wrong = ask(filled, "zoo_wrong", "GET", path)
    assert wrong.status_code == 401
    assert wrong.headers["X-Error-Message"] == "Invalid credentials in Authorization header"


@pytest.mark.parametrize("path", READS)
def test_a_private_model_is_hidden_from_strangers(filled: Served, path: str) -> None:
    ask(filled, filled.token, "PUT", "/api/models/lab/net/settings", {"visibility": "private"})
    stranger, member = filled.add_token("stranger"), filled.add_token("lab2", organisations=("lab",))
    missing = path.replace("lab/net", "lab/missing")
    for token in (None, stranger):
        answer, nothing = ask(filled, token, "GET", path), ask(filled, token, "GET", missing)
        assert "lab/net" not in answer.text.replace("There is no model lab/net", "")
        if "lab" in path:
            assert answer.status_code == 404
            assert answer.text.replace("lab/net", "lab/missing") == nothing.text
    assert ask(filled, member, "GET", path).status_code == 200
    assert "lab/net" in ask(filled, member, "GET", "/api/models").text


def test_damaged_facts_hide_a_model_and_lose_nothing(filled: Served) -> None:
    for damage in ("", "[]", "{", '{"private": 3, "commits": 7}', "[" * 100_000, '{"private": NaN}'):
        (filled.root / "models--lab--net" / "about.json").write_text(damage)
        assert ask(filled, None, "GET", "/lab/net/resolve/main/README.md").status_code == 404
        assert ask(filled, filled.token, "GET", "/lab/net/resolve/main/README.md").status_code == 200
        assert ask(filled, filled.token, "GET", "/api/models/lab/net/commits/main").status_code == 200
    (filled.root / "models--lab--net" / "about.json").unlink()
    assert ask(filled, None, "GET", "/lab/net/resolve/main/README.md").status_code == 200


def test_a_private_hub_tells_nothing_without_a_token(filled: Served) -> None:
    reader = filled.add_token("reader", write=False)
    with serving(filled.root, private=True) as url:
        for path in READS:
            with Client(base_url=url) as client:
                assert client.get(path).status_code == 401
                assert client.get(path, headers={"Authorization": f"Bearer {reader}"}).status_code == 200
                assert client.get("/health").text == "ok\n"


def test_without_any_token_a_hub_is_for_reading_and_says_how_to_make_one(memory: Path, make: Make) -> None:
    root = memory / "new"
    with serving(root) as url, Client(base_url=url) as client:
        answer = client.post("/api/repos/create", json={"organization": "lab", "name": "net"})
        assert answer.status_code == 403
        assert "zoo token add" in answer.json()["error"]
        secret = tokens.add(root, "lab", write=True, admin=False, organisations=())
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"organization": "lab", "name": "net"}
        assert client.post("/api/repos/create", json=body, headers=headers).status_code == 200
        tokens.remove(root, "lab")
        assert client.get("/api/models", headers=headers).status_code == 401


def test_a_secret_is_kept_nowhere(filled: Served, caplog: pytest.LogCaptureFixture) -> None:
    path = filled.root / tokens.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(filled.token) > 40
    ask(filled, filled.token, *WRITES["commit"])
    ask(filled, filled.token, "GET", "/nothing/here/at/all")
    ask(filled, f"{filled.token}x", "GET", "/api/models")
    everything = b"".join(path.read_bytes() for path in filled.root.rglob("*") if path.is_file())
    assert filled.token.encode() not in everything
    assert filled.token[4:] not in caplog.text


def test_tokens_are_made_and_taken_back(tmp_path: Path) -> None:
    def make(name: str, **options: Any) -> str:
        return tokens.add(tmp_path, name, **{"write": True, "admin": False, "organisations": (), **options})

    secrets = {make(f"member-{number}") for number in range(3)}
    assert len(secrets) == 3
    with pytest.raises(HubError, match="already"):
        make("member-1")
    for name in ("a/b", "A", "", "../x", "a" * 200):
        with pytest.raises((HubError, UnknownNameError)):
            make(name)
    with pytest.raises(UnknownNameError, match="member-1"):
        tokens.remove(tmp_path, "member-l")
    tokens.remove(tmp_path, "member-1")
    assert [token.name for token in tokens.read(tmp_path)] == ["member-0", "member-2"]


def test_tokens_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    def make(number: int) -> str:
        return tokens.add(tmp_path, f"member-{number}", write=True, admin=False, organisations=())

    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(make, range(24)))
    known = tokens.read(tmp_path)
    assert len(known) == 24
    assert all(tokens.holder(known, secret) for secret in secrets)


@pytest.mark.parametrize("damage", ["", "[]", '{"tokens": 3}', '{"tokens": [{"name": 1}]}', "[" * 100_000])
def test_a_damaged_file_of_tokens_lets_nobody_in(served: Served, damage: str) -> None:
    (served.root / tokens.FILE).write_text(damage)
    answer = ask(served, served.token, *WRITES["create"])
    assert answer.status_code == 503
    assert "Traceback" not in answer.text
    with pytest.raises(HubError, match="damaged"):
        tokens.read(served.root)
