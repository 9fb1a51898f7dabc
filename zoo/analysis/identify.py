"""The verb ``identify``: which network a recording was made of, by the nearest of those that it may be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import zoo
from zoo.analysis.base import Comparator, Features
from zoo.analysis.compare import comparator_of
from zoo.analysis.items import Item, gather
from zoo.errors import AnalysisError, brief
from zoo.placing import write_whole
from zoo.progress import Bars
from zoo.registry import suggest
from zoo.specs.families import AnalysisSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

SHOWN = 40
"""Recordings that a table shows."""


@dataclass(frozen=True, eq=False)
class Identification:
    """Recordings, and how far each is from the networks that it may be of."""

    recordings: tuple[str, ...]
    candidates: tuple[str, ...]
    labels: tuple[str, ...]
    """The group of each candidate."""
    truths: tuple[str | None, ...]
    """The candidate that each recording was made of, where that is known."""
    distances: np.ndarray
    """``[recording, candidate]``, float64."""
    spec: AnalysisSpec
    """What compared them, with all parameters."""
    measure: str
    """Name and unit of the distance."""

    @property
    def guesses(self) -> tuple[str, ...]:
        """The nearest candidate of each recording."""
        return tuple(self.candidates[number] for number in self.distances.argmin(1))

    @property
    def accuracy(self) -> float:
        """Share of recordings whose network was found. Raises :class:`AnalysisError` where none is known."""
        known, guesses = self._known(), self.guesses
        return float(np.mean([guesses[row] == self.truths[row] for row in known]))

    @property
    def label_accuracy(self) -> float:
        """Share of recordings of which the nearest candidate has the label of their network."""
        counts = self.confusion()[1]
        return float(counts.trace() / counts.sum())

    @property
    def chance(self) -> float:
        """What :attr:`accuracy` would be by guessing."""
        return 1 / len(self.candidates)

    @property
    def ranks(self) -> np.ndarray:
        """``[known]``: how many candidates are as near as the true one, itself counted in: 1 where it alone
        is the nearest."""
        rows = self._known()
        right = [self.candidates.index(str(self.truths[row])) for row in rows]
        return (self.distances[rows] <= self.distances[rows, right][:, None]).sum(1)

    def confusion(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Labels, and how many recordings of each label (row) were taken for each (column)."""
        names = tuple(dict.fromkeys(self.labels))
        of = dict(zip(self.candidates, map(names.index, self.labels), strict=True))
        counts, guesses = np.zeros((len(names),) * 2, dtype=np.int64), self.guesses
        for row in self._known():
            counts[of[str(self.truths[row])], of[guesses[row]]] += 1
        return names, counts

    def _known(self) -> list[int]:
        rows = [row for row, truth in enumerate(self.truths) if truth is not None]
        if not rows:
            raise AnalysisError(
                "it is not known which networks these recordings were made of, so that there is no accuracy. "
                "Give 'truths', or name the recordings as the candidates."
            )
        return rows

    # Showing it -----------------------------------------------------------------------------

    def table(self) -> Table:
        """The nearest candidate of each recording, and the next."""
        from rich.table import Table
        from rich.text import Text

        shown = Table("recording", "nearest", "at", "next", "at", "made of", title=self.measure)
        for row, name in enumerate(self.recordings[:SHOWN]):
            order = self.distances[row].argsort(kind="stable")[:2].tolist()
            cells = [cell for n in order for cell in (self.candidates[n], f"{self.distances[row, n]:.3g}")]
            shown.add_row(*map(Text, [name, *cells, *[""] * (4 - len(cells)), self.truths[row] or ""]))
        if len(self.recordings) > SHOWN:
            shown.caption = f"and {len(self.recordings) - SHOWN} more"
        return shown

    def figure(self) -> Figure:
        """The confusion of labels. Raises :class:`MissingDependencyError` without matplotlib."""
        from zoo.analysis.figures import confusion_figure

        return confusion_figure(*self.confusion(), title=f"{self.label_accuracy:.0%} by {self.measure}")

    def plot(self, path: str | Path) -> Path:
        """Write :meth:`figure`; as PNG, SVG or PDF by the suffix. Raises :class:`AnalysisError` on others."""
        from zoo.analysis.figures import save

        return save(self.figure, Path(path))

    def plain(self) -> dict[str, Any]:
        """The content of the JSON file."""
        found: dict[str, Any] = {
            "zoo": zoo.__version__,
            "measure": self.measure,
            "spec": self.spec.plain(),
            "recordings": list(self.recordings),
            "candidates": list(self.candidates),
            "labels": list(self.labels),
            "guesses": list(self.guesses),
            "truths": list(self.truths),
            "distances": self.distances.tolist(),
        }
        if any(truth is not None for truth in self.truths):
            names, counts = self.confusion()
            found["accuracy"], found["label_accuracy"] = self.accuracy, self.label_accuracy
            found["confusion"] = {"labels": list(names), "counts": counts.tolist()}
        return found

    def to_json(self, path: str | Path) -> Path:
        """Everything, with every parameter."""
        return write_whole(Path(path), json.dumps(self.plain(), indent=1, allow_nan=False) + "\n")


