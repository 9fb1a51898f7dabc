"""What is known to be tried, by name: each is refused in a sentence, and nothing comes of it."""

from __future__ import annotations

import gzip
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzz import bombs, checkpoints, hostile
from fuzz.lying import answering, body, endless
from fuzz.sandbox import LONGEST, PLANTED, SECRET, BrokenError, Sandbox, check_message

from zoo.checkpoints.folder import RECORD, CheckpointFolder, safetensors_bytes
from zoo.checkpoints.network import load_network, replay
from zoo.errors import CheckpointError, HubError, OfflineError, UnknownNameError, ZooError
from zoo.hub.base import commit_of
from zoo.hub.card import render
from zoo.hub.card_check import problems
from zoo.hub.front_matter import split
from zoo.hub.huggingface import HuggingFaceHub
from zoo.hub.lookup import expand, fetch, open_hub
from zoo.hub.manifest import Manifest
from zoo.hub.network import public, redacted
from zoo.hub.reference import Reference, check_name, check_revision
from zoo.hub.server.paths import check_path
from zoo.hub.server.refusals import RefusedError

ELSEWHERE = (
    "..", "../x", "../../etc/passwd", "/etc/passwd", "//host/x", "a/../../b", "C:\\x", "C:x", "a\\..\\b",
    "\\\\host\\share", "CON", "nul.txt", "COM1.json", "\uff0e\uff0e\uff0fx", "\u2025\u2215x",
    "a\u202egnp.exe",
    "e\u0301.txt", "a\u200bb", "\ufeffx", "a\0b", "a\nb", " a", "a ", "a.", "~", "$HOME/x", "%2e%2e%2fx\0",
    ".git/x",
)  # fmt: skip
"""Out of the folder, devices of Windows, full-width dots and slashes, turned or composed letters, NUL."""

LITERAL = ("\uff0e\uff0e\uff0fx", "\u2025\u2215x", "~", "$HOME/x")
"""Names that a server takes as they are written, and that mean nothing else to any system."""


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "sandbox")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> CheckpointFolder:
    return checkpoints.checkpoint(tmp_path_factory.mktemp("real") / "tiny")


# The watch itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda s: (s.outside / "new.txt").write_text("x"),
        lambda s: (s.inside / "a").symlink_to("x") or os.rename(s.inside / "a", s.outside / "b"),
        lambda s: (s.inside / "out").symlink_to(s.outside) or (s.inside / "out" / "c").mkdir(),
        lambda s: os.symlink("x", s.outside / "link"),
        lambda s: os.remove(s.outside / "secret.txt"),
        lambda s: subprocess.run(["true"]),
        lambda s: os.system("true"),
        lambda s: pickle.loads(f"c{PLANTED}\nrun\n.".encode()),
        lambda s: __import__(PLANTED),
    ],
)
def test_the_watch_sees_what_must_not_happen(sandbox: Sandbox, act: Callable[[Sandbox], object]) -> None:
    with pytest.raises(BrokenError), sandbox.watched(), suppress(ImportError):  # tried all the same
        act(sandbox)


# Names and paths ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ELSEWHERE, ids=ascii)
def test_path_traversal_is_refused_wherever_a_name_is_read(
    name: str, real: CheckpointFolder, sandbox: Sandbox
) -> None:
    with sandbox.watched():
        for check, errors in (
            (check_name, UnknownNameError),
            (check_revision, UnknownNameError),
            (check_path, RefusedError),
            (real.read, CheckpointError),
        ):
            if check is check_path and name in LITERAL:
                assert check_path(name) == name
                continue
            with pytest.raises(errors) as caught:
                check(name)
            check_message(str(caught.value))
        assert not real.has(name)
        entry = {"sha256": "0" * 64, "size": 1}
        text = json.dumps({"created": "", "files": {name: entry}}).encode()
        with pytest.raises(ValueError, match="manifest"):
            Manifest.parse(text, commit_of({name: "0" * 64}))


@pytest.mark.parametrize("name", ELSEWHERE, ids=ascii)
def test_a_record_that_lists_files_elsewhere_is_refused(
    name: str, real: CheckpointFolder, tmp_path: Path, sandbox: Sandbox
) -> None:
    files = checkpoints.contents(real.path)
    document = json.loads(files[RECORD])
    document["files"][name] = {"sha256": "0" * 64, "size": 4}
    place = sandbox.inside / "made"
    place.mkdir()
    for file, data in {**files, RECORD: json.dumps(document).encode()}.items():
        (place / file).write_bytes(data)
    with pytest.raises(CheckpointError) as caught, sandbox.watched():
        CheckpointFolder(place).contents()
    check_message(str(caught.value))


