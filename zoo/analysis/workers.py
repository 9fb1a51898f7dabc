"""Features and tiles of pairs, computed by the workers of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo import errors
from zoo.analysis import work
from zoo.analysis.base import Comparator, Features
from zoo.analysis.tiles import Parts, Progress, Tile, part, tiles
from zoo.engine.base import Engine
from zoo.engine.job import Failure, Job
from zoo.engine.running import Runner
from zoo.errors import AnalysisError, EngineError, ZooError, calling

GROUP = 8
"""Networks whose features a worker computes at a time."""


class Workers:
    """Gives to the workers of an engine what :func:`zoo.analysis.tiles.in_turn` does here.

    A part of the work whose worker is lost is tried again as it is. Where that does not help, where memory
    lacks, or where it fails for a reason that the zoo does not know, it is halved, until it is known which
    networks it fails for.
    """

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        self.engine = engine
        self.names = names
        """Of the networks, for messages."""

    def among(self, numbers: Sequence[int]) -> Workers:
        """For tiles of some of the networks."""
        return Workers(self.engine, [self.names[number] for number in numbers])

    def __call__(
        self,
        tile: Tile,
        networks: Sequence[Features],
        pairs: Tensor,
        progress: Progress,
        parts: Iterable[Tensor] | None = None,
    ) -> Parts:
        """See :class:`zoo.analysis.tiles.Spread`.

        Raises :class:`AnalysisError` and whatever else of the zoo's errors a tile raises, and
        :class:`EngineError` where workers are lost again and again, or the engine as a whole.
        """

        def content(rows: Tensor) -> Any:
            some, places = part(networks, pairs[rows])
            return tile, [work.frozen(each) for each in some], places.cpu().numpy()

        def named(rows: Tensor) -> str:
            return " and ".join(calling(self.names[k]) for k in pairs[rows[0]].tolist())

        done = 0
        parts = tiles(networks, pairs) if parts is None else parts
        for rows, found in self._each(work.tile, parts, content, named):
            done += len(rows)
            progress(done / len(pairs))
            yield rows, {name: torch.tensor(value) for name, value in found.items()}

    def features(
        self, comparator: Comparator[Any], sources: Sequence[work.Source], progress: Progress
    ) -> Iterator[tuple[int, Features]]:
        """The features of each source, by its place, as they are found. Raises what calling it does."""
        done = 0
        for some, found in self._each(
            work.features,
            torch.arange(len(sources)).split(GROUP) if sources else (),
            lambda some: (work.surroundings(), comparator, [work.sent(sources[k]) for k in some.tolist()]),
            lambda some: calling(sources[int(some[0])][0]),
        ):
            done += len(some)
            progress(done / len(sources))
            yield from zip(some.tolist(), map(work.thawed, found), strict=True)

    def _each(
        self,
        call: Callable[[bytes], Any],
        parts: Iterable[Tensor],
        content: Callable[[Tensor], Any],
        named: Callable[[Tensor], str],
    ) -> Iterator[tuple[Tensor, Any]]:
        """Each part, or its halves where it fails, with what the workers found."""
        open_parts: dict[str, Tensor] = {}

        def job(numbers: Tensor) -> Job:
            key = f"{int(numbers[0])}+{len(numbers)}"
            open_parts[key] = numbers
            return Job(key, call, (work.Packed(partial(content, numbers)),))

        for done, report in Runner(self.engine, map(job, parts)):
            numbers, failure = open_parts.pop(done.key), report.failure
            if failure is None:
                yield numbers, report.value
            elif len(numbers) > 1 and not _own(failure):
                yield from self._each(call, numbers.tensor_split(2), content, named)
            else:
                raise self._error(failure, named(numbers))

    def _error(self, failure: Failure, who: str) -> ZooError:
        """The zoo's own as it is, any other with the names of those whom it comes from."""
        kind = _own(failure)
        why = f"{failure.kind}: {failure.message.rstrip('.')}"
        if kind:
            problem = kind.__new__(kind, failure.message)
        elif failure.memory:
            problem = EngineError(
                f"the workers of {self.engine.name} cannot serve {who}: {why}. Give each more memory, or "
                "have fewer of them on a machine."
            )
        else:
            problem = AnalysisError(
                f"{who} cannot be compared: {why}. Look at their states, or leave them out."
            )
        problem.add_note(failure.trace)
        return problem


def _own(failure: Failure) -> type[ZooError] | None:
    """The class of an error of the zoo, which says itself what it is about."""
    kind = getattr(errors, failure.kind, None)
    return kind if isinstance(kind, type) and issubclass(kind, ZooError) else None
