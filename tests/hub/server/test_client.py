"""The real client against the real server: everything that it can ask of a hub of models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    EvalResult,
    HfApi,
    HfFileSystem,
    ModelCard,
    ModelCardData,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from zoo.hub.cache import CacheHub

if TYPE_CHECKING:
    from conftest import Make, Served

CARD = "---\nlicense: mit\nlibrary_name: zoo\ntags: [elman, flip-flop]\n---\n# A net\n"

HF = """
import sys
from huggingface_hub.cli.hf import main

for line in sys.stdin:
    sys.argv = ["hf", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
"""


@pytest.fixture
def api(served: Served) -> HfApi:
    return served.client()


def push(api: HfApi, name: str = "lab/net", message: str = "A commit", **options: object) -> str:
    """A repository with a card and a file of weights; the commit."""
    api.create_repo(name, exist_ok=True)
    add = [
        CommitOperationAdd("README.md", CARD.encode()),
        CommitOperationAdd("weights/model.safetensors", os.urandom(5000)),
    ]
    return str(api.create_commit(name, add, commit_message=message, **options).oid)


def refused(problem: pytest.ExceptionInfo[HfHubHTTPError]) -> tuple[int, str]:
    response = problem.value.response
    return response.status_code, response.json()["error"]


def test_a_checkpoint_goes_up_and_comes_down_and_is_on_the_local_hub(
    served: Served, api: HfApi, make: Make, tmp_path: Path
) -> None:
    made = make("tiny")
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


def test_what_the_local_hub_publishes_is_served_with_and_without_an_organisation(
    served: Served, make: Make, tmp_path: Path
) -> None:
    hub = CacheHub(served.root, "served")
    made = make("tiny")
    for name in ("tiny", "lab/tiny"):
        commit = hub.publish(made, name, tag="v1").commit
        back = Path(snapshot_download(name, endpoint=served.url, revision="v1", cache_dir=tmp_path / "cache"))
        assert back.name == commit
        assert {path.name: path.read_bytes() for path in back.iterdir()} == made.contents()
    assert [model.id for model in served.client().list_models()] == ["lab/tiny", "tiny"]
    with pytest.raises(BadRequestError, match="without an organisation"):
        served.client().upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id="tiny")


def test_an_unchanged_folder_makes_no_commit(api: HfApi, make: Make) -> None:
    made = make("tiny")
    api.create_repo("lab/tiny")
    first = api.upload_folder(repo_id="lab/tiny", folder_path=made.path)
    again = api.upload_folder(repo_id="lab/tiny", folder_path=made.path)
    assert again.oid == first.oid
    assert len(api.list_repo_commits("lab/tiny")) == 1


def test_only_what_changed_takes_space(served: Served, api: HfApi) -> None:
    push(api)
    blobs = set(served.root.glob("models--lab--net/blobs/*"))
    api.upload_file(path_or_fileobj=b"new", path_in_repo="note.txt", repo_id="lab/net")
    assert len(set(served.root.glob("models--lab--net/blobs/*")) - blobs) == 1
    assert blobs <= set(served.root.glob("models--lab--net/blobs/*"))


def test_files_are_added_replaced_copied_and_removed(api: HfApi) -> None:
    push(api)
    steps = [
        CommitOperationDelete("weights/", is_folder=True),
        CommitOperationAdd("a/b.txt", b"b"),
        CommitOperationAdd("a/c.txt", b""),
        CommitOperationCopy("README.md", "docs/card.md"),
    ]
    api.create_commit("lab/net", steps, commit_message="Other files")
    assert set(api.list_repo_files("lab/net")) == {"README.md", "a/b.txt", "a/c.txt", "docs/card.md"}
    api.delete_folder("a", "lab/net")
    api.delete_file("docs/card.md", "lab/net")
    assert api.list_repo_files("lab/net") == ["README.md"]
    with pytest.raises(RemoteEntryNotFoundError):
        api.delete_file("missing", "lab/net")


def test_information(api: HfApi) -> None:
    oid = push(api)
    found = api.model_info("lab/net", files_metadata=True)
    assert (found.id, found.author, found.sha, found.private) == ("lab/net", "lab", oid, False)
    assert found.library_name == "zoo"
    assert found.tags == ["elman", "flip-flop", "zoo", "license:mit"]
    assert found.card_data is not None
    assert found.card_data.license == "mit"
    assert found.created_at is not None
    assert found.last_modified is not None
    assert found.last_modified >= found.created_at
    assert found.siblings is not None
    sizes = {file.rfilename: file.size for file in found.siblings}
    assert sizes == {"README.md": len(CARD), "weights/model.safetensors": 5000}
    assert all(file.lfs is not None and file.lfs.size == file.size for file in found.siblings)
    only = api.model_info("lab/net", expand=["sha"])
    assert (only.sha, only.tags, only.siblings) == (oid, None, None)
    assert api.repo_exists("lab/net")
    assert not api.repo_exists("lab/other")
    assert not api.repo_exists("lab/net", repo_type="dataset")
    assert api.file_exists("lab/net", "README.md")
    assert not api.file_exists("lab/net", "missing")
    assert api.revision_exists("lab/net", oid)
    assert not api.revision_exists("lab/net", "v9")


def test_an_empty_repository_has_a_revision_until_the_first_commit(api: HfApi, tmp_path: Path) -> None:
    api.create_repo("lab/net")
    empty = api.model_info("lab/net")
    assert empty.siblings == []
    api.create_repo("lab/net", exist_ok=True)
    with pytest.raises(HfHubHTTPError) as problem:
        api.create_repo("lab/net")
    assert refused(problem) == (
        409,
        "lab/net is on this hub already. Take another name, or write to that one.",
    )
    add = [CommitOperationAdd("a.txt", b"a")]
    oid = api.create_commit("lab/net", add, commit_message="First", parent_commit=empty.sha).oid
    assert [commit.commit_id for commit in api.list_repo_commits("lab/net")] == [oid]


def test_trees_and_paths(api: HfApi) -> None:
    first = push(api, message="First")
    second = api.upload_file(path_or_fileobj=b"x", path_in_repo="weights/x.txt", repo_id="lab/net").oid
    top = {item.path: item for item in api.list_repo_tree("lab/net", expand=True)}
    assert set(top) == {"README.md", "weights"}
    assert top["README.md"].last_commit is not None
    assert top["README.md"].last_commit.oid == first
    assert top["README.md"].last_commit.title == "First"
    assert top["weights"].last_commit is not None
    assert top["weights"].last_commit.oid == second
    inside = {item.path for item in api.list_repo_tree("lab/net", "weights")}
    assert inside == {"weights/model.safetensors", "weights/x.txt"}
    assert {item.path for item in api.list_repo_tree("lab/net", recursive=True)} == {*top, *inside}
    found = api.get_paths_info("lab/net", ["weights", "README.md", "missing"])
    assert [item.path for item in found] == ["README.md", "weights"]
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("lab/net", "missing"))


def test_tags_name_revisions_and_never_move(api: HfApi, served: Served, tmp_path: Path) -> None:
    first = push(api)
    api.create_tag("lab/net", tag="v1", tag_message="the first")
    second = push(api)
    api.create_tag("lab/net", tag="v2")
    refs = api.list_repo_refs("lab/net", include_pull_requests=True)
    assert {tag.name: tag.target_commit for tag in refs.tags} == {"v1": first, "v2": second}
    assert [(branch.name, branch.target_commit) for branch in refs.branches] == [("main", second)]
    with pytest.raises(HfHubHTTPError) as problem:
        api.create_tag("lab/net", tag="v1", revision=second)
    assert refused(problem)[0] == 409
    api.create_tag("lab/net", tag="v1", exist_ok=True)
    assert api.model_info("lab/net", revision="v1").sha == first
    assert api.model_info("lab/net", revision=first[:8]).sha == first
    for name in ("main", "a/b", "0123456789", "..", ""):
        with pytest.raises(BadRequestError):
            api.create_tag("lab/net", tag=name)
    api.delete_tag("lab/net", tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag("lab/net", tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.create_tag("lab/net", tag="v3", revision="missing")
    assert CacheHub(served.root).tags("lab/net") == {"v2": second}


def test_the_history_says_who_and_why(api: HfApi, served: Served) -> None:
    api.create_repo("lab/net")
    add = [CommitOperationAdd("a.txt", b"1")]
    first = api.create_commit("lab/net", add, commit_message="Why", commit_description="Because").oid
    anna = served.client(served.add_token("anna", organisations=("lab",)))
    second = anna.upload_file(path_or_fileobj=b"2", path_in_repo="a.txt", repo_id="lab/net").oid
    found = api.list_repo_commits("lab/net")
    assert [commit.commit_id for commit in found] == [second, first]
    assert [commit.authors for commit in found] == [["anna"], ["lab"]]
    assert (found[1].title, found[1].message) == ("Why", "Because")
    assert [commit.commit_id for commit in api.list_repo_commits("lab/net", revision=first)] == [first]


def test_of_two_pushers_the_second_hears_of_the_first(api: HfApi) -> None:
    before = push(api)
    one = [CommitOperationAdd("a.txt", b"one")]
    other = [CommitOperationAdd("a.txt", b"other")]
    after = api.create_commit("lab/net", one, commit_message="One", parent_commit=before).oid
    with pytest.raises(HfHubHTTPError) as problem:
        api.create_commit("lab/net", other, commit_message="Other", parent_commit=before)
    status, message = refused(problem)
    assert status == 412
    assert after[:12] in message
    assert api.model_info("lab/net").sha == after
    api.create_commit("lab/net", other, commit_message="Other", parent_commit=after)


def test_downloads_by_tag_commit_and_file(api: HfApi, served: Served, tmp_path: Path) -> None:
    first = push(api)
    api.create_tag("lab/net", tag="v1")
    second = push(api)
    for revision, commit in (("v1", first), (first, first), (None, second), ("main", second)):
        path = hf_hub_download(
            "lab/net", "README.md", revision=revision, endpoint=served.url, cache_dir=tmp_path / "cache"
        )
        assert Path(path).read_text() == CARD
        assert commit in path
    assert len(list(tmp_path.glob("cache/models--lab--net/blobs/*"))) == 1
    plain = snapshot_download("lab/net", endpoint=served.url, local_dir=tmp_path / "plain")
    assert (Path(plain) / "weights" / "model.safetensors").stat().st_size == 5000
    only = snapshot_download(
        "lab/net", endpoint=served.url, cache_dir=tmp_path / "other", allow_patterns="weights/*"
    )
    assert [path.name for path in Path(only).rglob("*") if path.is_file()] == ["model.safetensors"]
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("lab/net", "missing", endpoint=served.url, cache_dir=tmp_path / "cache")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download("lab/net", "README.md", revision="v9", endpoint=served.url, cache_dir=tmp_path / "c")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("lab/other", "README.md", endpoint=served.url, cache_dir=tmp_path / "cache")


def test_models_are_found_by_tag_author_and_text(api: HfApi) -> None:
    for name in ("lab/rnn-a", "lab/rnn-b", "other/gru"):
        push(api, name)
    plain = CARD.replace("elman", "gated").encode()
    api.upload_file(path_or_fileobj=plain, path_in_repo="README.md", repo_id="other/gru")

    def names(**asked: object) -> list[str]:
        return [model.id for model in api.list_models(**asked)]  # type: ignore[arg-type]

    assert names() == ["lab/rnn-a", "lab/rnn-b", "other/gru"]
    assert names(filter="gated") == ["other/gru"]
    assert names(filter=["zoo", "elman"]) == ["lab/rnn-a", "lab/rnn-b"]
    assert names(filter="license:mit") == names()
    assert names(author="other") == ["other/gru"]
    assert names(search="RNN") == ["lab/rnn-a", "lab/rnn-b"]
    assert names(sort="last_modified") == ["other/gru", "lab/rnn-b", "lab/rnn-a"]
    assert names(limit=2) == ["lab/rnn-a", "lab/rnn-b"]
    assert names(author="nobody") == []
    full = next(iter(api.list_models(search="gru", full=True, cardData=True)))
    assert full.siblings is not None
    assert full.card_data is not None
    assert full.card_data.license == "mit"
    assert next(iter(api.list_models(search="gru", expand=["sha"]))).tags is None
    with pytest.raises(BadRequestError):
        names(num_parameters="min:6B")


def test_a_long_list_comes_in_pages(served: Served, make: Make) -> None:
    from huggingface_hub.utils._pagination import paginate

    hub, made = CacheHub(served.root), make("tiny")
    for number in range(7):
        hub.publish(made, f"lab/net-{number}")
    pages = paginate(f"{served.url}/api/models", params={"limit": 3, "author": "lab"}, headers={})
    assert [model["id"] for model in pages] == [f"lab/net-{number}" for number in range(7)]


def test_private_models_are_seen_by_their_own(api: HfApi, served: Served, tmp_path: Path) -> None:
    api.create_repo("lab/secret", private=True)
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="lab/secret")
    nobody, other = served.client(False), served.client(served.add_token("other"))
    reader = served.client(served.add_token("reader", write=False, organisations=("lab",)))
    for stranger in (nobody, other):
        with pytest.raises(RepositoryNotFoundError):
            stranger.model_info("lab/secret")
        with pytest.raises(RepositoryNotFoundError):
            stranger.hf_hub_download("lab/secret", "x.txt", cache_dir=tmp_path / "stranger")
        assert list(stranger.list_models()) == []
    assert reader.model_info("lab/secret").private
    assert Path(reader.hf_hub_download("lab/secret", "x.txt", cache_dir=tmp_path / "c")).read_bytes() == b"x"
    api.update_repo_settings("lab/secret", private=False)
    assert nobody.model_info("lab/secret").private is False
    api.update_repo_settings("lab/secret", visibility="private")
    assert not nobody.repo_exists("lab/secret")
    with pytest.raises(BadRequestError):
        api.update_repo_settings("lab/secret", gated="auto")


def test_a_model_is_moved_with_all_its_history(api: HfApi, served: Served) -> None:
    oid = push(api, "lab/old", message="Kept")
    push(api, "lab/taken")
    api.create_tag("lab/old", tag="v1")
    with pytest.raises(HfHubHTTPError) as problem:
        api.move_repo("lab/old", "lab/taken")
    assert refused(problem)[0] == 409
    api.move_repo("lab/old", "lab/new")
    assert not api.repo_exists("lab/old")
    assert api.model_info("lab/new", revision="v1").sha == oid
    assert api.list_repo_commits("lab/new")[0].title == "Kept"
    with pytest.raises(RepositoryNotFoundError):
        api.move_repo("lab/old", "lab/newer")


def test_a_model_is_deleted(api: HfApi, served: Served) -> None:
    push(api)
    api.delete_repo("lab/net")
    assert not api.repo_exists("lab/net")
    assert CacheHub(served.root).names() == []
    assert not list(served.root.glob("models--*"))
    api.delete_repo("lab/net", missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("lab/net")


def test_what_there_is_not_is_refused_in_a_sentence(api: HfApi) -> None:
    push(api)
    api.create_branch("lab/net", branch="main", exist_ok=True)
    add = [CommitOperationAdd("a.txt", b"a")]
    for act in (
        lambda: api.create_branch("lab/net", branch="dev"),
        lambda: api.create_commit("lab/net", add, commit_message="To a branch", revision="dev"),
        lambda: api.create_commit("lab/net", add, commit_message="As a request", create_pr=True),
        lambda: api.create_repo("lab/data", repo_type="dataset"),
        lambda: api.create_repo("Lab/Net"),
        lambda: api.create_repo("lab/refs"),
        lambda: api.create_repo("api/net"),
        lambda: api.super_squash_history("lab/net"),
        lambda: api.create_discussion("lab/net", "A question"),
    ):
        with pytest.raises(HfHubHTTPError) as problem:
            act()
        status, message = refused(problem)
        assert status in (400, 404)
        assert message.endswith((".", ")"))
        assert (
            message[:100].encode("ascii", "replace").decode()
            in problem.value.response.headers["X-Error-Message"]
        )


def test_a_card_is_checked_before_it_is_pushed(api: HfApi, served: Served) -> None:
    api.create_repo("lab/net")
    result = EvalResult(
        task_type="flip-flop", dataset_type="zoo", dataset_name="test", metric_type="mse", metric_value=0.25
    )
    data = ModelCardData(
        license="mit", library_name="zoo", tags=["zoo"], model_name="net", eval_results=[result]
    )
    card = ModelCard.from_template(data, template_str="---\n{{ card_data }}\n---\n# Net\n")
    assert served.token not in str(card)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "ENDPOINT", served.url)
        patch.setattr("huggingface_hub.repocard.HfApi", lambda: served.client(), raising=False)
        card.validate()
    api.upload_file(path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id="lab/net")
    info = api.model_info("lab/net")
    assert info.card_data is not None
    assert info.card_data.eval_results is not None
    assert info.card_data.eval_results[0].metric_value == 0.25
    assert info.model_index is not None
    for front in (
        "a: [",
        "tags: 3",
        "a: &x [1]\nb: *x",
        "model-index: 3",
        "- a",
        f"a: {'[' * 200}{']' * 200}",
    ):
        with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
            api.upload_file(
                path_or_fileobj=f"---\n{front}\n---\n".encode(), path_in_repo="README.md", repo_id="lab/net"
            )


def test_the_file_system_of_the_client(served: Served, api: HfApi) -> None:
    push(api)
    files = HfFileSystem(endpoint=served.url, token=served.token, skip_instance_cache=True)
    assert {Path(name).name for name in files.ls("lab/net", detail=False)} == {"README.md", "weights"}
    assert files.info("lab/net/weights/model.safetensors")["size"] == 5000
    with files.open("lab/net/README.md", "r") as stream:
        assert stream.read() == CARD
    with files.open("lab/net/written.txt", "w") as stream:
        stream.write("by the file system")
    files.invalidate_cache()
    assert files.cat("lab/net/written.txt") == b"by the file system"
    assert files.glob("lab/net/**/*.safetensors") == ["lab/net/weights/model.safetensors"]
    files.rm("lab/net/written.txt")
    files.invalidate_cache()
    assert not files.exists("lab/net/written.txt")


def test_the_header_of_a_file_of_tensors_is_read_in_ranges(api: HfApi, make: Make) -> None:
    api.create_repo("lab/tiny")
    api.upload_folder(repo_id="lab/tiny", folder_path=make("tiny").path)
    found = api.get_safetensors_metadata("lab/tiny")
    assert set(found.weight_map) == {"cell.weight_ih_l0", "cell.weight_hh_l0", "output.weight"}


def test_who_am_i(api: HfApi, served: Served) -> None:
    reader = served.client(served.add_token("reader", write=False, organisations=("lab",)))
    found = reader.whoami()
    assert found["name"] == "reader"
    assert [org["name"] for org in found["orgs"]] == ["lab"]
    assert found["auth"]["accessToken"]["role"] == "read"
    with pytest.raises(HfHubHTTPError) as problem:
        served.client("zoo_wrong").whoami()
    assert problem.value.response.status_code == 401


def test_the_command_of_the_client(served: Served, make: Make, tmp_path: Path) -> None:
    """``hf`` in a process of its own, which reads its settings from the environment."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": served.url,
        "HF_TOKEN": served.token,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    made = make("tiny")
    lines = (
        "auth whoami",
        f"upload lab/tiny {made.path} .",
        f"download lab/tiny --local-dir {tmp_path / 'back'}",
        "models ls --search tiny",
    )
    done = subprocess.run(
        [sys.executable, "-c", HF], env=environment, input="\n".join(lines), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "lab/tiny" in done.stdout
    assert served.token not in done.stdout + done.stderr
    back = {p.name: p.read_bytes() for p in (tmp_path / "back").iterdir() if p.is_file()}
    assert back == made.contents()
