"""Both forms of a directory hub: what is published is fetched, and stays what it is."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import AmbiguousNameError, CheckpointError, HubError, UnknownNameError
from zoo.hub import repository
from zoo.hub.base import DirectoryHub
from zoo.hub.cache import CacheHub
from zoo.hub.plain import FolderHub

Make = Callable[..., CheckpointFolder]


@pytest.fixture(params=[CacheHub, FolderHub])
def hub(request: pytest.FixtureRequest, memory: Path) -> DirectoryHub:
    return request.param(memory / "hub", "mine")


@pytest.fixture
def cache(memory: Path) -> CacheHub:
    return CacheHub(memory / "cache", "mine")


def tree(root: Path) -> dict[str, bytes | str]:
    """Everything below a folder but the locks."""
    return {
        str(path.relative_to(root)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else "folder"
        for path in root.rglob("*")
        if ".locks" not in path.parts
    }


def test_both_forms_give_the_same_commit_and_it_is_that_of_the_manifest(make: Make, memory: Path) -> None:
    made = make(series=[[0, 4]])
    lines = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in made.contents().items())
    manifest = "".join(f"{digest}  {name}\n" for name, digest in lines)
    expected = hashlib.sha256(manifest.encode()).hexdigest()[:40]
    assert (
        CacheHub(memory / "a").publish(made).commit
        == FolderHub(memory / "b").publish(made).commit
        == expected
    )


# content-addressed only


def test_unchanged_files_cost_nothing(cache: CacheHub, make: Make) -> None:
    cache.publish(make(seed=1))
    blobs = {path.name: path.stat().st_ino for path in cache.root.glob("*/blobs/*")}
    cache.publish(make(seed=2))
    after = {path.name: path.stat().st_ino for path in cache.root.glob("*/blobs/*")}
    assert blobs.items() <= after.items()
    assert len(after) == len(blobs) + 2, "the weights and the record"


def test_the_beginning_of_a_commit_may_be_ambiguous(cache: CacheHub, make: Make) -> None:
    one = cache.publish(make(seed=1))
    twin = one.path.with_name(one.commit[:20] + "0" * 20)
    twin.mkdir()
    with pytest.raises(AmbiguousNameError, match=one.commit):
        cache.resolve("tiny", one.commit[:12])
    assert cache.resolve("tiny", one.commit) == one
    with pytest.raises(UnknownNameError, match="no revision"):
        cache.resolve("tiny", one.commit[:6])


@pytest.mark.parametrize("file", ["record.json", "spec.json", "model.safetensors", "README.md"])
def test_a_damaged_blob_is_found_and_publishing_again_mends_it(
    cache: CacheHub, make: Make, file: str
) -> None:
    made = make()
    revision = cache.publish(made)
    blob = (revision.path / file).resolve()
    good = blob.read_bytes()
    for bad in (good[:-1] + b"?", good[:-1], b"", b"{}"):
        blob.write_bytes(bad)
        with pytest.raises(CheckpointError, match=file):
            cache.fetch("tiny").contents()
    blob.unlink()
    with pytest.raises(CheckpointError, match=file):
        cache.fetch("tiny").contents() if file != "README.md" else cache.fetch("tiny").read(file)
    assert cache.publish(made) == revision
    assert cache.fetch("tiny").contents() == made.contents()


def test_a_damaged_ref_is_named(cache: CacheHub, make: Make) -> None:
    revision = cache.publish(make())
    ref = cache.root / "models--tiny" / "refs" / "main"
    for bad in (b"", b"../../../etc", b"\xff" * 40):
        ref.write_bytes(bad)
        with pytest.raises(HubError, match="names no commit"):
            cache.fetch("tiny")
    ref.write_text("0" * 40)
    with pytest.raises(UnknownNameError, match=f"It has: {revision.commit[:12]}"):
        cache.fetch("tiny")
    assert cache.publish(make()) == revision
    cache.fetch("tiny").verify()


def test_without_links_the_files_are_copied(
    cache: CacheHub, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)  # what a FAT or exFAT disk answers
    one, two = cache.publish(make(seed=1), tag="v1"), cache.publish(make(seed=2))
    assert not [path for path in cache.root.rglob("*") if path.is_symlink()]
    assert not list(cache.root.glob("*/blobs"))
    assert cache.fetch("tiny", "v1").contents() == make(seed=1).contents()
    assert cache.publish(make(seed=2)) == two
    read = snapshot_download("tiny", revision="v1", cache_dir=cache.root, local_files_only=True)
    assert Path(read) == one.path
    cache.delete("tiny", "v1")
    cache.fetch("tiny").verify()


def test_huggingface_hub_reads_it_offline(cache: CacheHub, make: Make) -> None:
    one, two = cache.publish(make(seed=1), tag="v1"), cache.publish(make(seed=2))
    cache.publish(make("other"), name="lab/other")
    for name, revision, expected in (
        ("tiny", None, make(seed=2)),
        ("tiny", "v1", make(seed=1)),
        ("tiny", one.commit, make(seed=1)),
        ("lab/other", None, make("other")),
    ):
        read = Path(snapshot_download(name, revision=revision, cache_dir=cache.root, local_files_only=True))
        assert {path.name: path.read_bytes() for path in read.iterdir()} == expected.contents()
        assert CheckpointFolder(read).contents() == expected.contents()
    file = hf_hub_download("tiny", "model.safetensors", cache_dir=cache.root, local_files_only=True)
    assert Path(file) == two.path / "model.safetensors"
    found = scan_cache_dir(cache.root)
    assert not found.warnings
    assert {repo.repo_id: len(repo.revisions) for repo in found.repos} == {"tiny": 2, "lab/other": 1}
    (repo,) = (repo for repo in found.repos if repo.repo_id == "tiny")
    assert {ref: revision.commit_hash for ref, revision in repo.refs.items()} == {
        "main": two.commit,
        "v1": one.commit,
    }


def test_a_publisher_waits_for_another_but_not_for_ever(
    cache: CacheHub, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    cache.publish(make("other"))
    monkeypatch.setattr(repository, "PATIENCE", 0.2)
    with FileLock(cache.root / ".locks" / "models--tiny.lock"):
        with pytest.raises(HubError, match="another process has been writing 'tiny'"):
            cache.publish(made)
        cache.publish(make("other", seed=1))
    cache.publish(made)
    assert cache.names() == ["other", "tiny"]


# plain only


def test_the_plain_form_is_folders_without_links(make: Make, memory: Path) -> None:
    hub, made = FolderHub(memory / "plain"), make()
    hub.publish(made)
    assert {path.name: path.read_bytes() for path in (hub.root / "tiny").iterdir()} == made.contents()
    assert os.listdir(hub.root) == ["tiny"]
    assert oct((hub.root / "tiny").stat().st_mode & 0o777) == oct(0o777 & ~_umask())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def test_an_installed_registry_is_not_changed(make: Make, memory: Path) -> None:
    FolderHub(memory / "plain").publish(make())
    hub = FolderHub(memory / "plain", "registry", writable=False)
    for act in (lambda: hub.publish(make(seed=1)), lambda: hub.delete("tiny")):
        with pytest.raises(HubError, match="belongs to the installation"):
            act()
    assert hub.fetch("tiny").contents() == make().contents()


# disks that refuse


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """``small_disk("size=200k")`` mounts one, where this process may."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("form", [CacheHub, FolderHub])
@pytest.mark.parametrize("limit", ["bytes", "files"])
def test_a_full_disk_is_one_error_and_nothing_half_written(
    form: type[DirectoryHub], limit: str, small_disk: Callable[[str], Path], make: Make
) -> None:
    """However much is left: at every step of publishing there is a level at which that step fails."""
    disk = small_disk("size=400k,nr_inodes=100")
    hub, ballast, failed = form(disk / "hub"), disk / "ballast", 0
    old, new, fresh = make(seed=1, hidden=60), make(seed=2, hidden=61), make("fresh", seed=3, hidden=60)
    hub.publish(old)
    before = tree(hub.root)
    for left in range(0, 60_000, 4096) if limit == "bytes" else range(30):
        for made in (new, fresh):
            ballast.mkdir()
            free = os.statvfs(disk)
            if limit == "bytes":
                (ballast / "data").write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - left)))
            else:
                for number in range(free.f_ffree - left):
                    (ballast / str(number)).touch()
            try:
                hub.publish(made)
            except HubError as problem:
                message = str(problem)
            else:
                message = ""
            shutil.rmtree(ballast)
            if message:
                failed += 1
                assert "No space left on device. Nothing was changed. The disk is full: free some" in message
            else:
                hub.delete(made.record.name)
                hub.publish(old)
            assert tree(hub.root) == before
    assert failed > 8
    assert hub.publish(new).commit == hub.resolve("tiny").commit