def identify(
    recordings: Any,
    candidates: Any,
    metric: str | AnalysisSpec = "dsa",
    *,
    record: Mapping[str, Any] | None = None,
    truths: Sequence[str | None] | Mapping[str, str] | None = None,
    labels: Sequence[str] | Mapping[str, Any] | None = None,
    progress: bool = False,
    **parameters: Any,
) -> Identification:
    """Which of some networks recordings were made of: the nearest, by any comparator.

    Args:
        recordings: As for :func:`zoo.compare`; one is enough. Names stand for recordings of these networks.
        candidates: As for :func:`zoo.compare`: the networks that the recordings may be of.
        metric: A kind of comparator, or its spec.
        record: Fields of the metric's spec that differ for recordings, such as
            ``{"observe": {"units": 10, "noise": 0.1}}`` or another ``seed`` of the trials.
        truths: The candidate that each recording was made of: a list in their order, or a mapping from
            recording. Without it, a recording with the name of a candidate is of this one.
        labels: The group of each candidate: a list in their order, or a mapping from label to patterns of
            names. Without it, the name of the checkpoint.
        progress: A bar on standard error.
        parameters: Fields of the metric's spec.

    Raises what :func:`zoo.compare` does, and :class:`AnalysisError` for truths that are no candidates, and
    for networks that would be compared with themselves as they are.
    """
    comparator = comparator_of(metric, parameters)
    seen = comparator_of(comparator.spec, record or {})
    found, among = gather(recordings, seen.spec, None, least=1), gather(candidates, comparator.spec, labels)
    names = [item.name for item in among]
    if seen.spec == comparator.spec:
        same = {str(item.reference) for item in found if item.reference}
        same &= {str(item.reference) for item in among if item.reference}
        if same:
            raise AnalysisError(
                f"{brief(', '.join(sorted(same)), 120)} would be compared with itself as it is, which finds "
                'it always. Say what differs in recordings, as in record={"observe": {"units": 10}}.'
            )
    known = _truths([item.name for item in found], names, truths)
    with Bars(progress) as bars:
        features = _features(found, seen, bars) + _features(among, comparator, bars)
        rows, columns = np.indices((len(found), len(among))).reshape(2, -1)
        comparator.progress = bars.start(f"{comparator.spec.kind}: {len(rows)} pairs")
        pairs = np.stack([rows, len(found) + columns], 1)
        distances = comparator.measures(features, pairs)["distance"].reshape(len(found), len(among))
    return Identification(
        tuple(item.name for item in found),
        tuple(names),
        tuple(item.label for item in among),
        known,
        distances,
        comparator.spec,
        comparator.measure,
    )


def _features(items: Sequence[Item], comparator: Comparator[Any], bars: Bars) -> list[Features]:
    return [
        comparator.features(replace(item.open(), name=item.name)) for item in bars.over(items, "features")
    ]


def _truths(
    recordings: Sequence[str],
    candidates: Sequence[str],
    given: Sequence[str | None] | Mapping[str, str] | None,
) -> tuple[str | None, ...]:
    """The candidate of each recording, where it is known."""
    if given is None:
        return tuple(name if name in candidates else None for name in recordings)
    if isinstance(given, Mapping):
        if strange := [name for name in given if name not in recordings]:
            raise AnalysisError(
                f"truths are given for {brief(', '.join(strange), 120)}, which is none of the recordings."
                f"{suggest(strange[0], recordings)}"
            )
        found = tuple(given.get(name) for name in recordings)
    elif isinstance(given, str) or len(given) != len(recordings):
        raise AnalysisError(f"there are {len(recordings)} recordings; give a list of one truth each.")
    else:
        found = tuple(given)
    for name in found:
        if name is not None and name not in candidates:
            raise AnalysisError(
                f"a recording is said to be of {name!r}, which is none of the candidates."
                f"{suggest(name, candidates)} They are: {brief(', '.join(candidates), 200)}."
            )
    return found
