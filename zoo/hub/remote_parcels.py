"""Parcels on a server that speaks the protocol of the Hugging Face Hub, as ``zoo serve`` does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from zoo.errors import HubError, UnknownNameError
from zoo.hub.huggingface import HuggingFaceHub
from zoo.hub.parcels import INDEX, Fetch, Parcels, check_follows, index, overtaken, packed


class RemoteParcels(Parcels):
    """Each is a private repository of the organisation in the address.

    Such a hub keeps what was replaced until the whole parcel is removed.
    """

    beat = 60.0

    def __init__(self, hub: HuggingFaceHub) -> None:
        super().__init__(hub.where)
        self.hub = hub
        if not hub.organisation:
            raise HubError(
                f"{hub.where} has no organisation in it, under which workers and driver could find what they "
                f"write. Give one, as in {hub.endpoint or 'hf:/'}/lab."
            )

    def newest(self, name: str) -> str | None:
        try:
            return self.hub._head(self.hub._id(name))
        except UnknownNameError:
            return None

    def write(self, name: str, files: Mapping[str, bytes], after: str | None) -> str:
        stored, id = packed(files), self.hub._id(name)
        if after is None:
            with self.hub._failing_clearly("write", name):
                self.hub.api.create_repo(id, private=True, exist_ok=True)
        head = self.newest(name)
        before = None if head is None else self._index(name, head)
        if head is None:  # removed by somebody else
            raise overtaken(name, self.where)
        if before == stored[INDEX]:
            return head
        check_follows(name, self.where, None if before is None else head, after, "")
        with suppress(ValueError):
            there = {entry.sha256 for entry in index(before or b"").values()}
            changed = {file: data for file, data in stored.items() if file not in there}
            return self.hub._send(id, changed, there - stored.keys(), head)
        return self.hub._send(id, stored, set(), head)

    def remove(self, name: str) -> None:
        with suppress(UnknownNameError), self.hub._failing_clearly("delete", name):
            self.hub.api.delete_repo(self.hub._id(name))

    @contextmanager
    def _reading(self, name: str, commit: str) -> Iterator[Fetch]:
        with tempfile.TemporaryDirectory(prefix="zoo-parcel-") as folder:

            def fetch(file: str, size: int | None) -> bytes | None:
                target = Path(folder) / uuid4().hex
                with (
                    suppress(UnknownNameError),
                    self.hub._failing_clearly(f"fetch {file} of", name, commit),
                ):
                    if self.hub._download(self.hub._id(name), commit, file, target, size) is not None:
                        return target.read_bytes()
                return None

            yield fetch

    def _index(self, name: str, commit: str) -> bytes | None:
        with self._reading(name, commit) as fetch:
            return fetch(INDEX, None)
