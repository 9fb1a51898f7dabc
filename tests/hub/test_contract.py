"""What every hub promises, in whatever form: what is published is fetched, and stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import CheckpointError, HubError, UnknownNameError
from zoo.hub.base import Hub
from zoo.hub.cache import CacheHub
from zoo.hub.objects import ObjectHub
from zoo.hub.plain import FolderHub

Make = Callable[..., CheckpointFolder]
KEEPING = ("directory", "memory", "file", "s3")
"""Forms that keep several revisions of a name, and tags."""


def open_form(form: str, request: pytest.FixtureRequest) -> Hub:
    root: Path = request.getfixturevalue("memory")
    if form in ("directory", "plain"):
        return (CacheHub if form == "directory" else FolderHub)(root / "hub", "mine")
    urls = {"memory": f"memory://{uuid4().hex}", "file": f"file://{root}/hub"}
    return ObjectHub(urls.get(form) or request.getfixturevalue("s3"), "mine")


@pytest.fixture(params=[*KEEPING, "plain"])
def hub(request: pytest.FixtureRequest) -> Hub:
    return open_form(request.param, request)


@pytest.fixture(params=KEEPING)
def keeping(request: pytest.FixtureRequest) -> Hub:
    return open_form(request.param, request)


def bytes_of(hub: Hub) -> dict[str, bytes]:
    """Everything that a hub consists of, by path."""
    if isinstance(hub, ObjectHub):
        found = {path: hub.store.read(path, bytes) for path in hub.store.listing("")}
        return {path: data for path, data in found.items() if data is not None}
    files = (path for path in Path(hub.where).rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {str(path.relative_to(hub.where)): path.read_bytes() for path in files}


def folder_of(hub: Hub) -> Path | None:
    """The folder on the disk that a hub is, if it is one."""
    folder = Path(hub.where.removeprefix("file://"))
    return folder if folder.is_absolute() else None


def is_untouched(hub: Hub) -> bool:
    folder = folder_of(hub)
    return bytes_of(hub) == {} and (folder is None or not folder.exists())


def test_what_is_published_is_fetched(hub: Hub, make: Make) -> None:
    one, two = make("one", members=2), make("two", card=None)
    assert hub.names() == []
    revision = hub.publish(one)
    hub.publish(two)
    assert (revision.hub, revision.name, revision.tags) == ("mine", "one", ())
    assert str(revision) == f"mine:one@{revision.commit[:12]}"
    assert hub.names() == ["one", "two"]
    assert hub.fetch("one").contents() == one.contents()
    assert hub.resolve("one") == revision == hub.resolve("one", revision.commit[:7])
    assert hub.revisions("one") == [revision]
    assert hub.tags("one") == {}
    fetched = hub.fetch("two").contents()
    assert b"zoo:begin" in fetched.pop("README.md"), "it came without a card and got one"
    assert fetched == two.contents()


def test_publishing_again_changes_nothing(hub: Hub, make: Make) -> None:
    made = make(card=None)
    first = hub.publish(made)
    before, snapshot = bytes_of(hub), first.path
    inodes = {path: path.stat().st_ino for path in snapshot.glob("*")}
    assert hub.publish(made) == first
    assert hub.publish(hub.fetch("tiny")) == first
    assert bytes_of(hub) == before
    assert inodes.items() <= {path: path.stat().st_ino for path in snapshot.glob("*")}.items()


def test_a_new_revision_is_the_newest(hub: Hub, make: Make) -> None:
    one, two = hub.publish(make(seed=1)), hub.publish(make(seed=2))
    assert one.commit != two.commit
    assert hub.resolve("tiny").commit == two.commit
    if not isinstance(hub, FolderHub):
        assert [revision.commit for revision in hub.revisions("tiny")] == [two.commit, one.commit]
        assert hub.fetch("tiny", one.commit).contents() == make(seed=1).contents()
    else:
        with pytest.raises(UnknownNameError, match=r"keeps only the current one.*Publish to the hub 'local'"):
            hub.fetch("tiny", one.commit)


def test_another_name(hub: Hub, make: Make) -> None:
    hub.publish(make("one"), name="other")
    assert hub.names() == ["other"]
    assert hub.fetch("other").record.name == "one"


@pytest.mark.parametrize("name", ["../escape", "a--b", "A", "a/3", "..", "x" * 97, "a\0"])
def test_no_name_leads_out_of_the_hub(hub: Hub, make: Make, name: str) -> None:
    made = make()
    for act in (
        lambda: hub.publish(made, name=name),
        lambda: hub.fetch(name),
        lambda: hub.resolve(name),
        lambda: hub.delete(name),
    ):
        with pytest.raises(UnknownNameError):
            act()
    assert is_untouched(hub)


def test_what_is_not_there_is_named_with_the_nearest(hub: Hub, make: Make) -> None:
    with pytest.raises(UnknownNameError, match="no checkpoint 'tiny' in the hub 'mine'"):
        hub.fetch("tiny")
    hub.publish(make())
    for act in (hub.fetch, hub.resolve, hub.delete, hub.revisions):
        with pytest.raises(
            UnknownNameError, match=r"no checkpoint 'tinny' in the hub 'mine'.*Did you mean 'tiny'"
        ):
            act("tinny")
    for revision in ("v9", "0" * 40, "0" * 7):
        with pytest.raises(UnknownNameError, match="no revision"):
            hub.fetch("tiny", revision)
    with pytest.raises(UnknownNameError):
        hub.fetch("tiny", "../main")


def test_a_damaged_checkpoint_is_not_published(hub: Hub, make: Make) -> None:
    made = make()
    (made.path / "golden.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"golden\.safetensors"):
        hub.publish(CheckpointFolder(made.path))
    assert is_untouched(hub)


def test_deleting_removes_everything(hub: Hub, make: Make) -> None:
    hub.publish(make("one"))
    hub.publish(make("two"))
    hub.delete("one")
    assert hub.names() == ["two"]
    assert not [path for path in bytes_of(hub) if "one" in path]
    if (folder := folder_of(hub)) is not None:
        assert not [path for path in folder.rglob("*one*") if path.suffix != ".lock"]
    hub.fetch("two").verify()


def test_a_tag_never_moves(keeping: Hub, make: Make) -> None:
    one = keeping.publish(make(seed=1), tag="v1")
    assert one.tags == ("v1",)
    before = bytes_of(keeping)
    for act in (
        lambda: keeping.publish(make(seed=2), tag="v1"),
        lambda: keeping.publish(make(seed=2), tag="main"),
        lambda: keeping.publish(make(seed=2), tag="deadbeef"),
    ):
        with pytest.raises(HubError, match="Take another"):
            act()
        assert bytes_of(keeping) == before
    with pytest.raises(UnknownNameError, match="cannot be a revision"):
        keeping.publish(make(seed=2), tag="../v1")
    two = keeping.publish(make(seed=2))
    with pytest.raises(HubError, match=f"already stands for {one.commit[:12]}, and a tag never moves"):
        keeping.tag("tiny", "v1")
    assert keeping.tag("tiny", "v1", one.commit).tags == ("v1",)
    assert keeping.tag("tiny", "best").commit == two.commit
    assert keeping.tags("tiny") == {"best": two.commit, "v1": one.commit}
    assert keeping.fetch("tiny", "v1").contents() == make(seed=1).contents()


def test_the_plain_form_has_no_tags(make: Make, memory: Path) -> None:
    hub = FolderHub(memory / "plain")
    with pytest.raises(HubError, match="has no tags"):
        hub.publish(make(), tag="v1")
    assert is_untouched(hub)
    with pytest.raises(HubError, match="has no tags"):
        hub.tag("tiny", "v1")


def test_deleting_one_revision_leaves_the_others(keeping: Hub, make: Make) -> None:
    one, two = keeping.publish(make(seed=1), tag="v1"), keeping.publish(make(seed=2), tag="v2")
    keeping.delete("tiny", "v2")
    assert keeping.resolve("tiny").commit == one.commit
    assert keeping.tags("tiny") == {"v1": one.commit}
    assert len([path for path in bytes_of(keeping) if "/blobs/" in path]) == 5
    keeping.fetch("tiny").verify()
    with pytest.raises(UnknownNameError):
        keeping.resolve("tiny", two.commit)
    keeping.delete("tiny", one.commit)
    assert keeping.names() == []


def test_text_written_by_hand_outlives_a_new_revision(hub: Hub, make: Make, memory: Path) -> None:
    hub.publish(make(seed=1, card=None))
    card = hub.fetch("tiny").read("README.md")
    mine = CheckpointFolder(memory / "mine")
    mine.path.mkdir()
    for name, data in {**hub.fetch("tiny").contents(), "README.md": card + b"\nBy hand.\n"}.items():
        (mine.path / name).write_bytes(data)
    hub.publish(mine)
    hub.publish(make(seed=2, card=None, title="Trained anew"))
    now = hub.fetch("tiny").read("README.md").decode()
    assert "# Trained anew" in now
    assert now.endswith("\nBy hand.\n")


def test_an_organisation_has_names_of_its_own(keeping: Hub, make: Make, memory: Path) -> None:
    keeping.publish(make(), name="lab/tiny")
    keeping.publish(make(seed=1))
    assert keeping.names() == ["lab/tiny", "tiny"]
    assert keeping.fetch("lab/tiny").contents() == make().contents()
    with pytest.raises(UnknownNameError, match="slash"):
        FolderHub(memory / "plain").publish(make(), name="lab/tiny")


def test_the_beginning_of_a_commit_is_enough(keeping: Hub, make: Make) -> None:
    commits = [keeping.publish(make(seed=seed)).commit for seed in range(4)]
    for commit in commits:
        for digits in (7, 12, 39, 40):
            assert keeping.resolve("tiny", commit[:digits]).commit == commit
        with pytest.raises(UnknownNameError, match="no revision"):
            keeping.resolve("tiny", commit[:6])


def test_who_follows_another_does_not_overwrite_a_third(keeping: Hub, make: Make) -> None:
    one = keeping.publish(make(seed=1))
    two = keeping.publish(make(seed=2), parent=one.commit)
    before = bytes_of(keeping)
    for name, parent in (("tiny", one.commit), ("fresh", one.commit), ("tiny", "0" * 40)):
        with pytest.raises(HubError, match="somebody else has published"):
            keeping.publish(make(seed=3), name, tag="v3", parent=parent)
    assert bytes_of(keeping) == before
    assert keeping.resolve("tiny").commit == two.commit
    assert keeping.publish(make(seed=3), tag="v3", parent=two.commit).tags == ("v3",)


def test_every_form_gives_the_same_commit(make: Make, request: pytest.FixtureRequest) -> None:
    made = make(series=[[0, 4]])
    hubs = [open_form(form, request) for form in ("directory", "memory", "s3")]
    assert len({hub.publish(made).commit for hub in hubs}) == 1
    hubs.append(FolderHub(request.getfixturevalue("memory") / "plain"))
    assert hubs[-1].publish(hubs[-2].fetch("tiny")).commit == hubs[0].resolve("tiny").commit
