"""A study run: its networks compared and measured, its claims judged, its figures drawn."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.analysis.compare import compare
from zoo.analysis.matrix import DistanceMatrix
from zoo.analysis.measure import calculate, measure
from zoo.analysis.statistics import mantel
from zoo.engine.base import Engine
from zoo.errors import AnalysisError, UnknownNameError, brief
from zoo.hub import expand, fetch
from zoo.placing import write_whole
from zoo.registry import glob
from zoo.specs.analyses.base import CalculationSpec
from zoo.specs.claim import Verdict
from zoo.specs.study import StudySpec

if TYPE_CHECKING:
    from zoo.hub.reference import Reference


@dataclass(frozen=True)
class StudyResult:
    """What a study found. Where networks are studied apart, keys end in ``@<value of the field>``."""

    study: StudySpec
    matrices: Mapping[str, DistanceMatrix]
    """By comparison."""
    measured: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Measurement → network → number → value; of a calculation, the draw in the place of the network."""
    metrics: Mapping[str, tuple[float | None, ...]]
    """For claims, see :class:`StudySpec`."""
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)

    def write(self, folder: Path) -> list[Path]:
        """Matrices as CSV, JSON and figures, the study's figure (PNG, SVG) and ``<study>.json``.

        Returns the files.
        """
        from zoo.studies.figures import study_figure

        written = []
        for key, matrix in self.matrices.items():
            stem = f"{self.study.name}-{key}"
            written += [matrix.to_csv(folder / f"{stem}.csv"), matrix.to_json(folder / f"{stem}.json")]
            written += [matrix.plot(folder / f"{stem}{suffix}") for suffix in (".png", ".svg")]
        written += [study_figure(self, folder / f"{self.study.name}{suffix}") for suffix in (".png", ".svg")]
        summary = {
            "study": self.study.plain(),
            "digest": self.study.digest(),
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "measured": self.measured,
            "verdicts": [verdict.plain() for verdict in self.verdicts],
        }
        path = folder / f"{self.study.name}.json"
        return [*written, write_whole(path, json.dumps(summary, indent=1, allow_nan=False) + "\n")]


def run_study(study: StudySpec, progress: bool = False, engine: str | Engine = "here") -> StudyResult:
    """Compute everything that a study asks of its published checkpoints; comparisons through an engine.

    Raises :class:`UnknownNameError` for checkpoints that are not published yet, :class:`AnalysisError`
    where one of them lacks what labels it.
    """
    references = [reference for pattern in study.checkpoints for reference in expand(pattern)]
    parts: dict[str, list[Reference]] = defaultdict(list)
    for reference in references:
        parts[f"@{_field(reference, study.apart)}" if study.apart else ""].append(reference)
    named = {name for claim in study.claims for name in (claim.metric, claim.minus, *claim.per) if name}
    pairs = sorted({tuple(name.partition("/")[0].split("~")) for name in named if "~" in name})
    matrices: dict[str, DistanceMatrix] = {}
    measured: dict[str, dict[str, dict[str, float]]] = {}
    metrics: dict[str, list[float | None]] = defaultdict(list)
    for part, members in parts.items():
        of_part: dict[str, DistanceMatrix] = {}
        for key, analysis in study.comparisons.items():
            labels = [_label(study, key, reference) for reference in members]
            of_part[key] = compare(members, analysis, labels=labels, progress=progress, engine=engine)
            for name, value in _statistics(of_part[key]).items():
                metrics[f"{key}/{name}"].append(value)
            for name, value in _from_references(study, of_part[key], members).items():
                metrics[f"{key}/{name}"].append(value)
        for one, other in pairs:
            for name, agreement in _agreement(of_part[one], of_part[other]).items():
                metrics[f"{one}~{other}/{name}"].append(agreement)
        for key, analysis in study.measurements.items():
            found = measured[key + part] = measure(members, analysis, progress=progress)
            for reference in members:
                label = _label(study, key, reference)
                for name, value in found[str(reference)].items():
                    metrics[f"{key}/{name}/{label}"].append(value)
        matrices |= {key + part: matrix for key, matrix in of_part.items()}
    for key, calculation in study.calculations.items():
        assert isinstance(calculation, CalculationSpec)  # as the spec has checked
        draws = calculate(calculation)
        measured[key] = {draw: dict(finding.numbers) for draw, finding in draws.items()}
        for finding in draws.values():
            for name, value in finding.numbers.items():
                metrics[f"{key}/{name}"].append(value)
    values = {name: tuple(found) for name, found in metrics.items()}
    verdicts = tuple(claim.judge(values) for claim in study.claims)
    return StudyResult(study, matrices, measured, values, verdicts)


