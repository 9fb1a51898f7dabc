"""A matrix of distances with everything that says what it is; as a table, a file and a figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

import zoo
from zoo import registry
from zoo.analysis.embedding import classical_scaling, embed, group_statistics
from zoo.analysis.statistics import (
    Clusters,
    Linkage,
    PermutationTest,
    Population,
    Statistic,
    clusters,
    companions,
    permutation_test,
    population_distances,
)
from zoo.errors import AnalysisError, ZooError, brief
from zoo.placing import write_whole
from zoo.specs.families import AnalysisSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

FORMAT = "distance-matrix/1"
FULL_TABLE = 8
"""Up to so many networks a table shows every distance; above, a line about each network."""


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """Distances between networks.

    Raises :class:`AnalysisError` when built from something that is no such matrix.
    """

    names: tuple[str, ...]
    values: np.ndarray
    """``[n, n]``, float64, symmetric, zero on the diagonal; read-only."""
    labels: tuple[str, ...]
    """The group of each network."""
    spec: AnalysisSpec
    """The analysis, with all parameters."""
    origins: tuple[str, ...]
    """What each network was: the digest of its weights, or of the array."""
    measure: str
    """Name and unit of the distance, as on a colour bar."""
    details: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What else is known of each pair, ``[n, n]`` by name, NaN on the diagonal; for DSA by alignment
    ``residual``, its lower ``bound``, and ``converged``."""

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        count = len(self.names)
        wrong = ""
        if values.shape != (count, count) or len(self.labels) != count or len(self.origins) != count:
            wrong = (
                f"{count} names with {len(self.labels)} labels, {len(self.origins)} origins, "
                f"values {values.shape}"
            )
        elif len(set(self.names)) != count:
            wrong = "two networks have the same name"
        elif not np.isfinite(values).all() or (values < 0).any():
            wrong = "distances are finite and not negative"
        elif not np.array_equal(values, values.T) or values.diagonal().any():
            wrong = "distances are symmetric, and zero on the diagonal"
        if wrong:
            raise AnalysisError(f"this is no distance matrix: {wrong}.")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        details = {name: np.array(table, dtype=np.float64) for name, table in self.details.items()}
        if any(table.shape != values.shape for table in details.values()):
            raise AnalysisError(f"this is no distance matrix: details that are not {values.shape}.")
        object.__setattr__(self, "details", details)

    def __len__(self) -> int:
        return len(self.names)

    def statistics(self) -> dict[str, float]:
        """How far the labels are apart, over the networks whose label has two members or more.

        ``decoding``: accuracy of a linear support vector machine on the plane of metric
        multidimensional scaling, leaving out one network at a time; ``nearest``: share of networks whose
        nearest other one has their label; ``chance``: share of the most
        frequent label; ``silhouette``: mean over networks, in [-1, 1]; ``within`` and ``between``: mean
        distance of two networks with the same label and with different ones. Empty where fewer than two
        labels have two members. Raises :class:`MissingDependencyError` without scikit-learn.
        """
        return group_statistics(self.values, self.labels)

    def permutation_test(
        self,
        statistic: Statistic = "silhouette",
        permutations: int = 9999,
        seed: int = 0,
    ) -> PermutationTest:
        """Whether the labels are further apart than labels dealt out at random.

        Over the networks whose label has two members or more; see
        :func:`zoo.analysis.statistics.permutation_test`. Raises :class:`AnalysisError` where fewer than
        two labels have two members.
        """
        members, codes = companions(self.labels)
        if not len(members):
            raise AnalysisError(
                f"the labels of these {len(self)} networks form no two groups of two or more. "
                "Give labels that do, or more members of each."
            )
        among = self.values[np.ix_(members, members)]
        return permutation_test(among, codes.tolist(), statistic, permutations, seed)

    def population_distances(self, kind: Population = "energy") -> tuple[tuple[str, ...], np.ndarray]:
        """The labels, and distances ``[g, g]`` between their networks as populations.

        See :func:`zoo.analysis.statistics.population_distances`, and ``population_test`` there.
        """
        return population_distances(self.values, self.labels, kind)

    def clusters(
        self,
        count: int | None = None,
        height: float | None = None,
        linkage: Linkage = "average",
    ) -> Clusters:
        """Hierarchical clusters, ``count`` of them or cut at a ``height``.

        See :func:`zoo.analysis.statistics.clusters`.
        """
        return clusters(self.values, count, height, linkage)

    def embed(self, dimensions: int = 2, method: Literal["metric", "classical"] = "metric") -> np.ndarray:
        """Points ``[n, dimensions]`` whose distances are near these, by multidimensional scaling.

        ``metric`` minimises the squared differences of distances (:func:`zoo.analysis.embedding.embed`);
        ``classical`` gives principal coordinates (:func:`zoo.analysis.embedding.classical_scaling`), of
        which the first are the same in any number of dimensions. Raises :class:`AnalysisError` for fewer
        than one dimension, or another method.
        """
        if method not in ("metric", "classical"):
            raise AnalysisError(f"there is no scaling {method!r}. Choose 'metric' or 'classical'.")
        if method == "classical":
            return classical_scaling(self.values, dimensions).points
        return embed(self.values, dimensions)[0]

    # Showing it -----------------------------------------------------------------------------

    def table(self) -> Table:
        """For a terminal: every distance, or for many networks their nearest and farthest."""
        from zoo.analysis.tables import full_table, summary_table

        return (full_table if len(self) <= FULL_TABLE else summary_table)(self)

    def figure(self, title: str = "", dendrogram: bool = True) -> Figure:
        """The clustered heat map and the map of multidimensional scaling, side by side.

        Raises :class:`MissingDependencyError` without matplotlib or scipy.
        """
        from zoo.analysis.figures import matrix_figure

        return matrix_figure(self, title, dendrogram)

    def plot(self, path: str | Path, title: str = "", dendrogram: bool = True) -> Path:
        """Write :meth:`figure`; as PNG, SVG or PDF by the suffix. Raises :class:`AnalysisError` on others."""
        from zoo.analysis.figures import save

        return save(lambda: self.figure(title, dendrogram), Path(path))

    # Keeping it -----------------------------------------------------------------------------

    def to_csv(self, path: str | Path) -> Path:
        """One row a network: name, label, its distances to full precision.

        A spreadsheet takes no cell for a formula: a text that could be one gets an apostrophe in front.
        """
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(["name", "label", *map(_cell, self.names)])
        for name, label, row in zip(self.names, self.labels, self.values.tolist(), strict=True):
            writer.writerow([_cell(name), _cell(label), *map(repr, row)])
        return write_whole(Path(path), buffer.getvalue())

    def to_json(self, path: str | Path) -> Path:
        """Everything, with every parameter and the versions that made it."""
        return write_whole(Path(path), json.dumps(self.plain(), indent=1, allow_nan=False) + "\n")

    def plain(self) -> dict[str, Any]:
        """The content of the JSON file."""
        return {
            "format": FORMAT,
            "zoo": zoo.__version__,
            "measure": self.measure,
            "spec": self.spec.plain(),
            "names": list(self.names),
            "labels": list(self.labels),
            "origins": list(self.origins),
            "values": self.values.tolist(),
            "details": {name: _finite(table) for name, table in self.details.items()},
        }

    @classmethod
    def from_json(cls, path: str | Path) -> DistanceMatrix:
        """What ``to_json`` wrote. Raises :class:`AnalysisError` for anything else."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(data, dict) or data.get("format") != FORMAT:
                raise AnalysisError(f"it does not begin as {FORMAT!r} does")
            spec = data["spec"]
            return cls(
                names=tuple(map(str, data["names"])),
                values=np.array(data["values"], dtype=np.float64),
                labels=tuple(map(str, data["labels"])),
                spec=registry.spec_class("analyses", spec["kind"]).model_validate(spec),
                origins=tuple(map(str, data["origins"])),
                measure=str(data["measure"]),
                details={
                    str(name): np.array(table, dtype=np.float64)
                    for name, table in data.get("details", {}).items()
                },
            )
        except (OSError, ValueError, KeyError, TypeError, ZooError, ValidationError) as problem:
            raise AnalysisError(
                f"{path} cannot be read as a distance matrix: {brief(str(problem), 200)}. "
                "Write it again with DistanceMatrix.to_json."
            ) from problem


def _finite(table: np.ndarray) -> list[list[float | None]]:
    """JSON knows no NaN."""
    return [[value if np.isfinite(value) else None for value in row] for row in table.tolist()]


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "'", "\t", "\r")) else text
