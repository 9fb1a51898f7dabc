"""A population: which members an experiment has, and what sets them apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from zoo.errors import SpecError
from zoo.specs.base import Spec, located
from zoo.specs.search import MOST, SearchSpec

SEED = "train.seed"
Points = Annotated[tuple[dict[str, Any], ...], Field(strict=False, min_length=1, max_length=MOST)]


class PopulationSpec(Spec):
    """Members that differ in their seed (``train.seed``, ``train.seed`` + 1, …), in fields on a grid, and in
    points that are listed or searched for."""

    members: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Seeds for each combination of the others."""
    grid: dict[str, Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]] = {}
    """Dotted path in the experiment → values; every combination is trained with every seed."""
    points: (
        Annotated[tuple[dict[str, Any], ...], Field(strict=False, min_length=1, max_length=MOST)] | None
    ) = None
    """Dotted path → value, of each point the same paths; each is combined with the whole grid."""
    search: SearchSpec | None = None
    """How further points are found, in place of a list of them."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        combinations = math.prod(map(len, self.grid.values())) * self.trials
        if combinations > MOST or combinations * self.members > 100_000:
            within = "of the grid" if self.trials == 1 else "of grid and points"
            raise ValueError(
                f"{combinations} combinations {within} times {self.members} seeds are too many; "
                f"at most {MOST} combinations and 100000 members"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.points is not None and self.search is not None:
            raise located("finds the points itself; give one of 'points' and 'search'", "search")
        for number, point in enumerate(self.points or ()):
            if point.keys() != (self.points or ())[0].keys() or not point:
                raise located("should have the same paths as the first point, one at least", "points", number)
        if self.search is not None and self.search.adaptive and self.grid:
            message = f"goes with no grid: give its paths to the space of the {self.search.kind} search"
            raise located(message, "search")
        for path in self.paths:
            if self.members > 1 and path == SEED:
                raise located("the seeds follow from 'members'; give one of the two", *self.place(path))
            if path in self.grid and self.place(path, of_grid=False):
                raise located("has its values in the grid; give each path once", *self.place(path, False))
        for one, other in itertools.pairwise(self.paths):
            if other.startswith(one + "."):
                raise located(f"is a part of {one}, which varies too; give one of them", *self.place(other))
        return self

    @property
    def trials(self) -> int:
        """How many points each combination of the grid has; 1 where there are none."""
        if self.search is not None:
            return self.search.trials
        return 1 if self.points is None else len(self.points)

    @property
    def paths(self) -> list[str]:
        """What members differ in beside the seed, in order."""
        searched = self.search.space if self.search else self.points[0] if self.points else {}
        return sorted({*self.grid, *searched})

    def place(self, path: str, of_grid: bool = True) -> tuple[str, ...]:
        """The keys below which the values of a path stand; none where they do not."""
        if of_grid and path in self.grid:
            return "grid", path
        if self.search is not None and path in self.search.space:
            return "search", "space", path
        return ("points",) if self.points and path in self.points[0] else ()

    def __len__(self) -> int:
        """How many members there are, or will be at the end of a search."""
        return self.members * math.prod(map(len, self.grid.values())) * self.trials

    @property
    def known(self) -> int:
        """How many members follow from the spec alone, from number 0; the others from how these do."""
        if self.search is None or self.search.kind == "random":
            return len(self)
        return self.members * min(self.search.startup, self.search.trials)

    def combinations(self) -> Iterator[int]:
        """The first known member of each combination, which differs from the others in its seed alone."""
        yield from range(0, self.known, self.members)

    def variation(self, index: int, seed: int) -> dict[str, Any]:
        """Dotted path → value of one member; seeds vary fastest, then paths from the end of the alphabet on
        the grid, then points. Raises :class:`SpecError` for one that a search has to find."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index >= self.known:
            raise SpecError(
                "population.search: the members are found while others train, so that they are trained as "
                "a sweep alone. Call: zoo sweep"
            )
        index, offset = divmod(index, self.members)
        chosen: dict[str, Any] = {SEED: seed + offset}
        for path, values in sorted(self.grid.items(), reverse=True):
            index, which = divmod(index, len(values))
            chosen[path] = values[which]
        if self.search is not None:
            return chosen | self.search.drawn(index)
        return chosen | (self.points[index] if self.points else {})
