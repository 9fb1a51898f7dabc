"""The tables of an index: one SQLite file, which processes share, any of which may be killed."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from zoo.hub.index.entry import Entry
from zoo.hub.index.query import Query, matches, words

FILE = "index.sqlite"
BUSY = 60.0
"""Seconds to wait for another process that is writing to the file."""
AT_ONCE = 500
"""Names that are asked for in one statement."""
_LISTS = ("tags", "revisions")
_BASE = tuple(field.name for field in fields(Entry) if field.name not in ("hub", "metrics", *_LISTS))
_TABLES = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, inode INTEGER NOT NULL, stamp TEXT NOT NULL, live INTEGER NOT NULL, words TEXT,
    name TEXT NOT NULL UNIQUE, "commit" TEXT, model TEXT, task TEXT, learner TEXT, paper TEXT, title TEXT,
    members INTEGER, parameters INTEGER, snapshots INTEGER, size INTEGER, held INTEGER, failed INTEGER,
    license TEXT, created TEXT, problem TEXT, tags TEXT, revisions TEXT
);
CREATE INDEX by_name ON entries (live, name);
CREATE INDEX by_model ON entries (model, live, name);
CREATE INDEX by_task ON entries (task, live, name);
CREATE INDEX by_learner ON entries (learner, live, name);
CREATE INDEX by_paper ON entries (paper, live, name);
CREATE INDEX unsettled ON entries (name) WHERE stamp = '';
CREATE TABLE tags (tag TEXT, entry INTEGER, PRIMARY KEY (tag, entry)) WITHOUT ROWID;
CREATE INDEX tags_of ON tags (entry);
CREATE TABLE metrics (
    metric TEXT, entry INTEGER, lowest REAL, highest REAL, PRIMARY KEY (metric, entry)
) WITHOUT ROWID;
CREATE INDEX metrics_of ON metrics (entry);
CREATE TABLE begun (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE facts (fact TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
Order = Literal["name", "modified", "created"]
ORDERS: dict[Order, str] = {
    "name": "name",
    "modified": "modified DESC, name",
    "created": "created DESC, name",
}
_abandoned: list[sqlite3.Connection | None] = []


@dataclass(frozen=True)
class Row:
    """What is kept of a name: an entry, or that there is none."""

    name: str
    inode: int
    stamp: str
    """Empty where it is too fresh to tell by it whether something has changed since."""
    entry: Entry | None


class Database:
    """The tables, opened when first used. Raises :class:`sqlite3.Error`.

    Args:
        folder: Where the file is; none for one in memory.
        kind: What entries are, with further fields of one value each.
    """

    def __init__(self, folder: Path | None, kind: type[Entry] = Entry) -> None:
        self.folder = folder
        self.kind = kind
        more = [field.name for field in fields(kind)][len(fields(Entry)) :]
        self._columns = (*_BASE, *more, *_LISTS)
        self._named = ", ".join(f'"{column}"' for column in self._columns)
        self._script = _TABLES + "".join(f'ALTER TABLE entries ADD COLUMN "{column}"; ' for column in more)
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()

    def __del__(self) -> None:
        if self._process == os.getpid():
            self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def remove(self) -> None:
        """The file and what lies beside it."""
        self.close()
        if self.folder is not None:
            for path in self.folder.glob(f"{FILE}*"):
                path.unlink(missing_ok=True)

    @property
    def open(self) -> sqlite3.Connection:
        if (
            self._process != os.getpid()
        ):  # a connection does not survive a fork, and is not to be closed there
            _abandoned.append(self._connection)
            self._connection, self._process = None, os.getpid()
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise sqlite3.OperationalError(str(problem)) from problem
        where = ":memory:" if self.folder is None else str(self.folder / FILE)
        connection = sqlite3.connect(where, BUSY, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cache_size = -65536")  # KiB
            connection.create_function("zoo_glob", 2, matches, deterministic=True)
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            version = zlib.crc32(self._script.encode()) >> 1  # files with other tables are made anew
            if found not in (0, version):
                raise sqlite3.DatabaseError("it has other tables")
            if found == 0:
                script = f"BEGIN IMMEDIATE; {self._script} PRAGMA user_version = {version}; COMMIT;"
                connection.executescript(script)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing of what is done inside."""
        self.open.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self.open.execute("ROLLBACK")
            raise
        self.open.execute("COMMIT")

    def facts(self) -> dict[str, Any]:
        """What is known of the whole."""
        return dict(self.open.execute("SELECT fact, value FROM facts"))

    def note(self, facts: dict[str, Any]) -> None:
        self.open.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def begun(self) -> set[str]:
        """Names whose change was begun and, as far as is known, has not ended."""
        return {name for (name,) in self.open.execute("SELECT name FROM begun")}

    def set_begun(self, names: Iterable[str]) -> None:
        self.open.execute("DELETE FROM begun")
        self.open.executemany("INSERT INTO begun VALUES (?)", [(name,) for name in names])

    def unsettled(self) -> set[str]:
        return {name for (name,) in self.open.execute("SELECT name FROM entries WHERE stamp = ''")}

    def folders(self) -> dict[str, int]:
        """Name → number of its folder."""
        return dict(self.open.execute("SELECT name, inode FROM entries"))

    def stamps(self, after: str, count: int) -> list[tuple[str, str]]:
        """Names and stamps of the next so many after a name."""
        asked = "SELECT name, stamp FROM entries WHERE name > ? ORDER BY name LIMIT ?"
        return self.open.execute(asked, (after, count)).fetchall()

    def stamps_of(self, names: Sequence[str]) -> dict[str, str]:
        return dict(self._of("SELECT name, stamp FROM entries", names))

    def put(self, rows: Iterable[Row]) -> None:
        """Keep rows in the place of those of the same names."""
        for row in rows:
            self.drop([row.name])
            entry = row.entry or self.kind(row.name)
            plain = [getattr(entry, column) for column in self._columns[: -len(_LISTS)]]
            lists = [json.dumps(getattr(entry, column), ensure_ascii=False) for column in _LISTS]
            marks = ", ".join("?" * (4 + len(self._columns)))
            done = self.open.execute(
                f"INSERT INTO entries (inode, stamp, live, words, {self._named}) VALUES ({marks})",
                (row.inode, row.stamp, row.entry is not None, words(entry), *plain, *lists),
            )
            tags = {(tag, done.lastrowid) for tag in (*entry.tags, *entry.revisions)}
            self.open.executemany("INSERT INTO tags VALUES (?, ?)", tags)
            bounds = [(name, done.lastrowid, *both) for name, both in entry.metrics.items()]
            self.open.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", bounds)

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            for (number,) in self.open.execute("SELECT id FROM entries WHERE name = ?", (name,)).fetchall():
                for table, key in (("tags", "entry"), ("metrics", "entry"), ("entries", "id")):
                    self.open.execute(f"DELETE FROM {table} WHERE {key} = ?", (number,))

    def clear(self) -> None:
        for table in ("entries", "tags", "metrics", "begun", "facts"):
            self.open.execute(f"DELETE FROM {table}")

    def count(self, query: Query) -> int:
        where, values = query.sql()
        (found,) = self.open.execute(f"SELECT count(*) FROM entries WHERE {where}", values).fetchone()
        return int(found)

    def names(
        self, query: Query, limit: int | None = None, start: int = 0, order: Order = "name"
    ) -> list[str]:
        """Names that a query finds, in an order."""
        where, values = query.sql()
        asked = f"SELECT name FROM entries WHERE {where} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?"
        found = self.open.execute(asked, (*values, -1 if limit is None else limit, start))
        return [name for (name,) in found]

    def entries(self, names: Sequence[str]) -> list[Entry]:
        """What is known of some names, those of them that there are, in the order of these."""
        rows = list(self._of(f"SELECT id, {self._named} FROM entries", names, "AND live"))
        metrics: dict[int, dict[str, tuple[float, float]]] = {}
        asked = "SELECT entry, metric, lowest, highest FROM metrics"
        for number, metric, *both in self._of(asked, [row[0] for row in rows], key="entry"):
            metrics.setdefault(number, {})[metric] = both[0], both[1]
        found = {row[1]: self._entry(row, metrics.get(row[0], {})) for row in rows}
        return [found[name] for name in names if name in found]

    def _entry(self, row: Sequence[Any], metrics: dict[str, tuple[float, float]]) -> Entry:
        known = dict(zip(self._columns, row[1:], strict=True))
        known |= {column: tuple(json.loads(known[column])) for column in _LISTS}
        return self.kind(**known, metrics=metrics)

    def _of(self, select: str, keys: Sequence[Any], more: str = "", key: str = "name") -> Iterator[Any]:
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ",".join("?" * len(part))
            yield from self.open.execute(f"{select} WHERE {key} IN ({marks}) {more}", part)


def damaged(problem: sqlite3.Error) -> bool:
    """Whether an error says that the file is not what it should be, and has to be made anew."""
    return type(problem) is sqlite3.DatabaseError or str(problem).startswith(
        ("no such table", "no such column")
    )
