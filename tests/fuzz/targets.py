"""What reads foreign bytes and names, each as a function of bytes that raises where it breaks its promise.

The same targets are run for a moment by the tests, and for hours by ``scripts/fuzz``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from fuzz import checkpoints, hostile
from fuzz.hostile import Choices
from fuzz.sandbox import SECRET, BrokenError, Sandbox, check_message, refused

from zoo.checkpoints.folder import CARD, RECORD, SPEC, CheckpointFolder
from zoo.errors import ZooError

PATIENCE = 2000.0
"""Seconds that a hub may keep a client waiting for an answer, in all."""
LIST: dict[str, type[Target]] = {}


@contextmanager
def impatient(sandbox: Sandbox) -> Iterator[None]:
    """Nobody sleeps; raises :class:`BrokenError` where somebody would for too long."""
    real, slept = time.sleep, 0.0

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds
        if slept > PATIENCE:
            raise sandbox.breaks(f"a wait of {slept:,.0f} s")

    time.sleep = sleep
    try:
        yield
    finally:
        time.sleep = real


class Target(ABC):
    """One reader. It is given a folder of its own, and then as many inputs as there is time for."""

    name: ClassVar[str]

    def __init__(self, root: Path) -> None:
        self.sandbox = Sandbox(root)
        self.inside = self.sandbox.inside
        os.environ["ZOO_HOME"] = str(self.inside / "home")
        self.prepare()

    def __init_subclass__(cls) -> None:
        LIST[cls.name] = cls

    def __call__(self, data: bytes) -> None:
        with self.sandbox.watched(), impatient(self.sandbox):
            self.read(Choices(data))

    @abstractmethod
    def prepare(self) -> None:
        """Once, before the first input."""

    @abstractmethod
    def read(self, choices: Choices) -> None:
        """Have hostile input read. Raises anything but a :class:`ZooError` where that goes wrong."""

    def seeds(self) -> Iterator[bytes]:
        """Inputs to begin with: decisions at random, and what real files hold."""
        for length in (4, 16, 64, 256):
            for turn in range(8):
                yield bytes((turn * 37 + at * 101) % 256 for at in range(length))


class Folder(Target):
    """A checkpoint folder with a file that is not what it should be; its digest is right half of the time."""

    name = "folder"

    def prepare(self) -> None:
        made = [
            checkpoints.checkpoint(self.inside / f"real-{n}", members) for n, members in ((0, None), (1, 2))
        ]
        self.bases = [checkpoints.contents(folder.path) for folder in made]
        self.place = self.inside / "hostile"

    def read(self, choices: Choices) -> None:
        files = self.spoiled(dict(choices.pick(self.bases)), choices)
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        for name, data in files.items():
            (self.place / name).write_bytes(data)
        if choices.number(8) == 1:
            self.link(choices.pick(sorted(files)), choices)
        self.use()

    def spoiled(self, files: checkpoints.Files, choices: Choices) -> checkpoints.Files:
        file = choices.pick((RECORD, SPEC, *sorted(files)))
        agree = choices.flip()
        if choices.number(16) == 1:
            files[file] = (
                choices.pick((b"", b"\x80\x04", b"PK\x03\x04", b"{}", b"[]", b"\xff\xfe{")) + choices.rest()
            )
        elif file.endswith(".json"):
            document = json.loads(files[file])
            files[file] = (
                hostile.spoil(document, choices)
                if choices.number(8)
                else hostile.splice(files[file], choices)
            )
        elif file.endswith(".safetensors"):
            files[file] = hostile.tensor_file(files[file], choices)
        else:
            files[file] = hostile.splice(files[file], choices)
        return checkpoints.agreeing(files) if agree else files

    def link(self, file: str, choices: Choices) -> None:
        targets = (
            self.sandbox.outside / "secret.txt",
            "../real-0/record.json",
            "/dev/zero",
            "/proc/self/environ",
            file,
        )
        (self.place / file).unlink()
        (self.place / file).symlink_to(choices.pick(targets))

    def use(self) -> None:
        """What people do with a checkpoint that they were given."""
        import zoo

        folder = partial(CheckpointFolder, self.place)
        uses: tuple[Callable[[], object], ...] = (
            lambda: folder().record,
            lambda: folder().experiment,
            lambda: [check_message(each.problem) for each in folder().check() if each.problem],
            lambda: folder().contents(),
            lambda: zoo.load(folder()),
            lambda: zoo.load(str(self.place) + "/1#0"),
            lambda: zoo.verify(folder()),
            lambda: zoo.publish(folder(), "local"),
        )
        for use in uses:
            with refused():
                use()


class Tensors(Folder):
    """Files of tensors whose record agrees with whatever they hold."""

    name = "safetensors"

    def spoiled(self, files: checkpoints.Files, choices: Choices) -> checkpoints.Files:
        file = choices.pick([name for name in sorted(files) if name.endswith(".safetensors")])
        files[file] = choices.rest() if choices.number(8) == 1 else hostile.tensor_file(files[file], choices)
        return checkpoints.agreeing(files)

    def use(self) -> None:
        import zoo

        folder = CheckpointFolder(self.place)
        for file in self.bases[1]:
            with refused():
                folder.tensors(file)
        for use in (zoo.load, zoo.verify):
            with refused():
                use(folder)


class Specs(Folder):
    """Specs that ask for any amount of anything; the record agrees with them."""

    name = "spec"

    def spoiled(self, files: checkpoints.Files, choices: Choices) -> checkpoints.Files:
        document = json.loads(files[SPEC])
        for _ in range(1 + choices.number(3)):
            *above, last = choices.pick(list(hostile.places(document)))
            parent = document
            for key in above:
                parent = parent[key]
            parent[last] = choices.pick(hostile.NUMBERS) if choices.flip() else choices.value()
        files[SPEC] = json.dumps(document).encode("utf-8", "surrogatepass")
        return checkpoints.agreeing(files)


class Names(Target):
    """Names, patterns, addresses and revisions."""

    name = "names"

    def prepare(self) -> None:
        from zoo.hub.cache import CacheHub

        folder = checkpoints.checkpoint(self.inside / "real")
        CacheHub(self.inside / "home" / "hub").publish(folder, "lab/tiny", tag="v1")
        os.environ |= {"ZOO_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
        os.chdir(self.inside)

    def read(self, choices: Choices) -> None:
        import zoo
        from zoo.hub import lookup, network, reference

        pieces = (
            *hostile.TEXTS,
            *hostile.SECRETS,
            "hf://",
            "lab/tiny",
            "@v1",
            "/0",
            "#100",
            "local:",
            "s3://",
            "memory://",
            "::",
            "?",
            "[",
        )
        text = "".join(choices.pick(pieces) for _ in range(choices.number(5))) + choices.text()
        for use in (
            reference.check_name,
            reference.check_revision,
            reference.is_path,
            lookup.fetch,
            lookup.expand,
            lookup.names,
            lookup.open_hub,
            zoo.load,
        ):
            with refused():
                use(text)
        with refused():
            found = reference.Reference.parse(text)
            if found.path is None and reference.Reference.parse(str(found)) != found:
                raise BrokenError(f"{text!r} prints as {str(found)!r}")
        for shown in (network.public(text), network.redacted(f"GET {text} Bearer {SECRET}")):
            if SECRET in shown:
                raise BrokenError(f"a token in {shown!r}")

    def seeds(self) -> Iterator[bytes]:
        yield from super().seeds()
        yield from (
            b"\0\0" + name.encode("utf-8", "replace") for name in (*hostile.NAMES, "hf://lab/tiny@v1/0#100")
        )


class Cards(Target):
    """Cards with any text and front matter, of records with any text."""

    name = "cards"

    def prepare(self) -> None:
        folder = checkpoints.checkpoint(self.inside / "real", 2)
        self.record, self.experiment = folder.record, folder.experiment
        self.card = folder.read(CARD).decode()

    def read(self, choices: Choices) -> None:
        from zoo.hub import card, card_check, front_matter
        from zoo.hub.huggingface import by_hand
        from zoo.hub.server import cards

        text = self.text(choices)
        record = self.record
        with suppress(ValueError):
            title, citation = choices.pick(hostile.TEXTS)[:300], choices.pick(hostile.TEXTS)[:300]
            record = record.updated(title=title, citation=citation, tags=(title,))
        with refused():
            front_matter.split(text)
        for problem in (*card_check.problems(text), *card_check.problems(text, record)):
            check_message(problem)
        card_check.problems_of(text.encode("utf-8", "surrogatepass"), record)
        by_hand(text)
        read = cards.card_of(text.encode("utf-8", "surrogatepass"), choices.rest())
        json.loads(cards.dumps(read.data))
        with refused():
            made = card.render(record, self.experiment, text)
            if card.render(record, self.experiment, made) != made:
                raise BrokenError("a card is not the same when it is written again")
        made = card.render(record, self.experiment)
        if found := card_check.problems(made, record):
            raise BrokenError(f"a card that was generated is wrong: {found}")

    def text(self, choices: Choices) -> str:
        action = choices.number(3)
        if action == 0:
            spoiled = hostile.splice(self.card.encode(), choices)
            return spoiled.decode("utf-8", "replace")
        if action == 1:
            lines = self.card.splitlines()
            for _ in range(1 + choices.number(4)):
                lines[choices.number(len(lines))] = choices.pick(hostile.TEXTS)
            return "\n".join(lines)
        return f"---\n{choices.text()}\n---\n{choices.pick(hostile.TEXTS)}"

    def seeds(self) -> Iterator[bytes]:
        yield from super().seeds()
        yield b"\2\0" + self.card.encode()[:2000]


class Server(Target):
    """Requests to ``zoo serve``, with and without a token."""

    name = "server"

    def prepare(self) -> None:
        from zoo.hub.server.about import FILE

        self.root, self.about = self.inside / "served", FILE
        self.made = checkpoints.checkpoint(self.inside / "real")
        self.asked = 0
        self.restart()

    def restart(self) -> None:
        from zoo.hub.cache import CacheHub
        from zoo.hub.server import tokens
        from zoo.hub.server.app import application
        from zoo.hub.server.limits import Limits

        shutil.rmtree(self.root, ignore_errors=True)
        CacheHub(self.root).publish(self.made, "lab/net", tag="v1")
        self.token = tokens.add(self.root, "lab", write=True, admin=True, organisations=())
        limits = Limits(file=2**20, commit=2**22, document=2**20, operations=20, files=50)
        self.app = application(self.root, limits=limits)

    def read(self, choices: Choices) -> None:
        self.asked += 1
        if self.asked % 500 == 0:
            self.restart()
        for _ in range(1 + choices.number(3)):
            method, path, query, body, headers = self.request(choices)
            status, sent, answer = self.ask(method, path, query, body, headers)
            self.check(status, sent, answer, path)
        for entry in self.root.iterdir():
            if not entry.name.startswith((".locks", ".tokens", "models--", ".zoo-stage-")):
                raise BrokenError(f"{entry.name!r} in the folder of the hub")

    def request(self, choices: Choices) -> tuple[str, str, bytes, bytes, list[tuple[bytes, bytes]]]:
        part: Callable[[], str] = lambda: choices.pick((*hostile.TEXTS, "main", "v1", "lab/net", "README.md"))  # noqa: E731
        repo = part() if choices.number(4) == 1 else "lab/net"
        revision = part() if choices.number(4) == 1 else "main"
        one = f"/api/models/{repo}"
        method, path = choices.pick((
            ("GET", f"/{repo}/resolve/{revision}/{part()}"), ("GET", f"{one}/revision/{revision}"), ("GET",
            one),
            ("GET", f"{one}/tree/{revision}/{part()}"), ("POST", f"{one}/paths-info/{revision}"), ("GET",
            f"{one}/refs"),
            ("GET", f"{one}/commits/{revision}"), ("POST", f"{one}/preupload/{revision}"),
            ("POST", f"{one}/commit/{revision}"), ("POST", f"{one}/commit/main"), ("POST",
            f"{one}/tag/{revision}"),
            ("DELETE", f"{one}/tag/{part()}"), ("PUT", f"{one}/settings"), ("POST", "/api/repos/create"),
            ("POST", "/api/repos/move"), ("DELETE", "/api/repos/delete"), ("POST", "/api/validate-yaml"),
            ("GET", "/api/whoami-v2"), ("GET", "/api/models"), ("GET", "/"), ("GET", f"/{repo}"), ("HEAD",
            part()),
        ))  # fmt: skip
        query = choices.pick(
            ("", "expand=tags", "limit=-1", "skip=9e9", "full=1&filter=%00", "sort=\ud800", "recursive=1")
        )
        token = choices.pick((self.token, self.token, "", SECRET, "x" * 5000, "\xff"))
        extra = choices.pick((
            [], [], [(b"range", b"bytes=5-2,9-")], [(b"range", b"bytes=-" + b"9" * 18)], [(b"host",
            b"x\"><script>")],
            [(b"content-length", b"9" * 40)], [(b"content-length", "\u0663".encode())], [(b"if-none-match",
            b"*")],
        ))  # fmt: skip
        headers = [(b"host", b"hub.test"), *extra]
        if token:
            headers.append((b"authorization", f"Bearer {token}".encode("latin-1", "replace")))
        return method, path, query.encode("utf-8", "surrogatepass"), self.body(path, choices), headers

    def body(self, path: str, choices: Choices) -> bytes:
        if "/commit/" in path:
            files = [choices.pick((*hostile.NAMES, "a.txt", "b/c.txt")) for _ in range(1 + choices.number(3))]
            steps: list[Any] = [{"key": "header", "value": {"summary": "s"}}]
            for file in files:
                value = {"path": file, "content": "aGk=", "encoding": "base64", "oid": "0" * 64}
                steps.append(
                    {
                        "key": choices.pick(("file", "file", "deletedFile", "deletedFolder", "lfsFile")),
                        "value": value,
                    }
                )
            if choices.number(3) == 1:
                return b"\n".join(hostile.spoil(step, choices) for step in steps)
            return b"\n".join(json.dumps(step).encode() for step in steps)
        if choices.number(8) == 1:
            return choices.rest()
        name = choices.pick((*hostile.NAMES, "new", "net"))
        return hostile.spoil(
            {
                "name": name,
                "organization": "lab",
                "fromRepo": "lab/net",
                "toRepo": name,
                "tag": name,
                "visibility": "private",
                "private": True,
                "files": [{"path": name, "size": 3, "sample": ""}],
                "paths": [name],
                "content": f"---\n{choices.pick(hostile.TEXTS)}\n---\n",
            },
            choices,
        )

    def ask(
        self, method: str, path: str, query: bytes, body: bytes, headers: list[tuple[bytes, bytes]]
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """One request, as uvicorn hands it on."""
        raw = path.encode("utf-8", "surrogatepass")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
            "method": method, "scheme": "http",
            "path": raw.decode("utf-8", "replace"),
            "raw_path": raw, "query_string": query, "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "",
        }  # fmt: skip
        coming: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return coming.pop() if coming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
        return said[0]["status"], said[0]["headers"], b"".join(each.get("body", b"") for each in said[1:])

    def check(self, status: int, headers: list[tuple[bytes, bytes]], answer: bytes, path: str) -> None:
        if status >= 500:
            raise BrokenError(f"{status} to {path!r}: {answer[:300]!r}")
        if any(b"\r" in value or b"\n" in value for _, value in headers):
            raise BrokenError(f"a header with two lines: {headers}")
        if self.token.encode() in answer or (
            b"<script>" in answer and b"text/html" in dict(headers).get(b"content-type", b"")
        ):
            raise BrokenError(f"an answer to {path!r} that gives something away")
        if status >= 400 and answer and path != "/api/validate-yaml":
            check_message(json.loads(answer)["error"])


class Importer(Target):
    """Weights and recordings of others."""

    name = "importing"

    def prepare(self) -> None:
        import io

        import h5py
        import numpy as np
        import torch
        from hub.conftest import experiment
        from safetensors.torch import save

        from zoo.checkpoints.network import empty

        tensors = {name: torch.zeros(t.shape) for name, t in empty(experiment()).model.state_dict().items()}
        self.expected = tensors
        pt, npz, npy, h5 = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
        torch.save({"state_dict": tensors, "epoch": 3}, pt)
        states = np.zeros((3, 4, 2), np.float32)
        np.savez(npz, states=states, inputs=states)
        np.save(npy, states)
        with h5py.File(h5, "w") as file:
            file["train_latents"], file["valid_latents"] = states, states
            file.create_dataset("packed", data=states, compression="gzip")
        self.files = {
            "a.pt": pt.getvalue(),
            "a.safetensors": save(tensors),
            "a.npz": npz.getvalue(),
            "a.npy": npy.getvalue(),
            "map.yaml": b"spec: mapping/1\nstrip: [module.]\nrename: {'a(.*)': 'b$1', c: null}\n",
        }
        self.hdf5 = h5.getvalue()

    def read(self, choices: Choices) -> None:
        name = choices.pick(sorted(self.files))
        data = self.files[name]
        action = choices.number(8)
        if name == "a.safetensors":
            data = hostile.tensor_file(data, choices)
        elif action:
            data = hostile.splice(data, choices)
        else:
            data = choices.rest()
        path = self.inside / name
        path.write_bytes(data)
        with refused():
            self.take(path)

    def take(self, path: Path) -> None:
        from zoo.importing.arrays import read_arrays
        from zoo.importing.files import read
        from zoo.importing.fitting import fit
        from zoo.importing.hdf5 import read_hdf5
        from zoo.importing.mapping import load_mapping
        from zoo.importing.recording import recordings
        from zoo.importing.weights import read_tensors

        if path.suffix == ".yaml":
            rules = load_mapping(path)
            fit({"a1": self.expected["output.weight"]}, self.expected, rules, "here")
            return
        file = read(path)
        if path.suffix in (".pt", ".safetensors"):
            tensors, notes = read_tensors(file)
            for note in notes:
                check_message(note)
            fit(tensors, self.expected, None, "here")
            return
        arrays = (read_hdf5 if path.suffix == ".h5" else read_arrays)(file)
        recordings(file, arrays, None, 0.2)

    def seeds(self) -> Iterator[bytes]:
        yield from super().seeds()
        for index, name in enumerate(sorted(self.files)):
            yield bytes([index, 0]) + self.files[name][:4096]


class Hdf5(Importer):
    """HDF5 files, which a process of its own reads."""

    name = "hdf5"

    def prepare(self) -> None:
        super().prepare()
        self.files = {"a.h5": self.hdf5}
        self.sandbox.may_run = "hdf5_reader.py"


class Store(Target):
    """An object store in which others have put what they like."""

    name = "objects"

    def prepare(self) -> None:
        import fsspec

        from zoo.hub.objects import ObjectHub

        self.files = fsspec.filesystem("memory")
        self.hub = ObjectHub("memory://fuzz")
        self.hub.publish(checkpoints.checkpoint(self.inside / "real"), "lab/net", tag="v1")
        self.real = {path: self.files.cat_file(path) for path in self.files.find("/fuzz")}

    def read(self, choices: Choices) -> None:
        self.files.store.clear()
        shutil.rmtree(self.hub.cache, ignore_errors=True)
        objects = dict(self.real)
        for _ in range(1 + choices.number(2)):
            path = choices.pick(sorted(objects))
            data = objects.pop(path)
            action = choices.number(4)
            if action == 1:
                folder = path.rpartition("/")[0]
                objects[f"{folder}/{choices.pick(hostile.NAMES)}"] = data
            elif action == 2 and path.endswith(".json"):
                objects[path] = hostile.spoil(json.loads(self.real.get(path, b"{}")), choices)
            elif action == 3:
                objects[path] = hostile.splice(data, choices)
            else:
                objects[path] = choices.pick(hostile.TEXTS).encode("utf-8", "surrogatepass")
        if choices.flip():
            objects = self.signed(objects)
        for path, data in objects.items():
            with suppress(Exception):  # names that the store itself does not take
                self.files.pipe_file(path, data)
        hub = self.hub
        for use in (
            hub.names,
            lambda: hub.tags("lab/net"),
            lambda: hub.revisions("lab/net"),
            lambda: hub.resolve("lab/net", "v1"),
            lambda: hub.fetch("lab/net").contents(),
            lambda: hub.fetch("lab/net", "v1").verify(),
            lambda: hub.prune(0),
        ):
            with refused():
                use()

    def signed(self, objects: dict[str, bytes]) -> dict[str, bytes]:
        """The same, with manifests under the commit that they describe, and refs to the last of them."""
        from zoo.hub.base import commit_of

        for path in [path for path in objects if path.endswith(".json")]:
            with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
                listed = json.loads(objects[path])["files"]
                commit = commit_of({str(file): str(entry["sha256"]) for file, entry in listed.items()})
                objects[f"{path.rpartition('/')[0]}/{commit}.json"] = objects.pop(path)
                objects |= {ref: commit.encode() for ref in objects if "/refs/" in ref}
        return objects


def open_target(name: str, root: Path) -> Target:
    """A target by its name, ready for input."""
    from fuzz import wire  # the one that plays the part of a hub  # noqa: F401

    return LIST[name](root)


__all__ = ["LIST", "Target", "ZooError", "open_target"]
