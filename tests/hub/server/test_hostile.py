"""Requests that no honest client makes: each is refused in a sentence, and nothing is touched by it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from httpx2 import Client, Response
from hypothesis import given
from hypothesis import strategies as st

from zoo.hub.cache import CacheHub
from zoo.hub.card_check import problems
from zoo.hub.server import tokens
from zoo.hub.server.app import application
from zoo.hub.server.cards import card_of, dumps
from zoo.hub.server.limits import Limits
from zoo.hub.server.paths import check_path, check_together
from zoo.hub.server.refusals import RefusedError
from zoo.hub.server.running import serving

if TYPE_CHECKING:
    from conftest import Make, Served

BAD_PATHS = (
    "",
    ".",
    "..",
    "../a",
    "a/../b",
    "/etc/passwd",
    "a//b",
    "a/",
    "./a",
    "a/.",
    "C:/a",
    "C:a",
    "a\\b",
    "\\\\host\\a",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\u202eb",
    "a\u200bb",
    "\ufeffa",
    "e\u0301",
    "\u212b",
    "a\ud800",
    "a\u00a0b",
    "con",
    "a/NUL.txt",
    "com1",
    "aux.tar.gz",
    ".git/config",
    "a/.GIT/hooks/x",
    ".zoo-stage-1/x",
    "a ",
    " a",
    "a.",
    "a?b",
    "a*",
    'a"b',
    "<a>",
    "a|b",
    "a" * 201,
    "a/" * 16 + "a",
    "aaaaaaaaa/" * 60 + "a",
    7,
    None,
    ["a"],
    {"a": 1},
)
GOOD_PATHS = (
    "README.md",
    ".gitattributes",
    "model-3-at-64.safetensors",
    "a/b c/d.json",
    "übung/κ.txt",
    "日本.bin",
    "a..b",
    "console.txt",
    "a" * 200,
)
HEADER = {"key": "header", "value": {"summary": "A commit"}}


def added(path: object, content: str = "aGk=", **more: object) -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "base64", **more}}


def lines(*documents: object) -> bytes:
    return b"\n".join(json.dumps(document).encode() for document in documents)


def state(root: Path) -> dict[str, bytes]:
    """Every file of a hub but its locks, by path."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    }


@pytest.fixture
def filled(served: Served, make: Make) -> Served:
    CacheHub(served.root).publish(make("tiny"), "lab/net")
    return served


@pytest.fixture
def client(filled: Served) -> Iterator[Client]:
    with Client(base_url=filled.url, headers={"Authorization": f"Bearer {filled.token}"}) as client:
        yield client


def commit(client: Client, body: bytes | str) -> Response:
    return client.post("/api/models/lab/net/commit/main", content=body)


def is_a_sentence(answer: Response, *statuses: int) -> bool:
    message = answer.json()["error"]
    return answer.status_code in statuses and len(message) > 20 and "Traceback" not in answer.text


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_paths_that_lead_elsewhere_or_mean_something_else(path: object) -> None:
    with pytest.raises(RefusedError) as problem:
        check_path(path)
    assert problem.value.status == 400
    assert problem.value.message.isprintable()


@pytest.mark.parametrize("path", GOOD_PATHS)
def test_paths_that_are_fine(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "paths", [("a", "A"), ("a", "a/b"), ("x/a", "X/b"), ("straße", "STRASSE"), ("A/b", "a")], ids=str
)
def test_paths_that_do_not_fit_into_one_folder(paths: tuple[str, ...]) -> None:
    check_together(["a/b", "a/c", "b"])
    with pytest.raises(RefusedError):
        check_together(paths)