@pytest.mark.parametrize("form", [CacheHub, FolderHub])
def test_a_read_only_disk_is_read_and_not_written(
    form: type[DirectoryHub], small_disk: Callable[[str], Path], make: Make
) -> None:
    disk = small_disk("size=1m")
    hub, made = form(disk / "hub"), make()
    hub.publish(made)
    before = tree(hub.root)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert hub.fetch("tiny").contents() == made.contents()
    assert hub.names() == ["tiny"]
    for act in (
        lambda: hub.publish(make(seed=1)),
        lambda: hub.publish(make("other")),
        lambda: hub.delete("tiny"),
        lambda: form(disk / "another").publish(made),
    ):
        with pytest.raises(HubError, match=r"Read-only file system.*publish to another hub"):
            act()
    assert tree(hub.root) == before
    if isinstance(hub, CacheHub):
        with pytest.raises(HubError, match="Read-only file system"):
            hub.tag("tiny", "v1")


def test_no_heavy_library_is_loaded(hub: DirectoryHub, make: Make) -> None:
    made = make()
    code = (
        "import sys; from pathlib import Path; from zoo.checkpoints.folder import CheckpointFolder as F\n"
        f"from {type(hub).__module__} import {type(hub).__name__} as H\n"
        "h = H(Path(sys.argv[1])); h.publish(F(Path(sys.argv[2]))); h.fetch('tiny').verify(); h.names()\n"
        "assert not {'torch', 'lightning', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(hub.root), str(made.path)], check=True)
