"""What there is on hubs, by what it is: lists and filters, from an index where a hub has one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from zoo.errors import HubError, ZooWarning
from zoo.hub.base import DirectoryHub, Hub
from zoo.hub.index.entry import Entry
from zoo.hub.index.query import Bound, Query, patterns
from zoo.hub.lookup import hubs, open_hub
from zoo.progress import Bars


@dataclass(frozen=True)
class Found:
    """What a query found under one name."""

    entry: Entry
    """On the first hub that has it."""
    hubs: tuple[str, ...]
    """All that have the name."""


def entries(
    pattern: str | Sequence[str] = "*",
    hub: str | None = None,
    *,
    text: str = "",
    kind: str | None = None,
    model: str | None = None,
    task: str | None = None,
    learner: str | None = None,
    paper: str | None = None,
    tag: str | None = None,
    metric: str | Sequence[str] = (),
    limit: int | None = None,
) -> list[Entry]:
    """Checkpoints on any hub, or on one, by name: those that all filters let pass, without loading any.

    Args:
        pattern: A glob over names, or several; what follows a ``!`` is left out.
        hub: The name of a hub, a directory or an address.
        text: A part of the name, the title or a tag, in any case.
        kind: Of the model, the task or the learner.
        tag: Of the record (``attractor``) or of a revision (``v1``).
        metric: Bounds that every member keeps, such as ``"test/loss<0.1"``.
        limit: How many, at most.

    Of hubs that keep no index, as those on the network, only names are known. Raises :class:`HubError`,
    :class:`ZooError` for what is no bound.
    """
    bounds = tuple(map(Bound.parse, [metric] if isinstance(metric, str) else metric))
    query = Query(patterns(pattern), text, kind, model, task, learner, paper, tag, bounds)
    _, found = find(query, [open_hub(hub)] if hub else hubs(), limit=limit)
    return [each.entry for each in found]


def find(
    query: Query, among: Sequence[Hub], *, limit: int | None = None, progress: bool = False
) -> tuple[list[str], list[Found]]:
    """The names that a query finds on some hubs, in order, and what is known of the first ``limit``."""
    names = merged(matching(hub, query, progress) for hub in among)
    return names, known(names[:limit], among)


def merged(lists: Iterable[Iterable[str]]) -> list[str]:
    """Each name once, in order: what is in order already, as hundreds of thousands may be, costs little."""
    return sorted(dict.fromkeys(chain.from_iterable(lists)))


def matching(hub: Hub, query: Query, progress: bool = False) -> list[str]:
    """Names on one hub that a query finds. Of a hub that cannot be reached, a :class:`ZooWarning` says so."""
    if isinstance(hub, DirectoryHub):
        with Bars(progress) as bars:
            return hub.indexed(lambda index: index.names(query), _shown(bars, hub.name))
    return [name for name in _names(hub) if query.matches(Entry(name))]


def known(names: Sequence[str], among: Iterable[Hub]) -> list[Found]:
    """What hubs know of some names, in the order of the names; what has gone meanwhile is left out."""
    first: dict[str, Entry] = {}
    where: dict[str, list[str]] = {}
    for hub in among:
        if isinstance(hub, DirectoryHub):
            found = hub.indexed(lambda index: index.get(names))
        else:
            found = [Entry(name) for name in sorted(set(names).intersection(_names(hub)))]
        for entry in found:
            first.setdefault(entry.name, replace(entry, hub=hub.name))
            where.setdefault(entry.name, []).append(hub.name)
    return [Found(first[name], tuple(where[name])) for name in names if name in first]


def _names(hub: Hub) -> list[str]:
    try:
        return hub.names()
    except HubError as problem:
        warnings.warn(f"names on {hub.name} are missing: {problem}", ZooWarning, stacklevel=3)
        return []


def _shown(bars: Bars, hub: str) -> Callable[[int, int], None]:
    """A bar, once there is something to be shown."""
    advance: list[Callable[[float], None]] = []

    def tell(done: int, total: int) -> None:
        if not advance:
            advance.append(bars.start(f"reading {total:,} checkpoints of {hub} into its index"))
        advance[0](done / total)

    return tell
