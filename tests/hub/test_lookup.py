"""Where names are looked up, in which order, and what is said when nothing is found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo import paths
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import (
    AmbiguousNameError,
    CheckpointError,
    HubError,
    OfflineError,
    UnknownNameError,
    UnsafeFileError,
    ZooError,
)
from zoo.hub import Reference, expand, fetch, hubs, names, open_hub
from zoo.hub.cache import CacheHub
from zoo.hub.huggingface import HuggingFaceHub
from zoo.hub.plain import FolderHub

Make = Callable[..., CheckpointFolder]


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FolderHub]:
    """A checkout of its own: an empty ``registry/``, and no other hubs."""
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "checkout" / "zoo" / "paths.py"))
    for variable in ("ZOO_HUBS", "ZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    paths.shipped.cache_clear()
    yield FolderHub(tmp_path / "checkout" / "registry", "registry")
    paths.shipped.cache_clear()


def strings(references: list[Reference]) -> list[str]:
    return [str(reference) for reference in references]


def test_without_anything_there_is_an_empty_local_hub(zoo_home: Path) -> None:
    assert [(hub.name, hub.root) for hub in hubs()] == [("local", zoo_home / "hub")]
    assert names() == []
    with pytest.raises(UnknownNameError, match=r"looked in local \(.*zoo train tiny.*ZOO_HUBS"):
        fetch("tiny")
    with pytest.raises(UnknownNameError, match="no checkpoint matches 'd-\\*'; looked in local"):
        expand("d-*")
    assert not zoo_home.joinpath("hub").exists(), "looking makes nothing"


def test_the_first_hub_that_has_a_name_is_asked(
    make: Make, shipped: FolderHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs = [CacheHub(tmp_path / "labs" / "First Lab"), FolderHub(tmp_path / "labs" / "second")]
    where = [open_hub("local"), shipped, *labs]
    for number, hub in enumerate(where):
        for name in list("abcd")[number:]:
            hub.publish(make(f"only-{name}", seed=number))
    monkeypatch.setenv("ZOO_HUBS", os.pathsep.join(str(lab.root) for lab in labs))
    assert [hub.name for hub in hubs()] == ["local", "registry", "first-lab", "second"]
    assert [type(hub) for hub in hubs()] == [CacheHub, FolderHub, CacheHub, FolderHub]
    assert names() == ["only-a", "only-b", "only-c", "only-d"]
    assert names("registry:*") == ["only-b", "only-c", "only-d"]
    assert names(["only-*", "!only-b"]) == ["only-a", "only-c", "only-d"]
    for name, number in zip("abcd", (0, 0, 0, 0), strict=True):
        assert fetch(f"only-{name}").contents() == make(f"only-{name}", seed=number).contents()
    for prefix, number in (("local", 0), ("registry", 1), ("first-lab", 2), ("second", 3)):
        assert fetch(f"{prefix}:only-d").contents() == make("only-d", seed=number).contents()
    open_hub("local").delete("only-d")
    assert fetch("only-d").contents() == make("only-d", seed=1).contents()
    with pytest.raises(UnknownNameError, match=r"looked in registry \(.*Did you mean 'only-a'"):
        fetch("registry:only-a")


def test_a_revision_is_looked_for_in_every_hub(make: Make, shipped: FolderHub) -> None:
    local = open_hub("local")
    ours, theirs = local.publish(make(seed=1), tag="v1"), shipped.publish(make(seed=2))
    assert fetch(f"tiny@{ours.commit}").contents() == fetch("tiny@v1").contents() == make(seed=1).contents()
    assert fetch(f"tiny@{theirs.commit[:12]}").contents() == make(seed=2).contents()
    assert fetch(ours.reference).path == ours.path
    with pytest.raises(UnknownNameError, match=r"(?s)hub 'local'.*It has: v1.*keeps only the current one"):
        fetch("tiny@v9")


def test_hubs_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ZOO_HUBS", os.pathsep.join([str(tmp_path / "a" / "x"), "", str(tmp_path / "b" / "x")])
    )
    with pytest.raises(HubError, match=r"a/x is called 'x', too. Rename"):
        hubs()
    monkeypatch.setenv("ZOO_HUBS", str(tmp_path / "local"))
    with pytest.raises(HubError, match="is called 'local', too"):
        hubs()


def test_paths_come_first(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_hub("local").publish(make(seed=1))
    made = make("pop", seed=2, members=3)
    monkeypatch.chdir(tmp_path)
    os.rename(made.path, "tiny")
    expected = CheckpointFolder(tmp_path / "tiny").contents()
    for text in ("tiny", "./tiny", str(tmp_path / "tiny"), Path("tiny"), tmp_path / "tiny", "./tiny/2"):
        assert fetch(text).contents() == expected
    assert fetch("local:tiny").contents() == make(seed=1).contents()
    assert strings(expand("./tiny/*")) == ["./tiny/0", "./tiny/1", "./tiny/2"]
    assert strings(expand("./t*")) == [str(tmp_path / "tiny")]
    with pytest.raises(UnknownNameError, match=r"there is no \./tiny/3: \./tiny has members 0 to 2"):
        fetch("./tiny/3")
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        fetch("./nowhere")
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        fetch(Path("nowhere"))
    with pytest.raises(UnknownNameError, match="no folder that matches"):
        expand("./z*")
    Path("model.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeFileError):
        fetch("model.pt")
    with pytest.raises(CheckpointError, match=r"is a file\. Give the folder"):
        fetch("tiny/model-0.safetensors")


def test_patterns_stand_for_names_and_members(make: Make) -> None:
    local = open_hub("local")
    for made in (make("d-one"), make("d-pop", members=2), make("e-pop", members=2), make("d-lab")):
        local.publish(made, name="lab/d-x" if made.record.name == "d-lab" else None)
    assert strings(expand("d-one")) == ["d-one"]
    assert strings(expand("d-*")) == ["d-one", "d-pop"]
    assert strings(expand("*")) == ["d-one", "d-pop", "e-pop", "lab/d-x"]
    assert strings(expand("lab/d-*")) == ["lab/d-x"]
    assert strings(expand("?-[op]*")) == ["d-one", "d-pop", "e-pop"]
    assert strings(expand("d-pop/*")) == ["d-pop/0", "d-pop/1"]
    assert strings(expand("d-one/*")) == ["d-one"]
    assert strings(expand("[de]-*/*")) == ["d-one", "d-pop/0", "d-pop/1", "e-pop/0", "e-pop/1"]
    assert strings(expand("local:*-pop/1")) == ["local:d-pop/1", "local:e-pop/1"]
    assert expand(Reference("d-pop", member="*")) == [
        Reference("d-pop", member=0),
        Reference("d-pop", member=1),
    ]
    commit = local.resolve("d-pop").commit[:12]
    assert strings(expand(f"d-p*@{commit}/*")) == [f"d-pop@{commit}/0", f"d-pop@{commit}/1"]
    for pattern in (
        "x-*",
        "local:x*/*",
        "d-two",
        "d-one/5",
        "D-*",
        "d-*#7",
        "nowhere:*",
        "[",
        "*@x y",
        "a" * 5000 + "*",
    ):
        with pytest.raises(UnknownNameError):
            expand(pattern)
    with pytest.raises(UnknownNameError, match="Did you mean 'd-pop'"):
        expand("d-popp*")


def test_one_checkpoint_is_not_guessed_among_several(make: Make) -> None:
    for name in ("d-one", "d-two"):
        open_hub("local").publish(make(name))
    for pattern, said in (
        ("d-*", r"d-one, d-two\."),
        ("d-*/0", "no d-one/0"),
        ("local:d-o*", r"local:d-one\."),
    ):
        with pytest.raises((AmbiguousNameError, UnknownNameError), match=said):
            fetch(pattern)
    with pytest.raises(AmbiguousNameError, match="is a pattern, and one checkpoint is needed"):
        fetch("d-o*")
    for number in range(12):
        open_hub("local").publish(make(f"d-{number}"))
    with pytest.raises(AmbiguousNameError, match="and 4 more"):
        fetch("d-*")


def test_members_and_steps_are_checked(make: Make) -> None:
    open_hub("local").publish(make("pop", members=2, series=[[0, 5], [0, 6]]))
    open_hub("local").publish(make("one", series=[[0, 5]]))
    for good in ("pop", "pop/0", "pop/1#6", "pop#5", "pop/*", "one#0"):
        fetch(good)
    for bad, said in (
        ("pop/2", "pop has members 0 to 1"),
        ("pop/1#5", "the steps #0, #6"),
        ("pop#6", "the steps #0, #5"),
        ("one/0", "one is a single network"),
        ("one#1", "the steps #0, #5"),
    ):
        with pytest.raises(UnknownNameError, match=f"there is no {bad}: .*{said}"):
            fetch(bad)
    open_hub("local").publish(make("bare"))
    with pytest.raises(UnknownNameError, match="bare has no snapshots"):
        fetch("bare#0")


def test_hubs_are_opened_by_name_or_path(
    make: Make, shipped: FolderHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubError, match="ships no registry"):
        open_hub("registry")
    shipped.publish(make())
    assert isinstance(open_hub("registry"), FolderHub)
    monkeypatch.chdir(tmp_path)
    for text in ("./new", str(tmp_path / "new"), tmp_path / "new"):
        opened = open_hub(text)
        assert isinstance(opened, CacheHub)
        assert (opened.root, opened.name) == (tmp_path / "new", "new")
    assert isinstance(open_hub("./checkout/registry"), FolderHub)
    Path("file").write_text("")
    for text, said in (
        ("locl", r"no hub 'locl'\. Did you mean 'local'.*write \./locl"),
        ("./file", "is a file"),
        ("", "is no hub"),
        ("a\0b", "is no hub"),
        ("hf://lab/name", "no address of a hub"),
        ("https://", "no address of a hub"),
        ("https://host/lab/name", "no address of a hub"),
        ("9://x", "no address of a hub"),
    ):
        with pytest.raises(HubError, match=said):
            open_hub(text)


def test_an_installed_registry_is_read_only(make: Make, tmp_path: Path) -> None:
    FolderHub(tmp_path / "checkout" / "zoo" / "_data" / "registry").publish(make())
    with pytest.raises(HubError, match="belongs to the installation"):
        open_hub("registry").publish(make(seed=1))
    assert fetch("registry:tiny").contents() == make().contents()


@pytest.mark.parametrize("variable", ["ZOO_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("name", ["hf:lab/tiny", "hf://lab/tiny", "http://localhost:9/lab/tiny"])
def test_offline_says_what_would_fetch_it(monkeypatch: pytest.MonkeyPatch, variable: str, name: str) -> None:
    for each in ("ZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(each, str(int(each == variable)))
    with pytest.raises(OfflineError, match=rf"{variable} switches the network off.*zoo pull \S+lab/tiny"):
        fetch(name)


def test_addresses_are_hubs() -> None:
    for address, name in (
        ("hf", "hf://"),
        ("hf://lab", "hf://lab"),
        ("https://a.b:8/lab", "https://a.b:8/lab"),
    ):
        hub = open_hub(address)
        assert isinstance(hub, HuggingFaceHub)
        assert (hub.name, hub.where) == (name, name)


def test_hubs_on_the_network_are_named_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entries = (f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}", "lab=http://localhost:9", "hf://lab")
    monkeypatch.setenv("ZOO_HUBS", ",".join(entries))
    assert [hub.name for hub in hubs()][-4:] == ["a", "b", "lab", "hf://lab"]
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(OfflineError, match="localhost:9/team/tiny"):
        fetch("lab:team/tiny")
    monkeypatch.setenv("ZOO_HUBS", "lab=http://localhost:9,lab=hf://lab")
    with pytest.raises(HubError, match="put NAME= before it"):
        hubs()


@pytest.mark.parametrize(
    "address", ["https://me:s3cret@host", "https://host?token=s3cret", "hf://hf_s3cretS3cretS3cret"]
)
def test_secrets_in_addresses_are_refused_and_not_repeated(address: str) -> None:
    for act in (open_hub, lambda text: fetch(f"{text}/lab/tiny"), lambda text: expand(f"{text}/*")):
        with pytest.raises(ZooError, match="password or a token") as caught:
            act(address)
        assert "s3cret" not in str(caught.value).lower()


def test_a_hub_that_is_no_hub_is_said_of(make: Make) -> None:
    with pytest.raises(UnknownNameError, match=r"no hub 'locl'\. Did you mean 'local'"):
        fetch("locl:tiny")
    with pytest.raises(UnknownNameError):
        names("locl:*")


@pytest.mark.parametrize("name", [None, 7, b"x", "", "\0", "x" * 10_000, "../" * 2000, "é", "a\n"])
def test_anything_else_is_one_clear_error(name: object) -> None:
    for act in (fetch, expand):
        with pytest.raises(ZooError):
            act(name)  # type: ignore[operator]


def test_importing_hubs_is_cheap_and_verbs_stay_verbs() -> None:
    code = (
        "import sys, zoo.hub\n"
        "heavy = {'torch', 'lightning', 'huggingface_hub'}\n"
        "assert not (heavy | {'pydantic', 'zoo.hub.lookup'}) & set(sys.modules)\n"
        "zoo.hub.names(); zoo.hub.hubs(); zoo.hub.Reference\n"
        "assert not heavy & set(sys.modules)\n"
        "import zoo.hub.publish, zoo.hub.load\n"
        "from zoo.hub.load import load\n"
        "assert zoo.hub.load is load and callable(zoo.hub.publish)\n"
        "from zoo.hub import publish, pull, verify, load as again\n"
        "assert again is load and all(callable(v) for v in (publish, pull, verify))\n"
        "try: zoo.hub.nothing\n"
        "except AttributeError as e: assert 'expand' in str(e)\n"
        "else: raise SystemExit(1)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