def test_no_bad_path_is_committed(filled: Served, client: Client) -> None:
    before = state(filled.root)
    for path in BAD_PATHS:
        for step in (added(path), {"key": "deletedFile", "value": {"path": path}}):
            assert is_a_sentence(commit(client, lines(HEADER, added("fine.txt"), step)), 400), path
    for paths in (("b", "B"), ("record.json/x",), ("Readme.md",)):
        assert is_a_sentence(commit(client, lines(HEADER, *map(added, paths))), 400)
    assert state(filled.root) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\n\n", 400),
        (b"not json", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (lines(added("a")), 400),
        (lines(HEADER, HEADER, {"key": "file", "value": 3}), 400),
        (lines(HEADER, {"key": "file"}), 400),
        (lines(HEADER, {"key": "mystery", "value": {"path": "a"}}), 400),
        (lines(HEADER, added("a", "a")), 400),
        (lines(HEADER, added("a", "====")), 400),
        (lines(HEADER, added("a", "aGk=aGk=")), 400),
        (lines(HEADER, added("a", "a\\b")), 400),
        (lines(HEADER, added("a", encoding="utf-8")), 400),
        (lines(HEADER, {"key": "file", "value": {"path": "a"}}), 400),
        (lines(HEADER, {"key": "file", "value": {"path": "a", "more": {"content": "aGk="}}}), 400),
        (lines(HEADER, {"key": "lfsFile", "value": {"path": "a", "oid": "../../x"}}), 400),
        (lines(HEADER, {"key": "lfsFile", "value": {"path": "a", "oid": "0" * 64}}), 400),
        (lines(HEADER, {"key": "deletedFile", "value": {"path": "missing"}}), 404),
        (lines(HEADER, {"key": "deletedFolder", "value": {"path": "missing"}}), 404),
        (lines(HEADER, {"key": "deletedFolder", "value": {"path": "/"}}), 400),
        (lines({"key": "header", "value": {"summary": ["a"]}}, added("a")), 400),
        (lines({"key": "header", "value": {"summary": "a", "parentCommit": "f" * 40}}, added("a")), 412),
        (b'{"key":"header","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"key":"header","value":{"summary":"a","x":' + b"9" * 100_000 + b"}}", 400),
        (b'{"key":"header","value":{"summary":"a","x":NaN}}', 400),
        (b'{"key":"header","key":"file","value":{}}', 400),
        (lines(HEADER, added("a")).replace(b"aGk=", b"aGk=", 1)[:-9], 400),
        (b'{"key":"header","value":{"summary":"\\ud800"}}', 400),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_commits_that_are_none(filled: Served, client: Client, body: bytes, status: int) -> None:
    before = state(filled.root)
    assert is_a_sentence(commit(client, body), status)
    assert state(filled.root) == before


def test_a_commit_of_many_pieces_is_put_together(filled: Served, client: Client) -> None:
    """Larger than what is kept in memory, and not a whole number of pieces of base64."""
    for size in (3 * 2**18, 3 * 2**18 + 1, 2_500_001):
        content = os.urandom(size)
        body = lines(HEADER, added("big.bin", base64.b64encode(content).decode()), added("small.txt"))
        assert commit(client, body).status_code == 200
        assert client.get("/lab/net/resolve/main/big.bin").content == content
    assert not list(filled.root.rglob(".zoo-stage-*"))


def test_limits_are_kept(filled: Served, memory: Path) -> None:
    limits = Limits(file=2**20, commit=2 * 2**20, document=2**20, operations=5, files=10)
    headers = {"Authorization": f"Bearer {filled.token}"}
    before = state(filled.root)
    with serving(filled.root, limits=limits) as url, Client(base_url=url, headers=headers) as client:
        too_large = lines(HEADER, added("a", base64.b64encode(b"x" * (2**20 + 5)).decode()))
        assert is_a_sentence(commit(client, too_large), 413)
        assert is_a_sentence(commit(client, b"\n" * (2 * 2**20 + 1)), 413)
        assert is_a_sentence(commit(client, lines(HEADER, *(added(f"{n}") for n in range(6)))), 413)
        assert is_a_sentence(commit(client, b'{"key":"' + b"x" * (2**20 + 1) + b'"}'), 413)
        assert commit(client, lines(HEADER, *(added(f"{n}") for n in range(5)))).status_code == 200
        assert is_a_sentence(commit(client, lines(HEADER, *(added(f"more-{n}") for n in range(5)))), 413)
        chunked = client.post("/api/validate-yaml", content=iter([b"x" * 2**19] * 3))
        assert is_a_sentence(chunked, 413)
        files = [{"path": "a", "size": 2**20 + 1}]
        asked = client.post("/api/models/lab/net/preupload/main", json={"files": files})
        assert is_a_sentence(asked, 413)
    assert set(before) <= set(state(filled.root)) | {"models--lab--net/refs/main"}


def test_a_body_that_does_not_come_is_not_waited_for(filled: Served) -> None:
    request = "POST /api/models/lab/net/commit/main HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
    request += f"Authorization: Bearer {filled.token}\r\n\r\n{{"
    with serving(filled.root, limits=Limits(silence=0.2)) as url:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408")


def test_every_answer_has_safe_headers(filled: Served, client: Client) -> None:
    file = "/lab/net/resolve/main/README.md"
    for path in ("/", "/lab/net", "/health", "/api/models", file, "/missing", "/a/b/c/d"):
        for method in ("GET", "HEAD", "POST", "DELETE"):
            headers = client.request(method, path).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; frame-ancestors 'none'")
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "Server" not in headers
    answer = client.get(file)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_pages_show_what_is_written_and_run_none_of_it(filled: Served, client: Client) -> None:
    evil = "</title><script>alert(1)</script><img src=x onerror=alert(1)>"
    record = json.dumps({"title": evil})
    card = f"---\ntags: ['<script>', 'fine']\nlicense: '{evil}'\n---\n{evil}"
    files = {"record.json": record, "README.md": card, "a&b'c.txt": evil}
    body = lines(HEADER, *(added(p, base64.b64encode(t.encode()).decode()) for p, t in files.items()))
    assert commit(client, body).status_code == 200
    for path in ("/", "/lab/net"):
        page = client.get(path).text
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page
    assert "a&amp;b&#x27;c.txt" in page
    for host in ('x"><script>', "x y", "é", "a" * 300):
        assert is_a_sentence(client.get("/", headers={"Host": host.encode()}), 400)


def test_links_out_of_the_blobs_are_not_followed(filled: Served, client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    snapshot = next(filled.root.glob("models--lab--net/snapshots/*"))
    blob = filled.root / "models--lab--net" / "blobs" / ("a" * 64)
    blob.symlink_to(secret)
    (snapshot / "direct.txt").symlink_to(secret)
    (snapshot / "through.txt").symlink_to("../../blobs/" + "a" * 64)
    (snapshot / "tokens.txt").symlink_to("../../../.tokens.json")
    (snapshot / "folder").symlink_to(tmp_path)
    (snapshot / "dangling.txt").symlink_to("../../blobs/" + "b" * 64)
    names = ("direct.txt", "through.txt", "tokens.txt", "folder/secret.txt", "dangling.txt")
    for name in names:
        assert client.get(f"/lab/net/resolve/main/{name}").status_code == 404
    listed = client.get("/api/models/lab/net").text
    assert not any(name in listed for name in names)
    assert client.get("/lab/net/resolve/main/README.md").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/lab/net/resolve/main/../../../.tokens.json",
        "/lab/net/resolve/main/%2e%2e/%2e%2e/%2e%2e/.tokens.json",
        "/lab/net/resolve/main/..%2f..%2f..%2f.tokens.json",
        "/lab/net/resolve/..%2f..%2f..%2frefs/main",
        "/lab/net/resolve/main//etc/passwd",
        "/lab/net/resolve/main/%00",
        "/lab/net/resolve/main/%ff%fe",
        "/.tokens.json",
        "/.locks/tokens.lock",
        "/models--lab--net/resolve/main/README.md",
        "/lab--net/resolve/main/README.md",
        "/../lab/net/resolve/main/README.md",
        "/api/models/..",
        "/api/models/..%2f..%2fetc",
        "/api/models/lab%2fnet%2f..%2f..",
        "/api/models/lab/net/tree/main/..%2f..",
        "/api/models/lab/net/revision/..%2f..%2f..",
        "/api/models/" + "a" * 5000,
        "/" + "%25" * 2000,
        "/api/models?limit=-1",
        "/api/models?skip=" + "9" * 50,
        "/api/models?limit=%D9%A3",
        "/api/models?sort=name%00",
    ],
)
def test_addresses_that_lead_nowhere(filled: Served, path: str) -> None:
    """Sent as they are; a client would tidy them up."""
    address = urlsplit(filled.url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"404")
    assert b"sha256" not in body
    assert b"root:" not in body
    assert b"Traceback" not in body


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=4-", 206, slice(4, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=0-99999999999999999", 206, slice(None)),
        ("bytes=-99999999999999999", 206, slice(None)),
        ("bytes=99999-", 416, None),
        ("bytes=5-2", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=-", 200, slice(None)),
        ("bytes=a-b", 200, slice(None)),
        ("bytes=0-1,3-4", 200, slice(None)),
        ("lines=0-3", 200, slice(None)),
        ("bytes=0-" + "9" * 40, 200, slice(None)),
    ],
)
def test_ranges(filled: Served, client: Client, asked: str, status: int, content: slice | None) -> None:
    whole = client.get("/lab/net/resolve/main/README.md").content
    answer = client.get("/lab/net/resolve/main/README.md", headers={"Range": asked})
    assert answer.status_code == status
    if content is None:
        assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"
    else:
        assert answer.content == whole[content]
    if status == 206:
        first = len(whole) - len(answer.content) if content and content.stop is None else 0
        last = first + len(answer.content) - 1
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"


