"""Checkpoints on a hub on the network: the real client, over HTTP, against a real server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub import constants

import zoo
from zoo.checkpoints import making
from zoo.checkpoints.folder import CheckpointFolder, write
from zoo.checkpoints.network import load_network
from zoo.errors import HubError, OfflineError, UnknownNameError, UnknownRevisionError, ZooWarning
from zoo.hub import expand, fetch, names, plan
from zoo.hub.huggingface import TOKEN, HuggingFaceHub
from zoo.hub.server.running import serving
from zoo.paths import shipped

Make = Callable[..., CheckpointFolder]
Served = Any


@pytest.fixture
def hub(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HuggingFaceHub:
    """The hub of ``lab``, with a cache of this test's own and leave to write."""
    monkeypatch.setenv(TOKEN, served.token)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return HuggingFaceHub(served.url, "lab")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not wait before it tries again."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))


def python(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Another process that may use the network, which here is this machine."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", TOKEN: ""} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done


def cached_files(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}


def test_what_is_published_is_fetched(hub: HuggingFaceHub, make: Make) -> None:
    made = make(card=None)
    revision = hub.publish(made, tag="v1")
    assert (revision.name, revision.tags) == ("tiny", ("v1",))
    address = str(revision)
    assert address == f"{hub.where}/tiny@{revision.commit[:12]}"
    got = fetch(address).contents()
    card = got.pop("README.md").decode()
    assert f'zoo.load("{hub.where}/tiny")' in card
    assert got == made.contents()
    for spelled in (f"{hub.where}/tiny", f"{hub.where}/tiny@v1", f"{hub.where}/tiny@main"):
        assert fetch(spelled).contents().keys() == made.contents().keys() | {"README.md"}
    assert hub.resolve("tiny") == hub.resolve("tiny", "v1") == hub.resolve("tiny", revision.commit)
    assert hub.names() == ["tiny"]
    assert [each["name"] for each in hub.search("in")] == [f"{hub.where}/tiny"]
    assert hub.tags("tiny") == {"v1": revision.commit}
    assert hub.revisions("tiny")[0] == revision


def test_publishing_again_changes_nothing_and_sends_nothing(hub: HuggingFaceHub, make: Make) -> None:
    made = make(members=3)
    first = hub.publish(made)
    assert {each.change for each in plan(made, hub.where).files} == {"same"}
    assert hub.publish(made).commit == first.commit
    assert hub.publish(hub.fetch("tiny")).commit == first.commit
    assert [r.commit for r in hub.revisions("tiny")].count(first.commit) == 1


def test_only_what_is_new_travels(hub: HuggingFaceHub, make: Make, served: Served) -> None:
    three, two = make(members=3), make(members=2)
    hub.publish(three)
    planned = plan(two, hub.where)
    changes = {each.file: each.change for each in planned.files}
    assert changes["model-0.safetensors"] == changes["model-1.safetensors"] == "same"
    assert changes["model-2.safetensors"] == "removed"
    assert changes["record.json"] == "changed"
    assert planned.parent == hub.resolve("tiny").commit
    before = {path.name for path in served.root.glob("models--lab--tiny/blobs/*")}
    hub.publish(two)
    sent = {path.name for path in served.root.glob("models--lab--tiny/blobs/*")} - before
    expected = {n: d for n, d in two.contents().items() if changes[n] == "changed"}
    assert sent == {
        hashlib.sha256(d).hexdigest()
        for d in (expected | {"README.md": fetch(f"{hub.where}/tiny").read("README.md")}).values()
    }
    assert "model-2.safetensors" not in fetch(f"{hub.where}/tiny").contents()


def test_members_and_snapshots_are_fetched_alone(hub: HuggingFaceHub, make: Make, tmp_path: Path) -> None:
    made = make("pop", members=4, series=[[0, 7, 100]] * 4)
    hub.publish(made)
    address = f"{hub.where}/pop"
    assert [str(each) for each in expand(f"{address}/*")] == [f"{address}/{k}" for k in range(4)]
    assert cached_files(tmp_path) == {"record.json"}
    folder = fetch(f"{address}/2")
    assert folder.tensors(folder.record.weights(2)).keys() == made.tensors("model-2.safetensors").keys()
    assert cached_files(tmp_path) == {"record.json", "model-2.safetensors"}
    folder.read(folder.record.weights(3, 7))
    assert cached_files(tmp_path) == {"record.json", "model-2.safetensors", "model-3-at-7.safetensors"}
    with pytest.raises(UnknownNameError, match="members 0 to 3"):
        fetch(f"{address}/4")


