"""What is wrong with a card is said, whatever it holds; and a card that is in order passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results
from hypothesis import example, given
from hypothesis import strategies as st

import zoo
from zoo.checkpoints.folder import CheckpointFolder
from zoo.errors import CheckpointError
from zoo.hub import model_index
from zoo.hub.base import DirectoryHub
from zoo.hub.cache import CacheHub
from zoo.hub.card import BEGIN, END, NOTE, render
from zoo.hub.card_check import MAX_CARD, MOST, problems, problems_of
from zoo.hub.plain import FolderHub
from zoo.paths import shipped
from zoo.specs.record import Record

Make = Callable[..., CheckpointFolder]


@pytest.fixture(scope="module")
def published() -> CheckpointFolder:
    """A population with claims and a portrait."""
    return CheckpointFolder(shipped("registry") / "dsa-rnn-flipflop")


@pytest.fixture(scope="module")
def card(published: CheckpointFolder) -> str:
    return render(published.record, published.experiment)


def test_a_card_in_order_has_no_problems(published: CheckpointFolder, card: str) -> None:
    assert problems(card) == []
    assert problems(card, published.record) == []
    assert problems(card.replace("\n", "\r\n"), published.record) == []
    for text in ("", "By hand.\n", "---\nlanguage: en\n---\nBy hand.\n", "---\n---\n"):
        assert problems(text, published.record) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("library_name: neuroai-zoo", "library_name: timm", "library_name should be neuroai-zoo"),
        ("library_name: neuroai-zoo", "library_name: [a]", "library_name should be a short text, and is"),
        ("license: cc0-1.0\n", "", "it has no license"),
        ("license: cc0-1.0", "license: mit", "its license is 'mit', and that of the record is CC0-1.0"),
        ("license: cc0-1.0", "license: free", "license should be an identifier that the Hub or SPDX lists"),
        ("license: cc0-1.0", "license: {a: b}", "license should be an identifier that the Hub or SPDX lists"),
        ("license: cc0-1.0", "license: other", "without a license_name"),
        ("- elman\n", f"- {'x' * 101}\n", "a tag should be a text of up to 100 characters"),
        ("- elman\n", "- 7\n", "a tag should be a text"),
        ("- elman\n", '- "two\\nlines"\n', "a tag should be a text"),
        ("tags:\n", "tags: {a: b}\nothers:\n", "tags should be a list"),
        (
            "value: 0.9973519295454025",
            "value: 1.0",
            "'test/sign_accuracy' is 0.9973519295454025 in the record",
        ),
        ("value: 0.9973519295454025", "value: true", "model-index cannot be read: 0.results.0.metrics"),
        ("value: 0.9973519295454025", "value: [1]", "model-index cannot be read: 0.results.0.metrics"),
        ("≥ 0.99 holds", "≥ 0.9 holds", "'claim: test/sign_accuracy ≥ 0.9 holds' = 0.99"),
        ("name: train/steps", "name: train/sleep", "'train/sleep' = 1270.75, which the record has not"),
        ("model-index:", "model-index: [a]\nother-index:", "model-index cannot be read"),
        ("model-index:", "other-index:", "model-index lacks it"),
        ("  results:", "  outcomes:", "model-index cannot be read: 0.results: Field required"),
        ("\n---\n\n<!--", "\na: &x [1]\nb: *x\n---\n\n<!--", "anchors and aliases are not read"),
        ("\n---\n\n<!--", "\na: [\n---\n\n<!--", "README.md:"),
        ("\n---\n\n<!--", f"\na: {'[' * 10_000}\n---\n\n<!--", "nested more than 64 deep"),
        ("\n---\n\n<!--", f"\na: 1{'0' * 5000}\n---\n\n<!--", "is beyond 64 bits"),
        ("\n---\n\n<!--", "\na: !!python/name:os.system x\n---\n\n<!--", "the tag"),
        ("\n---\n\n<!--", "\n\n<!--", "the --- that begins its front matter has no second"),
        (BEGIN, "", "it should have one line"),
        (END, f"{END}\n{END}", "it should have one line"),
        (
            "## Limits",
            "<script>alert(1)</script>\n\n## Limits",
            "the generated block has HTML in it, '<script>",
        ),
        ("| 4 |", "| <b>4</b> |", "the generated block has HTML in it, '<b>'"),
        (NOTE, f"{NOTE} <b>", "the generated block has HTML in it"),
        ("## Limits", "![x](https://e.example/x.png)\n\n## Limits", "shows a picture from elsewhere"),
        ("## Limits", "![x](../../etc/passwd)\n\n## Limits", "which is no file of the checkpoint"),
        ("## Limits", "![x][y]\n\n[y]: z.png\n\n## Limits", "'z.png', which is no file of the checkpoint"),
        ("## Limits", "## Li\u202emits", "has the character U+202E, which cannot be seen"),
        ("## Limits", "## Li\0mits", "has the character U+0000"),
        ("## Limits", "## Li\ud800mits", "has the character U+D800"),
    ],
)
def test_what_is_wrong_is_said(published: CheckpointFolder, card: str, old: str, new: str, said: str) -> None:
    assert old in card
    found = problems(card.replace(old, new, 1), published.record)
    assert any(said in problem for problem in found), found


def test_people_may_write_what_they_like_around_the_block(published: CheckpointFolder, card: str) -> None:
    by_hand = (
        "<b>Ours</b>\n\n![badge](https://e.example/b.svg) ![weights](./spec.json)\n\n```\n<script>\n```\n"
    )
    assert problems(f"{card}\n{by_hand}", published.record) == []
    (problem,) = problems(f"{card}\n![ours](figure.png)\n", published.record)
    assert "'figure.png', which is no file of the checkpoint" in problem
    assert problems(f"{card}\n![ours](figure.png)\n") == []


def test_code_is_not_taken_for_html(card: str) -> None:
    for code in ("```\n<script>\n```", "    <script>", "`<script>`", "~~~\n```\n<script>\n~~~"):
        assert problems(card.replace("## Limits", f"{code}\n\n## Limits")) == []
    for disguise in (
        "~~~\n```\n~~~\n\n<script>\n\n```\n```",
        "- ```\n  ```\n\n<script>",
        "   ```\n```\n\n<script>",
    ):
        (problem,) = problems(card.replace("## Limits", f"{disguise}\n\n## Limits"))
        assert "'<script>" in problem


def test_a_long_card_and_a_long_list_are_cut(published: CheckpointFolder, card: str) -> None:
    (problem,) = problems("x" * (MAX_CARD + 1))
    assert problem == "it is 131,073 characters long; shorten it to 131,072"
    many = card.replace("- elman\n", "".join(f"- {number}\n" for number in range(100)))
    assert len(problems(many, published.record)) == MOST
    (problem,) = problems_of(b"caf\xe9", published.record)
    assert problem == "it is not UTF-8 (byte 3); save it as UTF-8"


@pytest.mark.parametrize("hub", [CacheHub, FolderHub])
def test_a_card_with_problems_is_not_published(make: Make, memory: Path, hub: type[DirectoryHub]) -> None:
    target = hub(memory / "hub")
    good = make(card=None)
    bad = make(card=render(good.record, good.experiment).replace("license: cc0-1.0", "license: mit"))
    with pytest.raises(CheckpointError, match=r"that of the record is CC0-1.0\. Correct it, or remove it"):
        target.publish(bad)
    assert not list(memory.rglob("README.md"))
    target.publish(good, "other")
    assert 'zoo.load("other")' in target.fetch("other").read("README.md").decode()


def test_a_checkpoint_without_a_licence_is_not_published(make: Make, memory: Path) -> None:
    """A record made by hand may lack one, or say what is none."""
    for said, license in (("license: is required", None), ("'free' is no SPDX licence", '"free"')):
        made = make()
        path = made.path / "record.json"
        line = next(line for line in path.read_text().splitlines(True) if '"license"' in line)
        new = "" if license is None else line.replace('"CC0-1.0"', license)
        path.write_text(path.read_text().replace(line, new))
        with pytest.raises(CheckpointError, match=said):
            CacheHub(memory / "hub").publish(CheckpointFolder(made.path))
    assert not list(memory.rglob("record.json"))


def test_verify_reports_the_card(published: CheckpointFolder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, data in published.contents().items():
        (copy / name).write_bytes(data)
    (copy / "README.md").write_text("---\nlicense: mit\n---\n")
    result = zoo.verify(CheckpointFolder(copy), outputs=False)
    assert not result.holds
    assert result.card == ("its license is 'mit', and that of the record is CC0-1.0",)
    (copy / "README.md").unlink()
    assert zoo.verify(CheckpointFolder(copy), outputs=False).holds


# Hostile cards ------------------------------------------------------------------------------------

PIECES = (
    *(
        "---\n",
        "\n",
        "\r\n",
        "- ",
        "? ",
        ": ",
        "{",
        "[",
        "]",
        "}",
        "&a ",
        "*a ",
        "<<: ",
        "!!set ",
        "|\n",
        "'",
        '"',
    ),
    *(
        "model-index:\n",
        "- name: x\n",
        "  results:\n",
        "  - task: {type: a}\n",
        "tags: ",
        "license: ",
        "other",
    ),
    *("    dataset: {type: a, name: b}\n", "    metrics: [{type: c, value: .nan}]\n", "1e999", "1_0", "0o7"),
    *(
        BEGIN,
        END,
        NOTE,
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<![CDATA[",
        "<?",
        "&lt;",
        "&#0;",
        "`",
        "```\n",
    ),
    *(
        "![",
        "](",
        ")",
        "portrait.png",
        "../",
        "javascript:",
        "data:image/png;base64,",
        "%2e%2e",
        "| a | b |\n",
    ),
    *("| - | - |\n", "> ", "# ", "\0", "\u202e", "\u2066", "\ud800", "\ufeff", "é", "9" * 50, "[" * 50, "\t"),
)


def check(text: str, record: Record) -> None:
    """Whatever it is, there are sentences about it that can be printed, and a card is made or refused."""
    for found in (problems(text), problems(text, record)):
        assert len(found) <= MOST
        assert all(isinstance(problem, str) and 0 < len(problem) < 2000 for problem in found)
    try:
        rendered = render(record, EXPERIMENT, text)
    except CheckpointError:
        return
    assert rendered.count(BEGIN) == 1


FOLDER = CheckpointFolder(shipped("registry") / "dsa-rnn-flipflop")
EXPERIMENT = FOLDER.experiment


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=40).map("".join))
@example("---\n" + "a: " + "[" * 10_000 + "\n---\n")
@example("---\n" + "".join(f"{'  ' * n}a:\n" for n in range(500)) + "---\n")
@example("---\na: &a [x]\n" + "".join(f"{c}: &{c} [*a,*a]\n" for c in "bcdefghij") + "---\n")
@example("---\nmodel-index: 5\nlicense: 5\ntags: 5\nlibrary_name: 5\n---\n")
@example("---\nlicense: " + "(" * 5000 + "\n---\n")
@example("> " * 5_000)
@example("[" * 10_000)
@example("![" * 5_000)
@example("<" * 10_000)
@example("*a_" * 5_000)
@example("`" * 10_000)
@example("<!-- " * 5_000)
def test_no_card_does_harm(text: str) -> None:
    check(text, FOLDER.record)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        nested := lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ("name", "results", "task", "dataset", "metrics", "type", "value", "source", "split")
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_no_front_matter_does_harm(value: Any) -> None:
    try:
        model_index.read(value)
    except ValueError:
        pass
    else:
        assert value == [] or model_index_to_eval_results(value), "what we read, the Hub's client reads"
    for key in ("model-index", "tags", "license", "library_name", "pipeline_tag", "license_name"):
        check(f"---\n{yaml.safe_dump({key: value})}---\n{BEGIN}\n{END}\n", FOLDER.record)


@pytest.mark.slow
def test_many_damaged_cards_do_no_harm(published: CheckpointFolder, card: str) -> None:
    """A real card with pieces cut, doubled and put in: 5,000 times."""
    chance = random.Random(0)
    for _ in range(5_000):
        text = card
        for _ in range(chance.randint(1, 4)):
            start, end = sorted(chance.choices(range(len(text) + 1), k=2))
            end = min(end, start + chance.choice((0, 1, 5, 100, 1000)))
            put = chance.choice(
                (chance.choice(PIECES), text[start:end] * 2, "", chr(chance.randrange(0x250)))
            )
            text = text[:start] + put + text[end:]
        check(text, published.record)
