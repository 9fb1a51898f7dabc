"""The verb ``compare``: networks by name, or anything with states, to a matrix of distances."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import zoo
from zoo import paths, registry
from zoo.analysis.base import Comparator, Features
from zoo.analysis.items import Item, content, gather
from zoo.analysis.matrix import DistanceMatrix
from zoo.errors import AnalysisError, brief
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.geometry import ComparatorSpec
from zoo.specs.base import canonical_json
from zoo.specs.families import AnalysisSpec
from zoo.specs.problems import validate


def compare(
    items: Any,
    metric: str | AnalysisSpec = "dsa",
    *,
    labels: Sequence[str] | Mapping[str, Any] | None = None,
    progress: bool = False,
    cache: bool = True,
    **parameters: Any,
) -> DistanceMatrix:
    """Distances between all pairs of networks.

    Args:
        items: A glob; a list of names, globs, :class:`Trajectories`, arrays ``[trial, time, unit]`` and
            networks; or a dict from name to one of these. A key of a glob is the label of what it matches.
        metric: A kind of comparator, or its spec.
        labels: The group of each network: a list in their order, or a mapping from label to patterns of
            names. Without it, the name of the checkpoint.
        progress: A bar on standard error.
        cache: Keep the result under ``$ZOO_HOME`` and take it from there when the states, the
            parameters and the comparator are the same.
        parameters: Fields of the metric's spec, such as ``rank=10``.

    Raises:
        RegistryError: No metric of that kind.
        SpecError: A parameter that the metric does not have, or a value that it cannot take.
        AnalysisError: Fewer than two networks, one of them twice, or one that the metric cannot serve.
        UnknownNameError: A name or a glob that stands for nothing.
        MissingDependencyError: The metric needs a library that is not installed.
    """
    spec = _spec(metric, parameters)
    comparator = registry.implementation("analyses", spec.kind)(spec)
    if not isinstance(spec, ComparatorSpec) or not isinstance(comparator, Comparator):
        raise AnalysisError(f"the analysis {spec.kind!r} does not compare networks; choose another metric.")
    found = gather(items, spec, labels)
    runs: list[Trajectories] = []
    for item in _shown(found, progress, "running networks"):
        runs.append(item.open())
        comparator.require(runs[-1], item.name)
    states = [content(run, comparator.requires) for run in runs]
    result = DistanceMatrix(
        names=tuple(item.name for item in found),
        values=np.zeros((len(found), len(found))),
        labels=tuple(item.label for item in found),
        spec=spec,
        origins=tuple(run.origin or digest for run, digest in zip(runs, states, strict=True)),
        measure=comparator.measure,
    )
    key = {"spec": spec.plain(), "states": states, "version": [zoo.__version__, comparator.version]}
    file = (
        paths.home()
        / "cache"
        / "analysis"
        / f"{hashlib.sha256(canonical_json(key).encode()).hexdigest()}.json"
    )
    values = _cached(file, len(found)) if cache else None
    if values is None:
        features: list[Features] = []
        for item in _shown(found, progress, f"{spec.kind}: features"):
            features.append(comparator.features(replace(runs.pop(0), name=item.name)))
        values = comparator.matrix(features)
    result = replace(result, values=values)
    if cache:
        with contextlib.suppress(OSError):  # a full or read-only disk must not cost the result
            result.to_json(file)
    return result


def _spec(metric: str | AnalysisSpec, parameters: Mapping[str, Any]) -> AnalysisSpec:
    if isinstance(metric, AnalysisSpec):
        kind, base = type(metric), dict(metric)
    elif isinstance(metric, str):
        kind, base = registry.spec_class("analyses", metric), {}
    else:
        raise AnalysisError(
            f"the metric is {brief(metric)}; give its spec, or the name of one: "
            f"{', '.join(registry.kinds('analyses'))}."
        )
    return validate(kind, {**base, **parameters})


def _cached(file: Path, count: int) -> np.ndarray | None:
    """The values of an earlier result, or none where there is none that can be read whole."""
    try:
        values = DistanceMatrix.from_json(file).values
    except AnalysisError:
        return None
    return values if len(values) == count else None


def _shown(items: Sequence[Item], progress: bool, what: str) -> Iterable[Item]:
    console = Console(stderr=True)
    return track(items, what, console=console, transient=True) if progress and console.is_terminal else items
