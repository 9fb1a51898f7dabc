"""A study run: its comparisons computed, its claims judged, its figure drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.analysis.compare import compare
from zoo.analysis.matrix import DistanceMatrix
from zoo.errors import UnknownNameError
from zoo.hub import expand
from zoo.registry import glob
from zoo.specs.claim import Verdict
from zoo.specs.study import StudySpec


@dataclass(frozen=True)
class StudyResult:
    """What a study found."""

    study: StudySpec
    matrices: Mapping[str, DistanceMatrix]
    metrics: Mapping[str, float]
    """``<comparison>/<statistic>`` → value."""
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)

    def write(self, folder: Path) -> list[Path]:
        """Matrices as CSV and JSON, a figure (PNG, SVG) of each, and ``study.json``. Returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for key, matrix in self.matrices.items():
            for suffix, save in ((".csv", matrix.to_csv), (".json", matrix.to_json)):
                save(folder / f"{self.study.name}-{key}{suffix}")
                written.append(folder / f"{self.study.name}-{key}{suffix}")
            for suffix in (".png", ".svg"):
                matrix.plot(folder / f"{self.study.name}-{key}{suffix}")
                written.append(folder / f"{self.study.name}-{key}{suffix}")
        summary = {
            "study": self.study.plain(),
            "digest": self.study.digest(),
            "metrics": dict(self.metrics),
            "verdicts": [verdict.plain() for verdict in self.verdicts],
        }
        path = folder / f"{self.study.name}.json"
        path.write_text(json.dumps(summary, indent=1))
        return [*written, path]


def run_study(study: StudySpec, progress: bool = False) -> StudyResult:
    """Compute every comparison of a study on its published checkpoints.

    Raises :class:`UnknownNameError` for checkpoints that are not published yet.
    """
    references = [reference for pattern in study.checkpoints for reference in expand(pattern)]
    labels = [_label(study, str(reference), reference.name) for reference in references]
    matrices: dict[str, DistanceMatrix] = {}
    metrics: dict[str, float] = {}
    for key, analysis in study.comparisons.items():
        matrix = compare(references, analysis, labels=labels, progress=progress)
        matrices[key] = matrix
        metrics |= {f"{key}/{name}": value for name, value in matrix.statistics().items()}
    verdicts = tuple(
        claim.judge({name: (value,) for name, value in metrics.items()}) for claim in study.claims
    )
    return StudyResult(study, matrices, metrics, verdicts)


def _label(study: StudySpec, reference: str, name: str) -> str:
    if not study.groups:
        return name
    for label, patterns in study.groups.items():
        if glob(patterns, [reference, name]):
            return label
    raise UnknownNameError(
        f"the study {study.name!r} has no group for {reference}; add a pattern that matches it."
    )
