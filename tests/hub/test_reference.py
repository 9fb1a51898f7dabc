"""The grammar of names: what parses, prints as it parsed; anything else is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import UnknownNameError
from zoo.hub.reference import Reference, check_name, check_revision, is_name

PARTS = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True).filter(is_name)
NUMBERS = st.integers(0, 10**9)
REFERENCES = st.builds(
    Reference,
    name=PARTS | st.builds("{}/{}".format, PARTS, PARTS.filter(lambda part: not part.isdigit())),
    hub=st.none() | PARTS,
    revision=st.none() | st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True),
    member=st.none() | NUMBERS | st.just("*"),
    step=st.none() | NUMBERS,
)


@given(REFERENCES)
def test_a_reference_prints_as_it_parses(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(
    st.lists(st.from_regex(r"[ -.0-~\u00c0-\u00ff]{1,8}", fullmatch=True), min_size=1, max_size=4), NUMBERS
)
def test_a_path_prints_as_it_parses(parts: list[str], member: int) -> None:
    for text in ("/".join((".", *parts)), "/".join(("", *parts, "x")), "/".join(("..", *parts, str(member)))):
        reference = Reference.parse(text)
        assert reference.path is not None
        assert Reference.parse(str(reference)) == reference


@given(st.text(max_size=30) | st.text("abc019./-_*:@#~ \\AÉ\0\n", max_size=12))
def test_any_text_parses_or_is_refused_in_words(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except UnknownNameError as problem:
        message = str(problem)
        reference = None
    if reference is None:
        assert "Names look like: dsa-rnn-flipflop" in message
        assert message.isprintable()
    else:
        assert Reference.parse(str(reference)) == reference
        assert ".." not in reference.name or reference.path is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dsa-rnn", Reference("dsa-rnn")),
        ("local:dsa-rnn@v1/3#100", Reference("dsa-rnn", "local", "v1", 3, 100)),
        ("dsa-rnn/*", Reference("dsa-rnn", member="*")),
        ("lab/dsa-rnn", Reference("lab/dsa-rnn")),
        ("lab/dsa-rnn/0", Reference("lab/dsa-rnn", member=0)),
        ("lab/3", Reference("lab", member=3)),
        ("lab/3x", Reference("lab/3x")),
        ("./runs/a", Reference("a", path=Path("runs/a"))),
        ("./runs/a/3#7", Reference("a", member=3, step=7, path=Path("runs/a"))),
        ("/runs/a/*", Reference("a", member="*", path=Path("/runs/a"))),
    ],
)
def test_what_a_name_says(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("x" * 97, "longer than 96"),
        ("x" * 10_000, "10,000 characters"),
        ("DSA-RNN", "'dsa-rnn'"),
        ("a b", "space"),
        ("a\0b", "cannot be printed"),
        ("a\nb", "cannot be printed"),
        ("a\u202eb", "cannot be printed"),
        ("a\u200bb", "cannot be printed"),
        ("cafe\u0301", "no plain letter"),
        ("\u0430-cyrillic", r"\u0430"),
        ("x/\u0661", "no plain letter"),
        ("a..b", "two dots"),
        ("a/../b", "slash too many|two dots|digit at each end"),
        ("a--b", "two dots or two dashes"),
        ("-a", "digit at each end"),
        ("a.", "digit at each end"),
        ("repo.git", "git"),
        ("a//b", "slash too many"),
        ("a/b/c/d", "slash too many"),
        ("a/03", "leading zeros"),
        ("a/3@v1", "revision goes before the member"),
        ("a#", "should be a step"),
        ("a#-1", "should be a step"),
        ("a#1/2", "should be a step"),
        ("a@", "no revision"),
        ("a@../x", "no revision"),
        ("dsa-*", "pattern"),
        ("a?", "pattern"),
        (7, "should be text"),
        (None, "should be text"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(
        UnknownNameError, match=f"(?s)(?:{why}|{why.replace(chr(92), chr(92) * 2)}).*Names look like"
    ):
        Reference.parse(text)


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/b/c", "/a", "a/", "a/../b", "A", "a\0", "a--b", "a:b", "a@b", "a/3"]
)
def test_no_name_becomes_a_path(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(UnknownNameError):
        check_name(name)


@pytest.mark.parametrize("tag", ["", "..", "a/b", "../main", "a..b", ".x", "a\n", "x" * 101, "é", None])
def test_no_revision_becomes_a_path(tag: str) -> None:
    with pytest.raises(UnknownNameError, match="cannot be a revision"):
        check_revision(tag)


def test_a_folder_with_a_record_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Reference.parse("runs/a").path is None
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert Reference.parse("runs/a").path is None
    (tmp_path / "runs" / "a" / "record.json").write_text("{}")
    assert Reference.parse("runs/a") == Reference("a", path=Path("runs/a"))
    assert Reference.parse("runs/a/3#1") == Reference("a", member=3, step=1, path=Path("runs/a"))
    (tmp_path / "runs" / "a" / "3").mkdir()
    assert Reference.parse("./runs/a/3") == Reference("3", path=Path("runs/a/3")), "what is there comes first"
    (tmp_path / "model.pt").write_bytes(b"")
    assert Reference.parse("model.pt").path == Path("model.pt"), "so that it is refused as a pickle"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Reference.parse("~/runs").path == tmp_path / "runs"


def test_the_whole_checkpoint() -> None:
    assert str(Reference.parse("local:a@v1/3#5").whole()) == "local:a@v1"
