"""The verb ``reproduce``: a paper's claims, judged on its published checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoo.engine.base import Engine
from zoo.engine.opening import using
from zoo.errors import SpecError, UnknownNameError
from zoo.hub import fetch
from zoo.registry import suggest
from zoo.specs.catalogue import entries, files
from zoo.specs.claim import Verdict
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.study import StudySpec
from zoo.studies.study import StudyResult, run_study


@dataclass(frozen=True)
class Reproduction:
    """The claims of a paper, with what was measured."""

    name: str
    checkpoints: dict[str, tuple[Verdict, ...]]
    """Published checkpoint → verdicts, measured again where ``measure`` was asked for."""
    missing: tuple[str, ...]
    """Experiments of the paper that no hub has; ``zoo train`` makes them."""
    studies: tuple[StudyResult, ...]

    @property
    def holds(self) -> bool:
        judged = [v for verdicts in self.checkpoints.values() for v in verdicts]
        judged += [v for study in self.studies for v in study.verdicts]
        return not self.missing and all(verdict.holds for verdict in judged)


def reproduce(
    name: str,
    *,
    measure: bool = False,
    output: Path | str | None = None,
    progress: bool = False,
    engine: str | Engine = "here",
) -> Reproduction:
    """Check every claim of a paper, or of one study or experiment, on published checkpoints.

    ``measure`` measures each network again rather than taking the record's word. ``output`` is a folder
    for matrices and figures. ``engine`` says where networks are compared, as for :func:`zoo.compare`.
    Raises :class:`UnknownNameError` where nothing has this name.
    """
    chosen = _specs(name)
    checkpoints: dict[str, tuple[Verdict, ...]] = {}
    missing = []
    for experiment in (spec for spec in chosen if isinstance(spec, ExperimentSpec)):
        try:
            folder = fetch(experiment.name)
        except UnknownNameError:
            missing.append(experiment.name)
            continue
        metrics = dict(folder.record.metrics)
        if measure:
            from zoo.checkpoints.network import measure_members

            metrics |= measure_members(folder)
        checkpoints[experiment.name] = tuple(claim.judge(metrics) for claim in experiment.claims)
    with using(engine) as opened:
        studies = tuple(run_study(spec, progress, opened) for spec in chosen if isinstance(spec, StudySpec))
    if output is not None:
        for study in studies:
            study.write(Path(output))
    return Reproduction(name, checkpoints, tuple(missing), studies)


def _specs(name: str) -> list[ExperimentSpec | StudySpec]:
    """The study or experiment of this name, or all of the paper of this name."""
    found = []
    for entry, spec in entries():
        if isinstance(spec, SpecError):
            if entry == name:
                raise spec
            continue
        if isinstance(spec, ExperimentSpec | StudySpec) and name in (entry, spec.paper):
            found.append(spec)
    if not found:
        raise UnknownNameError(
            f"there is no paper, study or experiment {name!r}.{suggest(name, files())} "
            "See them all with: zoo list"
        )
    return found