# Bombs --------------------------------------------------------------------------------------------


def test_what_asks_for_terabytes_is_refused_before_anything_is_reserved(tmp_path: Path) -> None:
    """A process that may take half a gigabyte more meets all of them, and takes next to nothing."""
    command = [sys.executable, str(Path(bombs.__file__)), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["said"]) == {*bombs.BOMBS, "a sparse terabyte"}
    for name, said in found["said"].items():
        assert said, f"{name} was not refused"
        assert "MemoryError" not in said, name
        check_message(said)
    assert found["MB"] < 100


# A hub that lies ----------------------------------------------------------------------------------


@pytest.fixture
def online(opened: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The client may use the network, which is this machine; its token is a secret, and its cache new."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setenv("ZOO_TOKEN", SECRET)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


ASK: tuple[Callable[[HuggingFaceHub], object], ...] = (
    lambda hub: hub.names(),
    lambda hub: hub.search("x"),
    lambda hub: hub.tags("net"),
    lambda hub: hub.revisions("net"),
    lambda hub: hub.resolve("net", "v1"),
    lambda hub: hub.fetch("net", "0" * 40),
)


def refusals(url: str) -> list[str]:
    """How each question to a hub fails."""
    said = []
    for ask in ASK:
        with pytest.raises(ZooError) as caught:
            ask(HuggingFaceHub(url, "lab"))
        check_message(str(caught.value))
        said.append(str(caught.value))
    return said


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_token_does_not_follow_a_redirect_to_another_host(
    online: None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with answering(body(b"[]")) as other, answering(body(b"", status, location=f"{other.url}/x")) as hub:
        for ask in ASK:
            with nullcontext() if ask in ASK[:2] else pytest.raises(ZooError):
                ask(HuggingFaceHub(hub.url, "lab"))
        assert {token for _, token in hub.asked} == {f"Bearer {SECRET}"}
        assert other.asked
        assert {token for _, token in other.asked} == {""}
    assert SECRET not in caplog.text


def test_the_token_does_not_follow_a_list_to_its_next_page_elsewhere(online: None) -> None:
    with answering(body(b"[]")) as other:
        link = f'<{other.url}/more>; rel="next"'
        with answering(body(b"[]", link=link)) as hub:
            assert HuggingFaceHub(hub.url, "lab").names() == []
            assert [token for _, token in hub.asked] == [f"Bearer {SECRET}"]
        assert other.asked == [("/more", "")]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//", "http://[::1", "/loop"])
def test_redirects_to_what_is_no_hub_lead_nowhere(online: None, where: str) -> None:
    with answering(body(b"", 302, location=where)) as hub:
        assert all("root:" not in said for said in refusals(hub.url))


def test_json_10_000_deep_is_refused(online: None) -> None:
    with answering(body(hostile.RAW[0].encode())) as hub:
        refusals(hub.url)


@pytest.mark.parametrize(
    "value", [None, 7, "x", [], [[]], [None], {}, {"sha": 7}, [{"id": 7}], [{"id": "../../x"}]]
)
def test_answers_of_wrong_types_are_refused_or_show_nothing(online: None, value: object) -> None:
    with answering(body(json.dumps(value).encode())) as hub:
        for ask in ASK:
            try:
                assert not ask(HuggingFaceHub(hub.url, "lab"))
            except ZooError as problem:
                check_message(str(problem))


@pytest.mark.parametrize(
    "commit", ["../../x", "/etc", "0" * 39, "0" * 41, "g" * 40, "0" * 40 + "\n", "", None, 7]
)
def test_a_commit_that_is_none_becomes_no_folder(online: None, commit: object, tmp_path: Path) -> None:
    with (
        answering(body(json.dumps({"id": "lab/net", "sha": commit}).encode())) as hub,
        pytest.raises(HubError),
    ):
        HuggingFaceHub(hub.url, "lab").fetch("net")
    assert not list(tmp_path.rglob("snapshots/*"))


def test_another_commit_than_was_asked_for_is_refused(online: None) -> None:
    with (
        answering(body(json.dumps({"id": "lab/net", "sha": "1" * 40}).encode())) as hub,
        pytest.raises(HubError, match="where 000000000000 was asked for"),
    ):
        HuggingFaceHub(hub.url, "lab").fetch("net", "0" * 40)


def test_an_answer_without_end_is_left(online: None) -> None:
    with (
        answering(endless(b" " * 2**16)) as hub,
        pytest.raises(HubError, match="sends more than 33,554,432 bytes"),
    ):
        HuggingFaceHub(hub.url, "lab").names()


def test_a_gzip_bomb_is_not_unpacked(online: None) -> None:
    packed = gzip.compress(b"[" + b" " * 2**26 + b"]")
    assert len(packed) < 2**17
    with answering(body(packed, content_encoding="gzip")) as hub, pytest.raises(HubError, match="packed"):
        HuggingFaceHub(hub.url, "lab").names()


def test_a_list_of_pages_without_end_is_left(online: None) -> None:
    """Each page leads to itself."""
    with answering(lambda handler: body(b"[]", link=f'<{hub.url}/api/models>; rel="next"')(handler)) as hub:
        with pytest.raises(HubError, match="1,000 parts"):
            HuggingFaceHub(hub.url, "lab").names()
        assert len(hub.asked) == 1000


@pytest.mark.parametrize("wait", ["999999999", "9" * 5000, "²", "-1", "nan"])
def test_a_hub_cannot_make_a_client_wait(online: None, wait: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with answering(body(b"", 429, retry_after=wait, ratelimit='"api";r=0;t=999999')) as hub:
        for ask in ASK:
            slept.clear()
            with pytest.raises(HubError, match="429"):
                ask(HuggingFaceHub(hub.url, "lab"))
            assert sum(slept) < 1000


def test_a_file_that_does_not_end_is_left_and_not_kept(
    online: None, real: CheckpointFolder, tmp_path: Path
) -> None:
    files = checkpoints.contents(real.path)

    def reply(handler: Any) -> None:
        name = handler.path.rpartition("/")[2]
        if "/resolve/" in handler.path:
            return body(files[name])(handler) if name == RECORD else endless(b"x" * 2**16)(handler)
        return body(json.dumps({"id": "lab/net", "sha": "0" * 40}).encode())(handler)

    with answering(reply) as hub:
        folder = HuggingFaceHub(hub.url, "lab").fetch("net")
        with pytest.raises(HubError, match="bytes came that were expected"):
            folder.read("model.safetensors")
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.read_bytes() for path in kept if path.parent.name == "blobs"] == [files[RECORD]]
    assert not [path for path in kept if path.stat().st_size > 2**16]


# Found by the fuzzer ------------------------------------------------------------------------------


def remade(real: CheckpointFolder, place: Path, **changed: bytes) -> CheckpointFolder:
    """The checkpoint with other bytes in some files, and a record that agrees with them."""
    files = checkpoints.contents(real.path) | {f"{name}.safetensors": data for name, data in changed.items()}
    place.mkdir()
    for file, data in checkpoints.agreeing(files).items():
        (place / file).write_bytes(data)
    return CheckpointFolder(place)


def golden(**changed: Any) -> dict[str, torch.Tensor]:
    tensors = {"x": torch.zeros(2, 5, 2), "y": torch.zeros(1, 2, 5, 2)} | changed
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        golden(x=None),
        golden(y=None),
        golden(x=torch.zeros(2, 5)),
        golden(x=torch.zeros(2, 5, 3)),
        golden(x=torch.zeros(0, 5, 2), y=torch.zeros(1, 0, 5, 2)),
        golden(x=torch.zeros(2, 5, 2, dtype=torch.bool)),
        golden(x=torch.zeros(2, 5, 2, dtype=torch.bfloat16)),
        golden(x=torch.zeros(2, 5, 2, dtype=torch.float64)),
        golden(y=torch.zeros(2, 2, 5, 2)),
        golden(y=torch.zeros(1, 2, 6, 2)),
    ],
)
def test_a_probe_that_does_not_go_with_the_network_is_refused(
    real: CheckpointFolder, tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    folder = remade(real, tmp_path / "made", golden=safetensors_bytes(tensors))
    with pytest.raises(CheckpointError, match=r"golden\.safetensors") as caught:
        replay(folder)
    check_message(str(caught.value))


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.float8_e4m3fn, torch.complex64, None])
def test_numbers_of_another_kind_are_no_weights(
    real: CheckpointFolder, tmp_path: Path, dtype: torch.dtype | None
) -> None:
    """Where there is no type, one tensor has another than the others."""
    tensors = real.tensors("model.safetensors")
    made = {name: t.to(dtype) for name, t in tensors.items()} if dtype else tensors
    if dtype is None:
        made["output.bias"] = made["output.bias"].double()
    folder = remade(real, tmp_path / "made", model=safetensors_bytes(made))
    with pytest.raises(CheckpointError, match="kinds of numbers"):
        load_network(folder)