def test_a_part_is_not_published(hub: HuggingFaceHub, make: Make) -> None:
    hub.publish(make("pop", members=2))
    with pytest.raises(UnknownNameError, match=r"pop/1 is a part of a checkpoint.*Publish http\S+/lab/pop\."):
        zoo.publish(f"{hub.where}/pop/1")


def test_of_two_pushers_the_second_is_told(hub: HuggingFaceHub, make: Make) -> None:
    first = hub.publish(make(seed=1))
    second = hub.publish(make(seed=2), parent=first.commit)
    with pytest.raises(HubError, match="somebody else has published in the meantime"):
        hub.publish(make(seed=3), parent=first.commit)
    assert hub.resolve("tiny").commit == second.commit
    assert fetch(f"{hub.where}/tiny").read("model.safetensors") == make(seed=2).read("model.safetensors")


def test_tags_never_move(hub: HuggingFaceHub, make: Make) -> None:
    first = hub.publish(make(seed=1), tag="v1")
    with pytest.raises(HubError, match=f"@v1 already stands for {first.commit[:12]}"):
        hub.publish(make(seed=2), tag="v1")
    assert hub.resolve("tiny").commit == first.commit, "and nothing was published"
    second = hub.publish(make(seed=2))
    with pytest.raises(HubError, match="never moves"):
        hub.tag("tiny", "v1")
    assert hub.tag("tiny", "v2").commit == second.commit
    assert hub.tag("tiny", "v2").tags == ("v2",)
    assert fetch(f"{hub.where}/tiny@v1").read("model.safetensors") == make(seed=1).read("model.safetensors")
    assert fetch(f"{hub.where}/tiny@{first.commit[:9]}").record == make(seed=1).record
    with pytest.raises(UnknownRevisionError, match=r"no revision 'v3'.*It has: main, v1, v2"):
        fetch(f"{hub.where}/tiny@v3")
    with pytest.raises(HubError, match="cannot be a tag"):
        hub.publish(make(), tag="main")


def test_a_dry_run_changes_nothing(hub: HuggingFaceHub, make: Make, served: Served) -> None:
    planned = plan(make(card=None), hub.where)
    assert planned.target == f"{hub.where}/tiny"
    assert planned.parent is None
    assert {each.change for each in planned.files} == {"new"}
    assert sum(each.size for each in planned.files if each.file == "model.safetensors") > 0
    assert "zoo:begin" in planned.card
    assert not list(served.root.glob("models--*"))


def test_text_by_hand_is_kept(hub: HuggingFaceHub, make: Make, served: Served) -> None:
    hub.publish(make(card=None))
    api = served.client()
    card = fetch(f"{hub.where}/tiny").read("README.md").decode()
    api.upload_file(
        path_or_fileobj=f"{card}\nWe like it.\n".encode(), path_in_repo="README.md", repo_id="lab/tiny"
    )
    api.upload_file(path_or_fileobj=b"x", path_in_repo="notes.txt", repo_id="lab/tiny")
    hub.publish(make(card=None, seed=2))
    assert "We like it." in fetch(f"{hub.where}/tiny").read("README.md").decode()
    assert api.file_exists("lab/tiny", "notes.txt")
    hub.publish(make(card="# Mine\n", seed=3))
    now = fetch(f"{hub.where}/tiny").read("README.md").decode()
    assert "# Mine" in now
    assert "We like it." not in now


