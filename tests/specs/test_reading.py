"""The reader: values and places, and everything it refuses."""

from __future__ import annotations

import pytest

from zoo.errors import SpecError
from zoo.specs.reading import read, scalar, value


def refusal(source: str | bytes) -> str:
    with pytest.raises(SpecError) as caught:
        read(source, "a.yaml")
    return str(caught.value)


def test_data_and_positions() -> None:
    document = read("# note\na: 1\nb:\n  - x\n  - {c: [2.5], d: ~}\n", "a.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": [2.5], "d": None}]}
    assert document.positions == {
        (): (2, 1),
        ("a",): (2, 1),
        ("b",): (3, 1),
        ("b", 0): (4, 5),
        ("b", 1): (5, 5),
        ("b", 1, "c"): (5, 6),
        ("b", 1, "c", 0): (5, 10),
        ("b", 1, "d"): (5, 16),
    }


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("1e-3", 1e-3),
        ("3E5", 3e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e+2", -150.0),
        ("12", 12),
        ("-7", -7),
        ("0", 0),
        ("0.0e5", 0.0),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        # text, whatever other versions of YAML make of it
        ("yes", "yes"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e", "1e"),
        ("nan", "nan"),
        ("inf", "inf"),
        (".", "."),
        ("-", "-"),
    ],
)
def test_plain_words(word: str, meaning: object) -> None:
    assert scalar(word) == meaning
    assert type(scalar(word)) is type(meaning)


def test_quoted_words_are_text() -> None:
    assert read("a: '1'\nb: \"null\"\nc: |\n  1\n").data == {"a": "1", "b": "null", "c": "1\n"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "a.yaml: is empty"),
        ("# nothing\n", "a.yaml: is empty"),
        ("- 1\n", "a.yaml:1:1: should be a mapping of keys to values, not a list"),
        ("word\n", "a.yaml:1:1: should be a mapping of keys to values, not the single value 'word'"),
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: a: this key stands twice, on lines 1 and 3; keep one"),
        (
            "m:\n  {x: 1, y: {z: 1, z: 2}}\n",
            "a.yaml:2:20: m.y.z: this key stands twice, on lines 2 and 2; keep one",
        ),
        ("a: 1\n1: 2\n", "a.yaml:2:1: a key should be text: write '1' in quotes"),
        ("? [a]\n: 1\n", "a.yaml:1:3: a key should be text, not a list or mapping"),
        (
            "a: &x 1\n",
            "a.yaml:1:4: a: anchors and aliases are not read here: refer to a value with ${path.to.it}",
        ),
        (
            "b: [*x]\n",
            "a.yaml:1:5: b.0: anchors and aliases are not read here: refer to a value with ${path.to.it}",
        ),
        (
            "<<: {a: 1}\n",
            "a.yaml:1:1: merge keys (<<) are not read here: name a base file in 'defaults'",
        ),
        (
            "a: !!python/object:os.system x\n",
            "a.yaml:1:4: a: the tag !!python/object:os.system is not read here: leave it out, "
            "and quote what is text",
        ),
        (
            "a: !!str 5\n",
            "a.yaml:1:4: a: the tag !!str is not read here: leave it out, and quote what is text",
        ),
        ("a: 1\n---\nb: 1\n", "a.yaml:2:1: holds a second document; give each a file of its own"),
        ("a: .nan\n", "a.yaml:1:4: a: .nan is no finite number; quote it if it is text"),
        ("a: [-.inf]\n", "a.yaml:1:5: a.0: -.inf is no finite number; quote it if it is text"),
        ("a: 1e999\n", "a.yaml:1:4: a: the number 1e999 is too large; quote it if it is text"),
        ("a: 1e-999\n", "a.yaml:1:4: a: the number 1e-999 is too small to be told from 0"),
        (
            "a: 9223372036854775808\n",
            "a.yaml:1:4: a: the whole number 9223372036854775808 is beyond 64 bits; quote it if it is text",
        ),
        (
            "a: 007\n",
            "a.yaml:1:4: a: 007 has a leading zero, which tools read differently; drop or quote it",
        ),
        ('a: "\\0"\n', "a.yaml:1:4: a: the text has the control character '\\x00'; leave it out"),
        ('a: "\\e[2J"\n', "a.yaml:1:4: a: the text has the control character '\\x1b'; leave it out"),
        ("a: 1\nb: \0\n", "a.yaml:2:4: has the control character '\\x00', which YAML does not allow"),
        (b"a: 1\nb: \xff\n", "a.yaml:2:4: is not valid UTF-8; save it as UTF-8"),
        ("a: 1".encode("utf-32"), "a.yaml: is UTF-32; save it as UTF-8"),
        (b"\xff\xfea", "a.yaml:1:1: is not valid UTF-16; save it as UTF-8"),
        (
            "a: [1\n",
            "a.yaml:2:1: is no valid YAML: did not find expected ',' or ']' (while parsing a flow sequence)",
        ),
        (
            "a:\n\t- 1\n",
            "a.yaml:2:1: is no valid YAML: found character that cannot start any token "
            "(while scanning for the next token)",
        ),
        ("k" * 201 + ": 1\n", f"a.yaml:1:1: the key '{'k' * 27}…' is not one line of at most 200 characters"),
    ],
)
def test_refusals(source: str | bytes, message: str) -> None:
    assert refusal(source) == message


def test_bounds() -> None:
    assert refusal("a: " + "9" * 5000).endswith("is beyond 64 bits; quote it if it is text")
    assert read("a: " + "[" * 63 + "]" * 63)
    assert "is nested more than 64 deep" in refusal("a: " + "[" * 64 + "]" * 64)
    assert "has more than 100,000 parts" in refusal("a: [" + "1," * 100_000 + "]")
    assert refusal("a: " + "x" * 1_000_000) == "a.yaml: is larger than 1,000,000 bytes, too large for a spec"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    assert read("title: Größe → 🧠\n".encode(encoding)).data == {"title": "Größe → 🧠"}


def test_a_value_has_the_place_it_is_given() -> None:
    assert value("[1, {a: b}]", "override 'x'") == [1, {"a": "b"}]
    with pytest.raises(SpecError, match=r"^override 'x': is no valid YAML: did not find expected"):
        value("[1", "override 'x'")