def _statistics(matrix: DistanceMatrix) -> dict[str, float]:
    """What a comparison says of its labels; see :class:`StudySpec`."""
    above = np.triu_indices(len(matrix), 1)
    found = {"mean": float(matrix.values[above].mean()), **matrix.statistics()}
    if "silhouette" in found:
        found["p"] = matrix.permutation_test().p
    return found


def _from_references(
    study: StudySpec, matrix: DistanceMatrix, references: Sequence[Reference]
) -> dict[str, float]:
    """What a comparison says of distances from the references; see :class:`StudySpec`."""
    several, found = len(study.references) > 1, dict[str, float]()
    for one in study.references:
        distances = _from_reference(study, one, matrix, references)
        prefix = f"from/{one}/" if several else ""
        found |= {f"{prefix}to/{label}": value for label, value in distances.items()}
        others = [value for label, value in distances.items() if label not in study.references]
        if several and others:  # networks, and no recordings beside them
            found[f"{prefix}nearest"] = min(others)
    return found


def _from_reference(
    study: StudySpec, one: str, matrix: DistanceMatrix, references: Sequence[Reference]
) -> dict[str, float]:
    """Label → mean distance of its networks from those of the reference that match them.

    Raises :class:`AnalysisError` where there is none.
    """
    labels = np.array(matrix.labels)
    shared = np.array([_field(each, study.matched) if study.matched else "" for each in references])
    found = {}
    for label in dict.fromkeys(matrix.labels):
        pairs = (labels == label)[:, None] & (labels == one) & (shared[:, None] == shared)
        np.fill_diagonal(pairs, False)
        if pairs.any():
            found[label] = float(matrix.values[pairs].mean())
    if not found:
        raise AnalysisError(
            f"no network of the study {study.name!r} has the label {one!r}, which should be the "
            f"reference, with another to measure; labels are "
            f"{brief(', '.join(dict.fromkeys(matrix.labels)), 200)}."
        )
    return found


def _agreement(one: DistanceMatrix, other: DistanceMatrix) -> dict[str, float | None]:
    """Whether two comparisons order pairs alike: Spearman's correlation, and the p value of Mantel's test."""
    try:
        found = mantel(one.values, other.values, "spearman")
    except AnalysisError:  # one of the two does not vary
        return {"correlation": None, "p": None}
    return {"correlation": found.observed, "p": found.p}


def _label(study: StudySpec, key: str, reference: Reference) -> str:
    """The label of a network in one comparison or measurement."""
    path = study.labels.get(key, study.label)
    if path is not None:
        return _field(reference, path)
    if not study.groups:
        return reference.name
    for label, patterns in study.groups.items():
        if glob(patterns, [str(reference), reference.name]):
            return label
    raise UnknownNameError(
        f"the study {study.name!r} has no group for {reference}; add a pattern that matches it."
    )


def _field(reference: Reference, path: str) -> str:
    member = reference.member if isinstance(reference.member, int) else 0
    value: Any = fetch(reference).experiment.member(member).plain()
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            raise AnalysisError(f"{reference} has no field {path!r} in its experiment to be labelled by.")
        value = value[name]
    return str(value)


def labels_in_order(labels: Sequence[str]) -> list[str]:
    """Different labels: numbers ascending, names as they come."""
    found = list(dict.fromkeys(labels))
    try:
        return sorted(found, key=float)
    except ValueError:
        return found