def test_what_a_client_has_is_not_sent_again(filled: Served, client: Client) -> None:
    path = "/lab/net/resolve/main/README.md"
    tag = client.head(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    ranged = {"Range": "bytes=0-3", "If-Range": '"other"'}
    assert client.get(path, headers=ranged).status_code == 200
    assert client.get(path, headers={"Range": "bytes=0-3", "If-Range": tag}).status_code == 206
    head = client.head(path)
    assert head.content == b""
    assert int(head.headers["Content-Length"]) == len(client.get(path).content)


def test_a_damaged_blob_is_told_and_not_sent(filled: Served, client: Client) -> None:
    assert client.get("/lab/net/resolve/main/spec.json").status_code == 200
    snapshot = next(filled.root.glob("models--lab--net/snapshots/*"))
    (snapshot / "spec.json").resolve().write_bytes(b"short")
    answer = client.get("/lab/net/resolve/main/spec.json")
    assert is_a_sentence(answer, 500)
    (filled.root / "models--lab--net" / "refs" / "main").write_text("../../elsewhere")
    assert client.get("/lab/net/resolve/main/README.md").status_code == 404
    assert client.get("/api/models").json() == []


def test_two_writers_at_once_lose_nothing(filled: Served) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def push(number: int) -> int:
        with Client(
            base_url=filled.url, headers={"Authorization": f"Bearer {filled.token}"}, timeout=60
        ) as client:
            return commit(client, lines(HEADER, added(f"{number}.txt"))).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, range(24))) == {200}
    files = set(CacheHub(filled.root).fetch("lab/net").path.iterdir())
    assert {path.name for path in files} >= {f"{number}.txt" for number in range(24)}
    assert len(CacheHub(filled.root).revisions("lab/net")) == 25


