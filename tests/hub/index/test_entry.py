"""Entries are read from files that anyone may have written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.checkpoints.folder import CheckpointFolder
from zoo.hub.index.database import Database, Row
from zoo.hub.index.entry import LAYOUTS, MOST, Entry, read_entry
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.record import Record

Make = Callable[..., CheckpointFolder]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FIELDS = (
    "name",
    "title",
    "paper",
    "tags",
    "license",
    "members",
    "series",
    "parameters",
    "metrics",
    "claims",
    "files",
)


def test_layouts_are_those_of_today() -> None:
    newest = {"record.json": Record, "spec.json": ExperimentSpec}
    assert {file: model.model_fields["spec"].default for file, model in newest.items()} == LAYOUTS


def test_it_says_what_record_and_spec_say(make: Make) -> None:
    folder = make("net", members=2, tags=["lorenz"], paper="dsa", series=[[0, 1, 100], [0, 100]])
    entry = read_entry(folder.path, "net", "c" * 40, ("v1",))
    assert entry == Entry(
        "net", "", "c" * 40, "elman", "flip-flop", "backprop", "dsa", "A tiny Elman network", ("lorenz",),
        ("v1",), 2, 30, 3, sum(file.size for file in folder.record.files.values()), 0, 0, "CC0-1.0",
        "2026-11-21T12:00:00+00:00", {"test/mse": (0.25, 0.375)},
    )  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), JSON)
def test_no_document_is_too_odd(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any], spec: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "odd"
    folder.mkdir(exist_ok=True)
    parts = spec if isinstance(spec, dict) else {"model": spec, "task": {"kind": spec}}
    for file, document in (("record.json", record), ("spec.json", parts)):
        (folder / file).write_text(json.dumps({**document, "spec": LAYOUTS[file]}))
    tables = Database(None)
    entry = read_entry(folder, "odd")
    tables.put([Row("odd", 1, "stamp", entry)])
    assert tables.entries(["odd"]) == [entry]
    assert all(len(text) <= MOST for text in (entry.title, entry.paper or "", *entry.tags))
    tables.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read as JSON"),
        ("[1]", "no object"),
        ('{"spec": "record/99"}', "newer"),
        ('{"spec": "record/1", "title": NaN}', "NaN"),
        ('{"spec": "record/1", "spec": "record/1"}', "twice"),
        ("[" * 100_000, ""),
        ('{"title": "no header"}', "not valid"),
    ],
)
def test_what_cannot_be_read_says_why(make: Make, content: str, said: str) -> None:
    folder = make("net").path
    (folder / "record.json").write_text(content)
    entry = read_entry(folder, "net")
    assert entry.problem
    assert said in entry.problem
    assert entry.model is None


def test_links_lead_nowhere_else(make: Make, tmp_path: Path) -> None:
    folder, secret = make("net").path, tmp_path / "secret"
    secret.write_text(json.dumps({"spec": "record/1", "title": "secret"}))
    for target in (secret, Path("..", "..", "blobs", "x"), Path("..", secret.name)):
        (folder / "record.json").unlink()
        os.symlink(target, folder / "record.json")
        entry = read_entry(folder, "net")
        assert "secret" not in entry.title
        assert entry.problem


def test_pipes_and_folders_are_no_records(make: Make) -> None:
    folder = make("net").path
    (folder / "record.json").unlink()
    os.mkfifo(folder / "record.json")
    assert "no regular file" in read_entry(folder, "net").problem
    (folder / "record.json").unlink()
    (folder / "record.json").mkdir()
    assert read_entry(folder, "net").problem
