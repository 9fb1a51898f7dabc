"""What is told of one model."""

from __future__ import annotations

from typing import Any

from zoo.hub.server import about
from zoo.hub.server.access import namespace
from zoo.hub.server.shelf import Entry, Revision, Shelf

CARD = ("cardData", "model-index")
"""What of it only those are told who ask for more."""
FILES, FILES_AND_SIZES = "files", "files and sizes"


def describe_model(shelf: Shelf, revision: Revision, files: str | None = None) -> dict[str, Any]:
    """Everything that is told of a model; ``files`` is how much of its files."""
    card, name = shelf.card(revision), revision.repository.name
    found = {
        "_id": name,
        "id": name,
        "modelId": name,
        "author": namespace(name) or None,
        "sha": revision.commit,
        "lastModified": about.note_of(revision.repository, revision.about, revision.commit).date,
        "createdAt": shelf.created(revision),
        "private": revision.about.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "library_name": card.library,
        "pipeline_tag": card.data.get("pipeline_tag"),
        "tags": list(card.tags),
        "cardData": card.data,
        "model-index": card.data.get("model-index"),
        "usedStorage": sum({entry.digest: entry.size for entry in revision.files.values()}.values()),
    }
    if files is not None:
        sizes = files == FILES_AND_SIZES
        found["siblings"] = [_sibling(path, entry, sizes) for path, entry in revision.files.items()]
    return found


def _sibling(path: str, entry: Entry, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    return {"rfilename": path, "size": entry.size, "blobId": entry.oid, "lfs": lfs(entry, "sha256")}


def lfs(entry: Entry, digest: str) -> dict[str, Any]:
    """A file as one that is stored by its SHA-256, which is called ``digest``."""
    return {digest: entry.digest, "size": entry.size, "pointerSize": len(entry.pointer)}
