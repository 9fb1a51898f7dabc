"""What an analysis found, in one network or without any: numbers, arrays, a table and a figure."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.errors import AnalysisError
from zoo.placing import write_whole
from zoo.registry import suggest
from zoo.specs.families import AnalysisSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class Finding:
    """What an analysis found in one network. ``finding["points"]`` is one of its arrays."""

    name: str
    """Of the network; of what asks none, its kind and the seed of the draw."""
    spec: AnalysisSpec
    """The analysis, with all parameters."""
    numbers: Mapping[str, float]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    origin: str = ""
    """What the network was: the digest of its weights, or of the array."""

    def __getitem__(self, name: str) -> np.ndarray:
        """One of the arrays. Raises :class:`AnalysisError` for one that there is not."""
        if name not in self.arrays:
            raise AnalysisError(
                f"{self.spec.kind} finds no array {name!r}.{suggest(name, self.arrays)} "
                f"It has: {', '.join(self.arrays) or 'numbers only'}."
            )
        return self.arrays[name]

    def plain(self) -> dict[str, Any]:
        """As it is written to JSON; of the arrays, the shapes."""
        shapes = {name: list(array.shape) for name, array in self.arrays.items()}
        return {
            "name": self.name,
            "origin": self.origin,
            "analysis": self.spec.plain(),
            "numbers": dict(self.numbers),
            "arrays": shapes,
        }

    def save(self, path: str | Path) -> Path:
        """To ``.npz``, with all arrays, or ``.json``. Raises :class:`AnalysisError` for another suffix."""
        path = Path(path)
        text = json.dumps(self.plain(), indent=2)
        if path.suffix == ".json":
            return write_whole(path, text.encode())
        if path.suffix != ".npz":
            raise AnalysisError(f"a finding cannot be written as {path.name!r}: end it in .npz or .json.")
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(self.arrays)
        np.savez(buffer, finding=np.array(text), **arrays)
        return write_whole(path, buffer.getvalue())

    def figure(self) -> Figure:
        """As a matplotlib figure.

        Raises :class:`AnalysisError` where the analysis draws nothing, :class:`MissingDependencyError`
        without the extra ``viz``.
        """
        drawn: Figure = registry.implementation("analyses", self.spec.kind)(self.spec).figure(self)
        return drawn

    def plot(self, path: str | Path) -> Path:
        """Its figure as a file: ``.png``, ``.svg`` or ``.pdf``; or, where the analysis has one, a page
        ``.html`` that can be turned with the mouse."""
        from zoo.analysis.figures import save

        if Path(path).suffix == ".html":
            page = registry.implementation("analyses", self.spec.kind)(self.spec).page(self)
            return write_whole(Path(path), page.to_html(include_plotlyjs=True).encode())
        return save(self.figure, Path(path))


class Findings(Mapping[str, Finding]):
    """What an analysis found in each of some networks, by their names; or in each draw."""

    def __init__(self, found: Mapping[str, Finding], of: str = "network") -> None:
        self._found = dict(found)
        self._of = of

    def __getitem__(self, name: str) -> Finding:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def only(self) -> Finding:
        """The finding of the only network. Raises :class:`AnalysisError` where there are several."""
        if len(self) != 1:
            raise AnalysisError(f"there are {len(self)} findings; take one by the name of its network.")
        return next(iter(self.values()))

    def table(self) -> Table:
        """One row a network (or a draw, where none is asked), one column a number."""
        from rich.table import Table

        columns = list(dict.fromkeys(name for finding in self.values() for name in finding.numbers))
        shown = Table(self._of, *columns)
        for name, finding in self.items():
            values = (finding.numbers.get(column) for column in columns)
            shown.add_row(name, *("" if value is None else f"{value:.4g}" for value in values))
        return shown