async def _call(app: Any, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    pieces = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(pieces, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def some(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


PARTS = st.one_of(some("api models lab net resolve main tree commit refs v1 .. . %2e"), st.text(max_size=8))
KEYS = some("name organization type files tag path key value fromRepo toRepo content visibility paths")
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
HEADERS = st.tuples(
    some("range if-none-match content-length host authorization content-type if-range").map(str.encode),
    st.binary(max_size=20),
)
YAML = some(
    "a: tags: license: model-index: - x [ ] { } &a *a !!binary !!int !!timestamp ? 2026-99-99 1e999 <<:"
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, fabricate: Make) -> tuple[Any, str, Path]:
    """A server in this process, a token of an organisation that has nothing, and the folder."""
    root = tmp_path_factory.mktemp("fuzzed") / "hub"
    CacheHub(root).publish(fabricate(root.parent / "made", "tiny"), "lab/net", tag="v1")
    secret = tokens.add(root, "other", write=True, admin=False, organisations=())
    return application(root), secret, root


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"]),
    parts=st.lists(PARTS, max_size=8),
    query=st.binary(max_size=30),
    body=st.one_of(st.binary(max_size=60), VALUES.map(lambda value: json.dumps(value).encode())),
    headers=st.lists(HEADERS, max_size=2),
)
def test_any_request_gets_an_answer_and_changes_nothing(
    fuzzed: tuple[Any, str, Path],
    method: str,
    parts: list[str],
    query: bytes,
    body: bytes,
    headers: list[Any],
) -> None:
    app, secret, root = fuzzed
    before, path = state(root), f"/{'/'.join(parts)}"
    scope = {
        "type": "http",
        "method": method,
        "path": path.encode("utf-8", "replace").decode(),
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query,
        "headers": [(b"authorization", f"Bearer {secret}".encode()), *headers],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    status, answer = asyncio.run(_call(app, scope, body))
    assert status != 500, answer
    if status >= 400 and method != "HEAD":
        assert json.loads(answer)["error" if b'"error"' in answer[:10] else "errors"]
    now = state(root)
    assert {key: now[key] for key in before} == before
    assert all(key.startswith("models--other--") for key in now.keys() - before.keys())


@given(st.text(max_size=40))
def test_a_path_that_is_taken_stays_inside(path: str) -> None:
    try:
        taken = check_path(path)
    except RefusedError:
        return
    inside = Path("/hub/snapshots/0") / taken
    assert os.path.normpath(inside) == str(inside)
    assert str(inside).startswith("/hub/snapshots/0/")
    assert taken == path


FRONTS = st.one_of(
    st.text(max_size=80),
    st.lists(st.one_of(YAML, st.sampled_from([" ", "\n", "\t", "9" * 5000])), max_size=24).map("".join),
)


@given(FRONTS)
def test_any_card_is_read_or_found_wanting(front: str) -> None:
    text = f"---\n{front}\n---\n"
    dumps(card_of(text.encode("utf-8", "replace"), front.encode("utf-8", "replace")).data)
    assert all(isinstance(problem, str) for problem in problems(text))


def test_cards_that_would_cost_too_much() -> None:
    bomb = io.StringIO()
    bomb.write("a0: &a0 [x]\n")
    for level in range(1, 30):
        bomb.write(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n")
    for front in (bomb.getvalue(), "a: " + "[" * 10_000, "a: " * 10_000, "x\n" * 200_000, "- " * 10_000):
        assert problems(f"---\n{front}\n---\n")
        assert card_of(f"---\n{front}\n---\n".encode(), b"").data == {}
