"""The real client against the real server: everything that it can ask of a model hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import snapshot_download

from zoo.hub.cache import CacheHub

if TYPE_CHECKING:
    from conftest import Make, Served


def fill(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_checkpoint_goes_up_and_comes_down_and_is_on_the_local_hub(
    served: Served, make: Make, tmp_path: Path
) -> None:
    made, api = make("tiny"), served.client()
    assert api.create_repo("lab/tiny").repo_id == "lab/tiny"
    done = api.upload_folder(repo_id="lab/tiny", folder_path=made.path)
    back = Path(snapshot_download("lab/tiny", endpoint=served.url, cache_dir=tmp_path / "cache"))
    assert back.name == done.oid
    assert {path.name: path.read_bytes() for path in back.iterdir()} == made.contents()
    hub = CacheHub(served.root, "served")
    assert hub.names() == ["lab/tiny"]
    assert hub.resolve("lab/tiny").commit == done.oid
    assert hub.fetch("lab/tiny").contents() == made.contents()
    assert [revision.commit for revision in hub.revisions("lab/tiny")] == [done.oid]
