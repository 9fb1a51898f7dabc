"""Which models a server has: found, sorted and told from an index, as many at a time as are asked for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import HubError
from zoo.hub.index.database import Order
from zoo.hub.index.entry import MOST, Entry
from zoo.hub.index.index import Index
from zoo.hub.index.query import Query
from zoo.hub.index.sources import GONE, CacheSource, Stamp
from zoo.hub.server import about
from zoo.hub.server.access import namespace
from zoo.hub.server.cards import dumps
from zoo.hub.server.describing import CARD, describe_model
from zoo.hub.server.refusals import RefusedError
from zoo.hub.server.remembering import identity
from zoo.hub.server.shelf import Shelf
from zoo.hub.server.tokens import Token

BUDGET = 0.005
"""Seconds of each list that go into looking for changes that nobody told of."""
WAIT = 20.0
"""Seconds that a request for a list waits for the index of a hub that has not been read before."""


@dataclass(frozen=True)
class Model(Entry):
    """A model as lists tell of it."""

    private: bool = False
    pipeline: str = ""
    """What the card says it is for."""
    modified: str = ""
    """When its newest revision was made: ISO 8601, UTC."""
    told: str = ""
    """What a list says of it, in JSON."""


@dataclass(frozen=True)
class Wanted(Query):
    """What a client looks for, among what it may read."""

    tags: tuple[str, ...] = ()
    """All of which it has."""
    author: str | None = None
    parts: tuple[str, ...] = ()
    """Of its name."""
    pipeline: str | None = None
    token: Token | None = None

    def sql(self) -> tuple[str, list[str | float]]:
        where, values = super().sql()
        terms = [where]
        for tag in self.tags:
            terms.append("id IN (SELECT entry FROM tags WHERE tag = ?)")
            values.append(tag)
        for part in self.parts:
            terms.append("instr(name, ?)")
            values.append(part.lower())
        if self.author == "":
            terms.append("NOT instr(name, '/')")
        elif self.author is not None:
            terms.append("substr(name, 1, ?) = ?")
            values += [len(self.author) + 1, f"{self.author}/"]
        if self.pipeline is not None:
            terms.append("pipeline = ?")
            values.append(self.pipeline)
        if self.token is None:
            terms.append("NOT private")
        elif not self.token.admin:
            own = (self.token.name, *self.token.organisations)
            covered = " OR ".join("substr(name, 1, ?) = ?" for _ in own)
            terms.append(f"(NOT private OR {covered})")
            for namespace in own:
                values += [len(namespace) + 1, f"{namespace}/"]
        return " AND ".join(terms), values


class ServedSource(CacheSource):
    """A directory of repositories, and what a server says of them."""

    form = "served"
    kind: type[Entry] = Model

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf.root)
        self.shelf = shelf

    def stamp(self, name: str) -> Stamp:
        stamp, changed = super().stamp(name)
        if stamp == GONE:
            return stamp, changed
        said = identity(f"{self._top}{name.replace('/', '--')}/{about.FILE}")
        return (stamp, changed) if said is None else (f"{stamp} {said}", max(changed, said[1]))

    def read(self, name: str) -> Entry | None:
        shelf = self.shelf
        try:
            place = shelf.repository(name)
            said = shelf.about(place)
            revision = shelf.revision(place, about=said)
            model, card = describe_model(shelf, revision), shelf.card(revision)
        except (RefusedError, OSError):  # deleted meanwhile, or damaged
            return None
        pipeline = card.data.get("pipeline_tag")
        return Model(
            name,
            commit=revision.commit,
            title=card.title,
            tags=card.tags,
            created=str(model["createdAt"]),
            private=said.private,
            pipeline=pipeline[:MOST] if isinstance(pipeline, str) else "",
            modified=str(model["lastModified"]),
            told=dumps({key: value for key, value in model.items() if key not in CARD}).decode(),
        )


class Catalogue:
    """The models of one served folder. For several threads at once."""

    def __init__(self, shelf: Shelf) -> None:
        self._index = Index(ServedSource(shelf), budget=BUDGET)
        self._begun = threading.Lock()
        self._read = threading.Event()

    def page(self, wanted: Wanted, order: Order, start: int, count: int) -> tuple[list[Model], bool]:
        """So many models from a place on, and whether there are more."""
        self._ready()
        found = self._index.find(wanted, count, start, order)
        more = bool(self._index.names(wanted, 1, start + count, order))
        models = [model for model in found if isinstance(model, Model) and _may_read(wanted.token, model)]
        return models, more

    def count(self, wanted: Wanted) -> int:
        self._ready()
        return self._index.count(wanted)

    def begin(self) -> None:
        """Read the folder into the index, in a thread of its own, unless that has been done."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._first, daemon=True).start()

    def _ready(self) -> None:
        """Raises :class:`RefusedError` where the index takes long to be made for the first time."""
        self.begin()
        if not self._read.wait(WAIT):
            raise RefusedError(
                503, "This hub reads what it has into an index, which takes long the first time. Try later."
            )

    def _first(self) -> None:
        try:
            self._index.count()
        except (HubError, OSError):
            pass  # whoever asks is told
        finally:
            self._read.set()


def _may_read(token: Token | None, model: Model) -> bool:
    """Whether a model may be told of, by what stands in the folder now."""
    return not model.private or (token is not None and token.covers(namespace(model.name)))


def told(models: Sequence[Model]) -> bytes:
    """A list of them, in JSON."""
    return f"[{','.join(model.told for model in models)}]".encode()
