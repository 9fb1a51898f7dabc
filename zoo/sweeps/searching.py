"""The driver of a search: what is asked for is trained, and its outcome decides what is asked for next."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from zoo.engine.base import Engine
from zoo.engine.job import Job, Report
from zoo.errors import SpecError
from zoo.specs.base import canonical_json
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.population import SEED
from zoo.sweeps.asking import ask
from zoo.sweeps.claim import Claim
from zoo.sweeps.driving import Driver
from zoo.sweeps.folder import FailedMember, SweepFolder
from zoo.sweeps.trials import Trial, adaptive, beyond, listed, measured, of_the_point, with_points
from zoo.training.run import Run


class SearchDriver(Driver):
    """Trains the members that a search asks for.

    Trial k is asked for once trials 0 to k − ``parallel`` are over, and from their outcomes. A trial is over
    when all of its seeds are finished, or one has failed for a reason that lies in the point; that is told
    as the worst outcome, and not tried again. Another failure holds the search up until the next call.
    """

    def __init__(
        self,
        folder: SweepFolder,
        experiment: ExperimentSpec,
        engine: Engine,
        group: int,
        claim: Claim | None = None,
    ) -> None:
        search = adaptive(experiment)
        assert search is not None
        self.search = search
        self.declared = experiment
        self.trials: list[Trial] = []
        self.outcomes: list[float | None] = []
        """Of the trials that are over, up to the first that is not; none where one has failed."""
        self._points: list[dict[str, Any]] = []
        """Those that have members, each once, as in :func:`listed`."""
        self._members_at: dict[str, tuple[str, ...]] = {}
        """Point, as text → digests of its members; none of one that the spec refuses."""
        self._before = folder.trials(search)
        self._failed_before = {row.digest: row for row in folder.failures() if of_the_point(row.kind)}
        super().__init__(folder, with_points(experiment, ()), engine, group, claim)
        self._go_on()

    @property
    def total(self) -> int:
        return len(self.members) + beyond(self.declared, self.trials)

    def _settle(self, job: Job, report: Report) -> None:
        super()._settle(job, report)
        self._go_on()

    def _go_on(self) -> None:
        """Ask for what may be asked for now, and queue what is to be trained for it."""
        todo: list[str] = []
        asked = len(self.trials)
        self._tell()
        while len(self.trials) < min(self.search.trials, len(self.outcomes) + self.search.parallel):
            todo += self._take(self._next())
            self._tell()
        if len(self.trials) > max(asked, len(self._before)):
            self.folder.write_trials(self.trials)
        self._queue(todo)

    def _next(self) -> dict[str, Any]:
        trial = len(self.trials)
        if trial < len(self._before):
            return self._before[trial].point
        points = [trial.point for trial in self.trials]
        return ask(self.search, points, self.outcomes[: max(0, trial + 1 - self.search.parallel)])

    def _take(self, point: dict[str, Any]) -> list[str]:
        """Digests of the members of a point that are to be trained."""
        key = canonical_json(point)
        if key in self._members_at:
            self.trials.append(Trial(point, refused=not self._members_at[key]))
            return []
        assert self.declared.population is not None
        seed, count = self.declared.train.seed, self.declared.population.members
        try:
            made = [self.declared.varied({SEED: seed + offset} | point) for offset in range(count)]
        except ValueError as problem:
            self._members_at[key] = ()
            self.trials.append(Trial(point, refused=True))
            self._refuse(key, point, str(problem))
            return []
        self.trials.append(Trial(point))
        self._members_at[key] = tuple(member.digest() for member in made)
        todo = self._take_in(enumerate(made, len(self._points) * count))
        self._points.append(point)
        self.experiment = with_points(self.declared, self._points)
        known = [digest for digest in todo if digest in self._failed_before]
        self.failed |= {digest: self._failed_before[digest] for digest in known}
        return [digest for digest in todo if digest not in known]

    def _refuse(self, key: str, point: dict[str, Any], why: str) -> None:
        digest = hashlib.sha256(key.encode()).hexdigest()
        row = FailedMember(digest, -1, point, SpecError.__name__, why, "")
        self.failed[digest] = row
        self.folder.keep_failure(row)

    def _tell(self) -> None:
        """Note the outcomes of trials that are over."""
        for trial in self.trials[len(self.outcomes) :]:
            digests = self._members_at[canonical_json(trial.point)]
            failed = [self.failed[digest].kind for digest in digests if digest in self.failed]
            if trial.refused or any(map(of_the_point, failed)):
                self.outcomes.append(None)
                continue
            runs = [Run.of(self.members[digest][1]) for digest in digests]
            if not all(run.finished for run in runs):
                return
            values = [measured(run.result, self.search.metric) for run in runs]
            self.outcomes.append(mean(values))


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; none where one of the values is none."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def found(folder: SweepFolder) -> ExperimentSpec | None:
    """The population of what a search has found, all of whose members are finished; points of which one has
    failed are left out. None before the end of the search, or where nothing is left of it."""
    experiment = folder.experiment
    search = adaptive(experiment)
    assert search is not None
    trials = folder.trials(search)
    if len(trials) < search.trials:
        return None
    whole = listed(experiment, trials)
    population = whole.population
    assert population is not None
    assert population.points is not None
    failed = {row.digest for row in folder.failures() if of_the_point(row.kind)}
    kept = []
    for number, point in enumerate(population.points):
        seeds = range(number * population.members, (number + 1) * population.members)
        members = [whole.member(index) for index in seeds]
        if all(Run.of(member).finished for member in members):
            kept.append(point)
        elif not any(member.digest() in failed for member in members):
            return None
    return with_points(whole, kept) if kept else None
