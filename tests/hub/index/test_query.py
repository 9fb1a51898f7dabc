"""Queries mean the same in Python and in SQL."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.hub.index.database import Database, Row
from zoo.hub.index.entry import Entry
from zoo.hub.index.query import Bound, Query, patterns

KINDS = st.sampled_from([None, "gru", "elman", "sine", "a'b", ""])
WORDS = st.sampled_from(["", "lorenz", "Ring", "ÄTHER", "v1", "'; DROP", "100%", "_"])
NAMES = st.from_regex(r"(lab/)?[a-c][a-c1.-]{0,3}[a-c1]", fullmatch=True)
GLOBS = st.sampled_from(
    [
        "*",
        "a*",
        "*1",
        "lab/*",
        "?b*",
        "[ab]*",
        "[!a]*",
        "[",
        "a[",
        "*-*",
        "",
        "b",
        "!*a",
        "![a]*",
        "*.*",
        "A*",
    ]
)
NUMBERS = st.floats(-10, 10)
ENTRIES = st.builds(
    Entry,
    name=NAMES,
    model=KINDS,
    task=KINDS,
    learner=KINDS,
    paper=KINDS,
    title=WORDS,
    tags=st.lists(WORDS, max_size=3).map(tuple),
    revisions=st.lists(WORDS, max_size=2).map(tuple),
    metrics=st.dictionaries(
        st.sampled_from(["test/loss", "a b"]), st.tuples(NUMBERS, NUMBERS).map(lambda x: (min(x), max(x)))
    ),
)
BOUNDS = st.builds(
    Bound, st.sampled_from(["test/loss", "a b", "none"]), st.sampled_from(["<", "<=", ">", ">="]), NUMBERS
)
QUERIES = st.builds(
    Query,
    names=st.lists(GLOBS, max_size=3).map(tuple),
    text=WORDS,
    kind=KINDS,
    model=KINDS,
    task=KINDS,
    learner=KINDS,
    paper=KINDS,
    tag=st.none() | WORDS,
    bounds=st.lists(BOUNDS, max_size=2).map(tuple),
)
ONE = st.sampled_from(["names", "text", "kind", "model", "task", "learner", "paper", "tag", "bounds"])


@settings(max_examples=100)
@given(st.lists(ENTRIES, max_size=8, unique_by=lambda entry: entry.name), QUERIES, ONE)
def test_sql_finds_what_matches(entries: list[Entry], query: Query, part: str) -> None:
    tables = Database(None)
    tables.put(Row(entry.name, 1, "stamp", entry) for entry in entries)
    tables.put([Row("gone", 1, "-", None)])
    alone = Query(**{part: getattr(query, part)})  # all of them together let hardly anything pass
    for each in (query, alone):
        expected = sorted(entry.name for entry in entries if each.matches(entry))
        assert tables.names(each) == expected
        assert tables.count(each) == len(expected)
        assert tables.names(each, limit=1) == expected[:1]
    found = tables.entries([entry.name for entry in entries])
    assert found == entries
    tables.close()


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("test/loss<0.1", Bound("test/loss", "<", 0.1)),
        (" test/loss >= -1e-3 ", Bound("test/loss", ">=", -1e-3)),
        ("sign accuracy>0", Bound("sign accuracy", ">", 0.0)),
    ],
)
def test_bounds_are_read(text: str, bound: Bound) -> None:
    assert Bound.parse(text) == bound


@pytest.mark.parametrize(
    "text", ["", "loss", "loss=1", "loss<", "<1", "loss<x", "a<b<1", "loss<nan", "loss==1"]
)
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(ZooError, match="Bounds look like"):
        Bound.parse(text)


def test_a_bound_is_one_of_every_member() -> None:
    entry = Entry("net", metrics={"loss": (0.1, 0.3)})
    kept = ["loss<0.4", "loss<=0.3", "loss>0.05", "loss>=0.1"]
    broken = ["loss<0.3", "loss<0.2", "loss>0.1", "loss>0.2", "other<9"]
    assert all(Bound.parse(text).holds(entry) for text in kept)
    assert not any(Bound.parse(text).holds(entry) for text in broken)


def test_everything_is_no_condition() -> None:
    assert patterns("*") == ()
    assert patterns(["a*", "!ab"]) == ("a*", "!ab")


@pytest.mark.parametrize("query", [Query(), Query(model="gru"), Query(task="sine"), Query(paper="dsa")])
def test_names_are_found_in_order_without_a_look_at_the_rows(query: Query) -> None:
    where, values = query.sql()
    asked = f"EXPLAIN QUERY PLAN SELECT name FROM entries WHERE {where} ORDER BY name"
    database = Database(None)
    (step,) = database.open.execute(asked, values).fetchall()
    assert "COVERING INDEX" in step[-1]
