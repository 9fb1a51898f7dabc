"""The verb ``compare``: networks by name, or anything with states, to a matrix of distances."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zoo import registry
from zoo.analysis.base import Comparator, Features
from zoo.analysis.items import Item, content, gather
from zoo.analysis.matrix import DistanceMatrix
from zoo.analysis.store import Store
from zoo.analysis.work import Source
from zoo.analysis.workers import Workers
from zoo.engine.base import Engine
from zoo.engine.local import Here
from zoo.engine.opening import using
from zoo.errors import AnalysisError, brief
from zoo.models.trajectories import Trajectories
from zoo.progress import Bars
from zoo.specs.analyses.base import ComparatorSpec
from zoo.specs.families import AnalysisSpec
from zoo.specs.problems import validate

EVERY = 30.0
"""Seconds between two writings of the pairs that are known by then."""


def compare(
    items: Any,
    metric: str | AnalysisSpec = "dsa",
    *,
    labels: Sequence[str] | Mapping[str, Any] | None = None,
    progress: bool = False,
    cache: bool = True,
    engine: str | Engine = "here",
    **parameters: Any,
) -> DistanceMatrix:
    """Distances between all pairs of networks.

    Args:
        items: A glob; a list of names, globs, :class:`Trajectories`, arrays ``[trial, time, unit]``, lists
            of arrays ``[time, unit]``, networks, and files that numpy wrote (``.npy``, or ``.npz`` with
            ``states`` and ``inputs``); or a dict from name to one of these. A key of a glob is the label
            of what it matches.
        metric: A kind of comparator, or its spec.
        labels: The group of each network: a list in their order, or a mapping from label to patterns of
            names. Without it, the name of the checkpoint.
        progress: A bar on standard error.
        cache: Keep what is found under ``$ZOO_HOME``, and take from there what was found before of the
            same networks with the same parameters: one more network costs one more row.
        engine: Where networks are run and pairs compared: ``here``, ``local:4``, ``dask://host:8786``,
            ``slurm:workers=4``, a YAML file, or an engine that is open, which stays open. Distances do not
            depend on it.
        parameters: Fields of the metric's spec, such as ``rank=10``.

    Raises:
        RegistryError: No metric of that kind.
        SpecError: A parameter that the metric does not have, or a value that it cannot take.
        AnalysisError: Fewer than two networks, one of them twice, or one that the metric cannot serve.
        UnknownNameError: A name or a glob that stands for nothing.
        MissingDependencyError: The metric or the engine needs a library that is not installed.
        EngineError: The engine cannot be reached, or is gone, or its workers do not see a network.
    """
    comparator = comparator_of(metric, parameters)
    spec = comparator.spec
    found = gather(items, spec, labels)
    with using(engine) as opened, Bars(progress) as bars:
        networks = _Networks(found, comparator, Store(comparator) if cache else None, bars, opened)
        measures = networks.measures()
    distances = measures.pop("distance")
    np.fill_diagonal(distances, 0.0)
    return DistanceMatrix(
        names=tuple(item.name for item in found),
        values=distances,
        labels=tuple(item.label for item in found),
        spec=spec,
        origins=tuple(networks.origins),
        measure=comparator.measure,
        details=measures,
    )


class _Networks:
    """The networks of one comparison, of which only those are run that are in a pair not yet known."""

    def __init__(
        self,
        items: Sequence[Item],
        comparator: Comparator[Any],
        store: Store | None,
        bars: Bars,
        engine: Engine,
    ) -> None:
        self.items = items
        self.comparator = comparator
        self.store = store
        self.bars = bars
        self.workers = None if isinstance(engine, Here) else Workers(engine, [item.name for item in items])
        self.runs: dict[int, Trajectories] = {}
        self.digests: list[str] = []
        self.origins: list[str] = []
        for number, item in enumerate(bars.over(items, "looking at networks")):
            identity = item.identity()
            if identity is None:  # what has no name is known by its states
                run = self.runs[number] = item.open()
                comparator.require(run, item.name)
                digest = content(run, comparator.requires)
                identity = run.origin or digest, digest
            self.origins.append(identity[0])
            self.digests.append(identity[1])

    def measures(self) -> dict[str, np.ndarray]:
        """``[n, n]`` by name: what was known, and what is computed now."""
        count = len(self.items)
        known = self.store.pairs(self.digests) if self.store else {}
        todo = np.triu(np.isnan(known["distance"]) if "distance" in known else np.ones((count, count)), 1)
        pairs = np.argwhere(todo)
        if not len(pairs):
            return known
        needed = np.unique(pairs)
        features = self._features(needed.tolist())
        self.comparator.progress = self.bars.start(f"{self.kind}: {len(pairs)} pairs")
        if self.workers:
            self.comparator.spread = self.workers.among(needed.tolist())
        tables: dict[str, np.ndarray] = {}
        kept = time.monotonic()
        try:
            for rows, found in self.comparator.parts(features, np.searchsorted(needed, pairs)):
                i, j = pairs[rows.numpy()].T
                for name, values in found.items():
                    table = tables.setdefault(name, known.get(name, np.full((count, count), np.nan)))
                    table[i, j] = table[j, i] = values.numpy()
                if time.monotonic() - kept > EVERY:
                    self._keep(tables)
                    kept = time.monotonic()
        finally:  # what is found before an error or Ctrl-C is not lost
            self._keep(tables)
        return tables

    def _keep(self, tables: Mapping[str, np.ndarray]) -> None:
        if self.store and tables:
            self.store.keep_pairs(self.digests, tables)

    def _features(self, numbers: Sequence[int]) -> list[Features]:
        """Of the networks of these numbers: those that were kept, and once what is there under two names."""
        found: dict[str, Features] = {}
        if self.store:
            kept = {digest: self.store.features(digest, "") for digest in {self.digests[k] for k in numbers}}
            found = {digest: features for digest, features in kept.items() if features}
        todo = {self.digests[k]: k for k in reversed(numbers) if self.digests[k] not in found}
        for number, features in self._extracted(sorted(todo.values())):
            found[self.digests[number]] = features
            if self.store:
                self.store.keep_features(self.digests[number], features)
        return [replace(found[self.digests[k]], name=self.items[k].name) for k in numbers]

    def _extracted(self, numbers: Sequence[int]) -> Iterator[tuple[int, Features]]:
        title = f"{self.kind}: features"
        if self.workers:
            sources = [self._source(k) for k in numbers]
            found = self.workers.features(self.comparator, sources, self.bars.start(title))
            yield from ((numbers[place], features) for place, features in found)
            return
        for number in self.bars.over(numbers, title):
            run = replace(self._run(number), name=self.items[number].name)
            yield number, self.comparator.features(run)

    def _run(self, number: int) -> Trajectories:
        return self.runs.pop(number, None) or self.items[number].open()

    def _source(self, number: int) -> Source:
        """What is published is run by workers; all else is sent."""
        item = self.items[number]
        if item.reference is None:
            return item.name, self._run(number)
        path = item.reference.path and item.reference.path.absolute()
        return item.name, (replace(item.reference, path=path), self.digests[number])

    @property
    def kind(self) -> str:
        return str(self.comparator.spec.kind)


def comparator_of(metric: str | AnalysisSpec, parameters: Mapping[str, Any]) -> Comparator[Any]:
    """The comparator of a kind, or of a spec, with some of its fields replaced.

    Raises what :func:`compare` does for the metric and its parameters.
    """
    if isinstance(metric, AnalysisSpec):
        kind, base = type(metric), dict(metric)
    elif isinstance(metric, str):
        kind, base = registry.spec_class("analyses", metric), {}
    else:
        raise AnalysisError(
            f"the metric is {brief(metric)}; give its spec, or the name of one: "
            f"{', '.join(registry.kinds('analyses'))}."
        )
    spec = validate(kind, {**base, **parameters})
    comparator = registry.implementation("analyses", spec.kind)(spec)
    if not isinstance(spec, ComparatorSpec) or not isinstance(comparator, Comparator):
        raise AnalysisError(f"the analysis {spec.kind!r} does not compare networks; choose another metric.")
    return comparator