def test_private_ones_are_seen_with_a_token_only(
    hub: HuggingFaceHub, make: Make, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.publish(make(), hub.where, private=True)
    assert names(f"{hub.where}/*") == ["tiny"]
    monkeypatch.delenv(TOKEN)
    assert HuggingFaceHub(served.url, "lab").names() == []
    with pytest.raises(
        UnknownNameError, match=rf"there is no http\S+/lab/tiny that this token may see.*{TOKEN}"
    ):
        fetch(f"{hub.where}/tiny")
    with pytest.raises(HubError, match="no private checkpoints"):
        zoo.publish(make(), "local", private=True)


def test_writing_needs_a_token(
    hub: HuggingFaceHub, make: Make, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = served.add_token("reader", write=False)
    for token in ("", reader, "zoo_wrongwrongwrong"):
        monkeypatch.setenv(TOKEN, token)
        with pytest.raises(HubError, match=f"token.*{TOKEN}") as caught:
            HuggingFaceHub(served.url, "lab").publish(make())
        assert not token or token not in str(caught.value)
    assert not list(served.root.glob("models--*"))


def test_the_token_of_the_hugging_face_hub_is_not_given_to_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_forHuggingFaceOnly")
    monkeypatch.delenv(TOKEN, raising=False)
    assert HuggingFaceHub(served.url).api.token is False
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    assert HuggingFaceHub(served.url).api.token is None, "so that it is looked for as ever"


ENVIRONMENT = """
import sys, zoo
from zoo.checkpoints import making
from zoo.checkpoints.folder import CheckpointFolder, write
from zoo.checkpoints.network import load_network
from zoo.hub import fetch, names, open_hub, plan
made = CheckpointFolder(sys.argv[1])
revision = zoo.publish(made, "hf://lab")
assert str(revision) == f"hf://lab/tiny@{revision.commit[:12]}"
assert fetch("hf://lab/tiny").read("model.safetensors") == made.read("model.safetensors")
assert zoo.publish(made, "hf://", name="mine").name == "lab/mine", "whose token it is"
assert [each["name"] for each in open_hub("hf").search("in")] == ["hf://lab/mine", "hf://lab/tiny"]
planned = plan(made, "hf://", name="mine")
assert planned.target == "hf://lab/mine" and {each.change for each in planned.files} == {"same"}
print(fetch("hf://lab/tiny").path)
"""


def test_the_hub_of_the_environment(make: Make, served: Served, tmp_path: Path) -> None:
    chosen = {"HF_ENDPOINT": served.url, "HF_TOKEN": served.token, "HF_HOME": str(tmp_path / "home")}
    done = python(ENVIRONMENT, make(card=None).path, **chosen)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home" / "hub" / "models--lab--tiny")
    assert served.token not in done.stdout + done.stderr


def test_what_is_cached_is_there_offline(
    hub: HuggingFaceHub, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = hub.publish(make("pop", members=2), tag="v1")
    hub.publish(make("other"))
    for spelled in ("pop", "pop@v1"):
        fetch(f"{hub.where}/{spelled}").read("model-0.safetensors")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for spelled in ("pop", "pop@v1", f"pop@{revision.commit}", f"pop@{revision.commit[:8]}"):
        folder = fetch(f"{hub.where}/{spelled}")
        folder.read("model-0.safetensors")
        with pytest.raises(OfflineError, match=r"model-1.safetensors of \S+/lab/pop is not on this machine"):
            folder.read("model-1.safetensors")
    for act in (lambda: fetch(f"{hub.where}/other"), lambda: hub.resolve("pop", "v2")):
        with pytest.raises(OfflineError, match=r"HF_HUB_OFFLINE switches the network off.*zoo pull"):
            act()


def test_an_unreachable_hub_is_said_and_the_cache_is_used(
    hub: HuggingFaceHub, make: Make, served: Served, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    with serving(served.root) as url:
        hub = HuggingFaceHub(url, "lab")
        revision = hub.publish(make())
        fetch(f"{hub.where}/tiny").read("model.safetensors")
    with pytest.warns(
        ZooWarning, match=f"cannot be reached; tiny is taken as it was fetched last.*{revision.commit[:12]}"
    ):
        assert hub.fetch("tiny").read("model.safetensors")
    with pytest.raises(HubError, match=r"ConnectError.*Check the address"):
        fetch(f"{hub.where}/other")


def test_what_is_no_checkpoint_is_said_to_be_none(hub: HuggingFaceHub, served: Served) -> None:
    served.client().create_repo("lab/plain")
    served.client().upload_file(path_or_fileobj=b"x", path_in_repo="weights.bin", repo_id="lab/plain")
    with pytest.raises(UnknownNameError, match=r"no checkpoint of the zoo: it has no record\.json"):
        fetch(f"{hub.where}/plain")
    assert hub.names() == []


def test_deleting(hub: HuggingFaceHub, make: Make) -> None:
    revision = hub.publish(make())
    with pytest.raises(HubError, match="keeps every commit"):
        hub.delete("tiny", revision.commit)
    hub.delete("tiny")
    assert hub.names() == []
    with pytest.raises(UnknownNameError):
        hub.delete("tiny")


def test_many_are_pulled(hub: HuggingFaceHub, make: Make) -> None:
    made = [make(f"net-{k}", seed=k, card=None) for k in range(12)]
    for folder in made:
        hub.publish(folder)
    revisions = zoo.pull(f"{hub.where}/net-*")
    assert [revision.name for revision in revisions] == sorted(f"lab/net-{k}" for k in range(12))
    assert fetch("local:lab/net-3").read("model.safetensors") == made[3].read("model.safetensors")
    assert [r.commit for r in zoo.pull(f"{hub.where}/*")] == [r.commit for r in revisions]
    with pytest.raises(UnknownNameError, match="no checkpoint matches"):
        zoo.pull(f"{hub.where}/nothing-*")


def test_one_that_is_damaged_does_not_keep_the_others(
    hub: HuggingFaceHub, make: Make, served: Served
) -> None:
    for k in range(3):
        hub.publish(make(f"net-{k}", seed=k))
    (weights,) = served.root.glob("models--lab--net-1/snapshots/*/model.safetensors")
    blob = weights.resolve()
    blob.write_bytes(blob.read_bytes()[::-1])
    with pytest.raises(HubError, match=r"1 of 3 checkpoints could not.*\n\S+net-1: .*not what its record"):
        zoo.pull(f"{hub.where}/net-*")
    assert names("local:*") == ["lab/net-0", "lab/net-2"]


def test_blobs_shared_between_repositories_are_read(hub: HuggingFaceHub, make: Make, tmp_path: Path) -> None:
    """As the client lays them out that fetches from Xet storage."""
    hub.publish(make())
    link = fetch(f"{hub.where}/tiny")
    link.read("model.safetensors")
    blob = (link.path / "model.safetensors").parent / os.readlink(link.path / "model.safetensors")
    shared = Path(os.path.abspath(blob)).parents[2] / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    os.rename(blob, shared)
    os.symlink(shared, Path(os.path.abspath(blob)))
    assert fetch(f"{hub.where}/tiny").read("model.safetensors") == make().read("model.safetensors")


FACTS = ("metrics", "steps", "stopped", "curve", "code", "environment", "wall_time")
LOAD = """
import sys, torch, zoo
from zoo.checkpoints.network import replay
from zoo.hub import fetch
folder = fetch(sys.argv[1])
assert all(each.holds and each.worst == 0 for each in replay(folder)), replay(folder)
net = zoo.load(sys.argv[1])
print(len(replay(folder)), net.reference, net.model.like.dtype)
"""


def variant(folder: CheckpointFolder, path: Path, dtype: torch.dtype) -> CheckpointFolder:
    """The same networks with weights of a type, of which two share their memory and one is transposed."""
    members = [load_network(folder, index).to(dtype) for index in range(folder.record.members or 1)]
    for member in members:
        weights = dict(member.model.named_parameters())
        one, other = [
            p for p in weights.values() if p.ndim == 1 and p.shape == weights["cell.bias_hh_l0"].shape
        ]
        one.data = other.data
        square = weights["cell.weight_hh_l0"]
        square.data = square.data.T.contiguous().T
        assert not square.is_contiguous()
    facts = {name: getattr(folder.record, name) for name in FACTS}
    record, files = making.make(folder.experiment, members, facts)
    return CheckpointFolder(write(path, record, files))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_another_process_computes_the_same(
    hub: HuggingFaceHub, served: Served, tmp_path: Path, dtype: torch.dtype
) -> None:
    folder = CheckpointFolder(shipped("registry") / "dsa-rnn-sine")
    zoo.publish(variant(folder, tmp_path / "variant", dtype), hub.where)
    address = f"{hub.where}/dsa-rnn-sine"
    done = python(LOAD, address, HF_HOME=str(tmp_path / "elsewhere"))
    assert done.stdout.split()[1:] == [address, str(dtype)]
    assert list((tmp_path / "elsewhere" / "hub").rglob("record.json"))
