"""What is wrong with a card, found without the network and in bounded time, however hostile it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from zoo.checkpoints.folder import CARD, RECORD
from zoo.errors import CheckpointError, brief
from zoo.hub.card import BEGIN, END, NOTE, paired
from zoo.hub.front_matter import LIBRARY, MAX_TAG, is_tag, results, split
from zoo.hub.licenses import is_license, license_keys
from zoo.hub.model_index import Result, numbers, read
from zoo.specs.record import Record

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_CARD = 128 * 1024
"""Characters of a card at most: text that is made to be slow to parse takes two seconds then."""
MAX_TAGS, MAX_WORD = 200, 1000
"""Tags of a card, and characters of other words in its front matter, at most."""
MOST = 20
"""Problems that are listed."""
_INVISIBLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that reverse what follows, and halves of others."""


def problems(card: str, record: Record | None = None) -> list[str]:
    """Everything that is wrong with a card, a sentence each, 20 at most; nothing where it is fine.

    With the ``record`` of its checkpoint, licence, numbers and pictures must be the record's too.
    """
    if len(card) > MAX_CARD:
        return [f"it is {len(card):,} characters long; shorten it to {MAX_CARD:,}"]
    found = list(_invisible(card))
    try:
        front, body = split(card)
    except CheckpointError as problem:
        return [*found, str(problem).rstrip(".")]
    if not front and body.startswith("---"):
        found.append("the --- that begins its front matter has no second --- after it")
    found += _front(front, record, whole=BEGIN in body)
    found += _body(body, None if record is None else {RECORD, CARD, *record.files})
    return list(dict.fromkeys(found))[:MOST]


def check_card(card: bytes, record: Record) -> None:
    """Raises :class:`CheckpointError` with everything that is wrong with the card of a checkpoint."""
    if found := problems_of(card, record):
        listed = "; ".join(found)
        raise CheckpointError(
            f"README.md of {record.name} cannot be published: {listed}. Correct it, or remove it to have it "
            "written anew."
        )


def problems_of(card: bytes, record: Record) -> list[str]:
    """The same as :func:`problems`, of the bytes of a file."""
    try:
        return problems(card.decode("utf-8"), record)
    except UnicodeDecodeError as problem:
        return [f"it is not UTF-8 (byte {problem.start}); save it as UTF-8"]


def _invisible(card: str) -> Iterator[str]:
    if character := _INVISIBLE.search(card):
        line = card.count("\n", 0, character.start()) + 1
        code = f"U+{ord(character[0]):04X}"
        yield f"line {line} has the character {code}, which cannot be seen; remove it"


# Front matter -------------------------------------------------------------------------------------


def _front(front: dict[str, Any], record: Record | None, whole: bool) -> Iterator[str]:
    """``whole``: the card has a generated block, so nothing that is generated may be missing."""
    for key in ("library_name", "pipeline_tag", "license_name", "license_link"):
        if key in front and not _is_word(front[key]):
            yield f"{key} should be a short text, and is {brief(front[key])}"
    yield from _tags(front.get("tags", []))
    if "license" in front and not is_license(front["license"]):
        yield f"license should be an identifier that the Hub or SPDX lists, and is {brief(front['license'])}"
    if front.get("license") == "other" and "license_name" not in front:
        yield "its license is 'other', without a license_name that says which"
    if "model-index" in front or whole:
        yield from _index(front.get("model-index", []), record)
    if whole and front.get("library_name") != LIBRARY:
        yield f"library_name should be {LIBRARY}, by which checkpoints are found"
    if whole and "license" not in front:
        yield "it has no license"
    elif record is not None and "license" in front:
        expected = license_keys(record.license)
        if any(front.get(key) != expected.get(key) for key in ("license", "license_name")):
            yield f"its license is {brief(front['license'])}, and that of the record is {record.license}"


def _tags(tags: Any) -> Iterator[str]:
    if not isinstance(tags, list) or len(tags) > MAX_TAGS:
        yield f"tags should be a list of at most {MAX_TAGS} words, and is {brief(tags)}"
        return
    for tag in tags:
        if not is_tag(tag):
            yield f"a tag should be a text of up to {MAX_TAG} characters on one line, and one is {brief(tag)}"


def _index(index: Any, record: Record | None) -> Iterator[str]:
    """Where a model-index cannot be read, or says something else than the record."""
    try:
        given = numbers([result for model in read(index) for result in model.results])
    except ValueError as problem:
        yield f"model-index cannot be read: {problem}"
        return
    if record is None:
        return
    expected = numbers([Result.model_validate(result) for result in results(record, "-")])
    for key, value in expected.items():
        found, name = given.pop(key, None), key[1]
        if found != value:
            has = "lacks it" if found is None else f"says {brief(found)}"
            yield f"{brief(name, 100)} is {value} in the record, and model-index {has}"
    for (_, name), value in given.items():
        yield f"model-index has {brief(name, 100)} = {brief(value)}, which the record has not"


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_WORD and value.isprintable()


# Body ---------------------------------------------------------------------------------------------


def _body(body: str, files: Collection[str] | None) -> Iterator[str]:
    if not paired(body):
        yield f"it should have one line {BEGIN} and one {END} after it; restore the pair, or remove both"
        return
    first, last = (body.count("\n", 0, body.find(mark)) if mark in body else -1 for mark in (BEGIN, END))
    for token, line in _tokens(body):
        inside = first <= line <= last
        if token.type == "image":
            yield from _image(str(token.attrGet("src") or ""), inside, files)
        elif inside and token.type in ("html_block", "html_inline"):
            html = token.content.strip()
            if not set(html.splitlines()) <= {BEGIN, END, NOTE}:
                yield f"the generated block has HTML in it, {brief(html)}; remove it"


def _tokens(body: str) -> Iterator[tuple[Token, int]]:
    """Every part of a text in Markdown, and the line (from 0) of the block that it is in."""
    from markdown_it import MarkdownIt

    line = 0
    for token in MarkdownIt("commonmark").enable("table").parse(body):
        line = token.map[0] if token.map else line
        for part in (token, *(token.children or ())):
            yield part, line


def _image(source: str, inside: bool, files: Collection[str] | None) -> Iterator[str]:
    """``files`` are those of the checkpoint; none where it is not known."""
    if re.match("https?://", source, re.IGNORECASE):
        if inside:
            yield f"the generated block shows a picture from elsewhere, {brief(source)}; remove it"
        return
    path = str(PurePosixPath(unquote(source)))
    missing = path not in files if files is not None else not re.fullmatch(r"[A-Za-z0-9][\w.-]*", path)
    if missing:
        yield f"it shows the picture {brief(source)}, which is no file of the checkpoint"
