"""A hostile hub at the other end of the real client: its answers are made here instead of on a socket."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx2
from fuzz import checkpoints, hostile
from fuzz.hostile import Choices
from fuzz.sandbox import SECRET, refused
from fuzz.targets import Target
from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils import _http

HOST = "hub.test"
ELSEWHERE = (
    "file:///etc/passwd", "http://evil.test/x", "//evil.test/x", "https://hub.test.evil/x", "http://hub.test/x",
    "https://hub.test:8443/x", "https://evil.test/lab/net", "ftp://hub.test/x", "javascript:alert(1)",
    "/loop", "",
    "https://user:pass@evil.test/", "\\\\evil.test\\x", "https://[::1", "http://\u202e", "x" * 5000,
)  # fmt: skip


class Client(Target):
    """Every call of the client to a hub that answers as it likes."""

    name = "client"

    def prepare(self) -> None:
        for name in ("ZOO_OFFLINE", "HF_HUB_OFFLINE"):
            os.environ.pop(name, None)
        os.environ |= {"ZOO_TOKEN": SECRET, "HF_TOKEN": SECRET}
        constants.HF_HUB_OFFLINE = False
        constants.HF_HUB_DISABLE_TELEMETRY = True
        constants.HF_HUB_CACHE = str(self.inside / "cache")
        folder = checkpoints.checkpoint(self.inside / "real")
        self.files = checkpoints.contents(folder.path)
        self.folder = folder
        self.choices = Choices(b"")

    def read(self, choices: Choices) -> None:
        import shutil

        from zoo.hub.huggingface import HuggingFaceHub

        self.choices, self.asked = choices, 0
        shutil.rmtree(self.inside / "cache", ignore_errors=True)
        set_client_factory(self._new)
        hub = HuggingFaceHub(f"https://{HOST}", choices.pick(("lab", "lab", "")))
        calls = (
            hub.names,
            lambda: hub.search("x"),
            lambda: hub.tags("net"),
            lambda: hub.revisions("net"),
            lambda: hub.resolve("net", choices.pick((None, "v1", "0" * 40, "0" * 7))),
            lambda: hub.fetch("net").contents(),
            lambda: hub.publish(self.folder, "net", choices.pick((None, "v1"))),
            lambda: hub.tag("net", "v2"),
            lambda: hub.delete("net"),
            lambda: hub.contents(self.folder, "net"),
        )
        for _ in range(1 + choices.number(2)):
            with refused():
                choices.pick(calls)()

    def _new(self) -> httpx2.Client:
        return httpx2.Client(
            transport=httpx2.MockTransport(self.answer),
            follow_redirects=True,
            event_hooks={"request": [_http.hf_request_event_hook]},
        )

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """What the hub says; it is a real answer unless the bytes say otherwise."""
        self.asked += 1
        if self.asked > 5000:
            raise self.sandbox.breaks("the client asks without end")
        here = (request.url.scheme, request.url.host, request.url.port) == ("https", HOST, None)
        if not here and any(SECRET in value for value in request.headers.values()):
            raise self.sandbox.breaks(f"the token goes to {request.url!s:.100}")
        choices = self.choices
        kind = choices.number(12)
        if kind == 1:
            return httpx2.Response(
                choices.pick((301, 302, 303, 307, 308)),
                headers={"location": choices.pick(ELSEWHERE).encode("utf-8", "replace").decode("latin-1")},
            )
        if kind == 2:
            waits = ("999999999", "9" * 5000, "\xb2", "-1", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", "0")
            limits = {"retry-after": choices.pick(waits), "ratelimit": '"api";r=0;t=99999999'}
            return httpx2.Response(choices.pick((429, 500, 503)), headers=limits)
        if kind == 3:
            code = choices.pick(
                ("RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo", "x" * 2000)
            )
            said = (
                choices.pick(hostile.TEXTS)
                .encode("ascii", "replace")
                .decode()
                .replace("\n", " ")
                .replace("\r", " ")
            )
            return httpx2.Response(
                choices.pick((400, 401, 403, 404, 409, 412, 413, 416, 418)),
                headers={"x-error-code": code, "x-error-message": said},
                json={"error": said, "url": choices.value() if choices.flip() else "x"},
            )
        document = self.document(request)
        if isinstance(document, bytes):
            return httpx2.Response(
                200,
                content=self.endless()
                if kind == 4
                else hostile.splice(document, choices)
                if kind == 5
                else document,
            )
        body = hostile.spoil(document, choices) if kind > 5 else json.dumps(document).encode()
        if kind == 4:
            return httpx2.Response(200, content=self.endless())
        headers = {}
        if kind == 5:
            more = choices.pick(
                ("https://evil.test/more", f"https://{HOST}/api/models", "file:///etc/passwd")
            )
            headers = {"link": f'<{more}>; rel="next"'}
        elif kind == 11:
            headers = {"content-encoding": choices.pick(("gzip", "deflate", "br", "zstd"))}
            body = gzip.compress(b"[" + b"0," * 2**16 + b"0]")
        return httpx2.Response(200, headers=headers, content=body)

    def endless(self) -> Iterator[bytes]:
        piece = b"[" * 2**20
        while True:
            yield piece

    def document(self, request: httpx2.Request) -> Any:
        """A real answer: JSON, or the bytes of a file."""
        path, commit = request.url.path, "0" * 40
        if "/resolve/" in path:
            return self.files.get(path.rpartition("/")[2], b"")
        if path.endswith("/refs"):
            tag = {"name": "v1", "ref": "refs/tags/v1", "targetCommit": commit}
            return {"branches": [], "converts": [], "tags": [tag], "pullRequests": []}
        if "/commits/" in path:
            return [
                {
                    "id": commit,
                    "title": "t",
                    "message": "",
                    "date": "2026-11-21T12:00:00.000Z",
                    "authors": [{"user": "lab"}],
                }
            ]
        if "/tree/" in path:
            return [
                {"type": "file", "path": name, "oid": "0" * 40, "size": len(data)}
                for name, data in self.files.items()
            ]
        if "/preupload/" in path:
            return {
                "files": [
                    {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in self.files
                ]
            }
        if "/commit/" in path:
            return {
                "success": True,
                "commitOid": commit,
                "commitUrl": f"https://{HOST}/lab/net/commit/{commit}",
                "hookOutput": "",
            }
        if path.endswith("/whoami-v2"):
            return {"type": "user", "name": "lab", "orgs": [], "auth": {"accessToken": {"role": "write"}}}
        if path.endswith("/repos/create"):
            return {"url": f"https://{HOST}/lab/net"}
        model = {
            "_id": "x", "id": "lab/net", "modelId": "lab/net", "sha": commit, "tags": ["neuroai-zoo"],
            "private": False,
            "lastModified": "2026-11-21T12:00:00.000Z",
            "siblings": [{"rfilename": file} for file in self.files],
        }  # fmt: skip
        return [model] if path.endswith("/api/models") else model
