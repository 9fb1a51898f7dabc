"""How far a distance would move with other trials: the bootstrap over whole trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.compare import comparator_of
from zoo.analysis.items import content, gather
from zoo.analysis.matrix import FULL_TABLE, DistanceMatrix
from zoo.analysis.statistics import companions, separation
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories
from zoo.progress import Bars
from zoo.specs.families import AnalysisSpec

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Estimate:
    """A number from all trials, and what it is in resamples of them."""

    value: float
    error: float
    """Standard deviation over resamples."""
    bias: float
    """Mean over resamples, less the value."""
    low: float
    """Lower end of the percentile interval."""
    high: float

    @classmethod
    def of(cls, value: float, samples: np.ndarray, level: float) -> Estimate:
        """From resampled values ``[resample]``."""
        low, high = _interval(samples, level).tolist()
        return cls(value, float(samples.std(ddof=1)), float(samples.mean() - value), low, high)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Distances of all trials, and of resamples of them (Efron & Tibshirani 1993).

    A resample holds about 63 % of the trials, some of them more than once, and distances depend on how
    many trials there are. Where networks are fitted to each other (procrustes, cka, rsa), fewer trials
    are easier to fit: resampled distances are smaller. Where each is estimated by itself (dsa), noise
    is added to both: they tend to be larger near zero, which no distance is below, and can go either
    way elsewhere. So look at :attr:`bias`: where it is as large as the error, the interval is shifted and
    need not hold the distance; then more trials are needed. Intervals are about these networks with other
    trials, not about other seeds of training: for those, compare the members of a population.
    """

    matrix: DistanceMatrix
    """Of all trials."""
    samples: np.ndarray
    """``[resample, n, n]``."""
    level: float
    """Share of the resamples that an interval holds."""
    seed: int

    @property
    def standard_error(self) -> np.ndarray:
        """``[n, n]``: standard deviation over resamples."""
        return self.samples.std(0, ddof=1)

    @property
    def interval(self) -> np.ndarray:
        """``[2, n, n]``: the lower and the upper end of the percentile interval."""
        return _interval(self.samples, self.level)

    @property
    def bias(self) -> np.ndarray:
        """``[n, n]``: the mean over resamples, less the distance of all trials."""
        return self.samples.mean(0) - self.matrix.values

    def statistics(self) -> dict[str, Estimate]:
        """``silhouette``, ``within`` and ``between`` of the labels, as :meth:`DistanceMatrix.statistics`.

        Empty where fewer than two labels have two members.
        """
        members, codes = companions(self.matrix.labels)
        if not len(members):
            return {}
        rows, columns = np.ix_(members, members)
        values = separation(self.matrix.values[rows, columns], codes)
        resampled = separation(self.samples[:, rows, columns], codes)
        return {
            name: Estimate.of(float(value), resampled[name], self.level) for name, value in values.items()
        }

    def table(self) -> Table:
        """For a terminal: each pair, or for many networks each with its nearest; then the statistics."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=self.matrix.measure,
            title_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for heading in ("network", "other"):
            table.add_column(heading, overflow="fold")
        for heading in ("distance", "error", "bias", f"{100 * self.level:.4g} % interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        for i, j in self._shown_pairs():
            cells = _cells(Estimate.of(self.matrix.values[i, j], self.samples[:, i, j], self.level))
            table.add_row(Text(self.matrix.names[i]), Text(self.matrix.names[j]), *cells)
        table.add_section()
        for name, estimate in self.statistics().items():
            table.add_row(Text(name), Text("of the labels", style="dim"), *_cells(estimate))
        return table

    def _shown_pairs(self) -> Sequence[tuple[int, int]]:
        count = len(self.matrix)
        if count <= FULL_TABLE:
            return list(combinations(range(count), 2))
        others = np.where(np.eye(count, dtype=bool), np.inf, self.matrix.values)
        return list(enumerate(others.argmin(1).tolist()))


def bootstrap(
    items: Any,
    metric: str | AnalysisSpec = "dsa",
    resamples: int = 200,
    seed: int = 0,
    level: float = 0.95,
    *,
    labels: Sequence[str] | Mapping[str, Any] | None = None,
    progress: bool = False,
    **parameters: Any,
) -> Bootstrap:
    """Distances between networks, with errors from drawing their trials again.

    Each resample draws, with replacement, as many whole trials as there are; never time steps, which
    depend on each other. Metrics that compare sample by sample get the same draw for all networks, so
    that samples still correspond; others one draw for each network.

    Args:
        items, metric, labels, progress, parameters: As for :func:`compare`.
        resamples: How many; each costs what the comparison costs. 200 are enough for standard errors,
            1000 for the ends of an interval.
        seed: Of the draws.
        level: Share of resamples that an interval holds.

    Raises:
        AnalysisError: What :func:`compare` raises; fewer than two trials or resamples; a level outside
            (0, 1); or a resample that the metric cannot serve.
    """
    if resamples < 2:
        raise AnalysisError(f"{resamples} resamples have no spread. Give at least 2; 200 is common.")
    if not 0 < level < 1:
        raise AnalysisError(f"an interval cannot hold the share {level}. Give a level between 0 and 1.")
    comparator = comparator_of(metric, parameters)
    found = gather(items, comparator.spec, labels)
    generator = np.random.default_rng(seed)
    with Bars(progress) as bars:
        runs = [replace(item.open(), name=item.name) for item in bars.over(found, "running networks")]
        values = comparator.matrix([comparator.features(run) for run in runs])
        counts = [len(run.states) for run in runs]
        if min(counts) < 2:
            few = calling(runs[counts.index(min(counts))].name)
            raise AnalysisError(
                f"{few} has one trial, and trials are what is drawn. Give at least 2; 20 say more."
            )
        samples = np.empty((resamples, *values.shape))
        for number in bars.over(range(resamples), f"{comparator.spec.kind}: resamples"):
            if comparator.aligned:
                draws = [generator.integers(counts[0], size=counts[0])] * len(runs)
            else:
                draws = [generator.integers(count, size=count) for count in counts]
            drawn = [_drawn(run, trials) for run, trials in zip(runs, draws, strict=True)]
            try:
                samples[number] = comparator.matrix([comparator.features(run) for run in drawn])
            except AnalysisError as problem:
                raise AnalysisError(
                    f"a resample of the trials has no distances: {problem} "
                    "A resample has fewer different trials than there are: give more trials."
                ) from problem
    matrix = DistanceMatrix(
        names=tuple(item.name for item in found),
        values=values,
        labels=tuple(item.label for item in found),
        spec=comparator.spec,
        origins=tuple(run.origin or content(run, comparator.requires) for run in runs),
        measure=comparator.measure,
    )
    return Bootstrap(matrix, samples, level, seed)


def _drawn(run: Trajectories, trials: np.ndarray) -> Trajectories:
    """Some trials, in order and as often as they are named, of everything that is known of them."""
    rows = torch.from_numpy(trials)

    def of(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part[rows.to(part.device)]
        return {name: of(value) for name, value in part.items()} if isinstance(part, Mapping) else part

    return replace(run, **{field.name: of(getattr(run, field.name)) for field in fields(run)})


def _interval(samples: np.ndarray, level: float) -> np.ndarray:
    return np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0)


def _cells(estimate: Estimate) -> tuple[str, ...]:
    return (
        f"{estimate.value:.3g}",
        f"{estimate.error:.2g}",
        f"{estimate.bias:+.2g}",
        f"{estimate.low:.3g} … {estimate.high:.3g}",
    )