def test_messages_stay_short_however_long_the_names(real: CheckpointFolder, tmp_path: Path) -> None:
    name = "x" * 20_000
    tensors = {**real.tensors("model.safetensors"), name: torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        load_network(remade(real, tmp_path / "made", model=safetensors_bytes(tensors)))
    check_message(str(caught.value))
    files = checkpoints.contents(real.path)
    for entry in ({name: 1}, {f"{n}.safetensors": {"sha256": "0" * 64, "size": 1} for n in range(5000)}):
        document = json.loads(files[RECORD])
        document["files"] |= entry
        (tmp_path / "made" / RECORD).write_text(json.dumps(document))
        with pytest.raises(CheckpointError) as caught:
            CheckpointFolder(tmp_path / "made").verify()
        check_message(str(caught.value))
    for act in (Reference.parse, fetch, open_hub, expand):
        for text in (name, f"{name}://{name}", f"https://me:secret@{name}"):
            with pytest.raises(ZooError) as refusal:
                act(text)
            check_message(str(refusal.value))


@pytest.mark.parametrize(
    "text", [SECRET, f"x{SECRET}", f"lab/{SECRET}", f"hf://{SECRET}/x\0", f"{{}}hf://{SECRET}/x"]
)
def test_a_token_in_place_of_a_name_is_not_repeated(text: str) -> None:
    for act in (Reference.parse, check_name, fetch, open_hub, expand):
        with pytest.raises(ZooError) as caught:
            act(text)
        check_message(str(caught.value))
    assert SECRET not in redacted(f"GET {text}: Illegal header value b'Bearer {SECRET}'")


@pytest.mark.parametrize("text", ["file:///etc//net", "s3://bucket//net", "memory:///net", "file:////net"])
def test_an_address_with_an_empty_part_is_refused(text: str) -> None:
    """It would be printed as the address of something else."""
    with pytest.raises(UnknownNameError):
        Reference.parse(text)


def test_long_messages_of_others_are_looked_through_in_bounded_time() -> None:
    for text in ("x" * 10**6, "zoo_" * 10**5, "hf_" * 10**5, "http://" * 10**5, "bearer " * 10**5):
        assert redacted(text)


def test_names_that_look_like_tokens_are_names() -> None:
    assert check_name("lab/zoo_of_recurrent_networks-2") == "lab/zoo_of_recurrent_networks-2"
    assert public("s3://bucket/zoo_of_recurrent_networks") == "s3://bucket/zoo_of_recurrent_networks"


def test_patterns_of_folders_that_cannot_be_match_none() -> None:
    for text in ("/etc/" + "[a]" * 200, "./*" + "a" * 300, "../" + "?" * 3000):
        with pytest.raises(UnknownNameError):
            expand(text)


def test_folders_that_cannot_be_are_no_hubs() -> None:
    for text in ("./" + "a" * 300, "~nobody-of-this-name/hub", "x" * 5000):
        with pytest.raises(HubError):
            open_hub(text)


def test_offline_asks_nobody(online: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with answering(body(b"[]")) as hub:
        for ask in ASK:
            with pytest.raises(OfflineError, match="ZOO_OFFLINE"):
                ask(HuggingFaceHub(hub.url, "lab"))
    assert not hub.asked


@pytest.mark.parametrize(
    "tag", ["1e999", "0x1f", "null", "1_000", "x" * 101, "2026-11-21", "~", "- a", "a: b", "#"]
)
def test_a_card_with_any_tag_is_one_that_we_read(real: CheckpointFolder, tag: str) -> None:
    record = real.record.updated(tags=(tag,))
    card = render(record, real.experiment)
    assert problems(card, record) == []
    assert (tag in split(card)[0]["tags"]) == (len(tag) <= 100)


# The command --------------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong_and_shows_no_control_characters(
    real: CheckpointFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from zoo.cli import main

    place = tmp_path / "bad\x1b[31m\u202eplace"
    place.mkdir()
    for file, data in checkpoints.contents(real.path).items():
        (place / file).write_bytes(data.replace(b'"tiny"', b'"\\u001b[31mTiny"') if file == RECORD else data)
    for arguments in (
        ["verify", str(place)],
        ["show", str(place)],
        ["show", "\udcff"],
        ["show", "./\udcff"],
        ["show", SECRET],
    ):
        monkeypatch.setattr(sys, "argv", ["zoo", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert left.value.code == 2, said.err
        assert len(said.err) < LONGEST
        assert not set(said.err + said.out) & {"\x1b", "\u202e", "\udcff"}
        assert SECRET not in said.err + said.out
        assert "Traceback" not in said.err
