"""How many delays, and which rank: how well each choice predicts, and what its distances then depend on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.base import checked
from zoo.analysis.dynamics.hankel import Coordinates, delay_coordinates, regression
from zoo.analysis.dynamics.transport import transport_costs
from zoo.analysis.items import gather
from zoo.analysis.observe import observe
from zoo.errors import AnalysisError, GeometryWarning, calling
from zoo.models.trajectories import Trajectories
from zoo.progress import Bars
from zoo.specs.analyses.dynamics import DSASpec
from zoo.specs.problems import validate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Criterion = Literal["held_out", "mase", "aic"]
STRETCH = 10.0
"""Ratio of the largest and the smallest axis of the linear map that a choice should not see."""
TOLERANCE = 0.01
"""A choice is as good as the best when its error is within this share of it."""
SEEN, ALONE = 0.25, 0.01
"""Geometry matters when stretching moves a network by more than this share of the median distance between
networks; or, where there is one network only, by more than the second number (W₂ of eigenvalues)."""
READ = frozenset({"interval", "ridge", "site", "trials", "split", "seed", "observe"})
"""Parameters of DSA that a sweep takes over."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Delays × ranks: arrays ``[delay, rank]``, means over networks; NaN where there are too few data."""

    delays: tuple[int, ...]
    ranks: tuple[int, ...]
    names: tuple[str, ...]
    aic: np.ndarray
    """Akaike's criterion of one-step predictions, per number: ``log(SSE / N) + 2 (rank² + 1) / N``."""
    mase: np.ndarray
    """Mean absolute error of one-step predictions over that of persistence (Hyndman & Koehler 2006)."""
    held_out: np.ndarray
    """The same on trials that the operator was not fitted to."""
    geometry: np.ndarray
    """W₂ between the eigenvalues of a network and of itself after a linear map that stretches its states
    tenfold along random axes: what the choice sees of geometry, where all there is to see is the same."""
    between: np.ndarray
    """Median W₂ between the networks; NaN where there is only one."""

    def best(self, criterion: Criterion = "held_out") -> tuple[int, int]:
        """The smallest delays × rank that are as good as the best, within one percent of the error.

        For ``aic``, the best. Warns (:class:`GeometryWarning`) where distances at this choice would
        depend on geometry. Raises :class:`AnalysisError` where no choice could be fitted.
        """
        values = getattr(self, criterion)
        if np.isnan(values).all():
            raise AnalysisError(
                f"no choice of delays {list(self.delays)} and ranks {list(self.ranks)} can be fitted "
                "to these data. Give more data, or smaller numbers."
            )
        least = np.nanmin(values)
        good = values <= (least if criterion == "aic" else least * (1 + TOLERANCE))
        size = np.multiply.outer(np.array(self.delays), np.array(self.ranks) ** 2)
        place = np.unravel_index(np.where(good, size, size.max() + 1).argmin(), size.shape)
        delays, rank = self.delays[place[0]], self.ranks[place[1]]
        if self.sees_geometry[place]:
            than = f"; networks are {self.between[place]:.2g} apart" if len(self.names) > 1 else ""
            warnings.warn(
                f"with {delays} delays and rank {rank}, distances depend on geometry: stretching a network's "
                f"states moves it by {self.geometry[place]:.2g}{than}. A higher rank, or none, depends less.",
                GeometryWarning,
                stacklevel=2,
            )
        return delays, rank

    @property
    def sees_geometry(self) -> np.ndarray:
        """``[delay, rank]``: where distances would depend on geometry rather than on dynamics alone."""
        limit = np.where(np.isnan(self.between), ALONE, SEEN * self.between)
        return np.asarray(self.geometry > limit)

    def figure(self) -> Figure:
        """The four quantities as heat maps, with the choice of each criterion marked.

        Raises :class:`MissingDependencyError` without matplotlib.
        """
        from zoo.analysis.dynamics.sweep_figure import sweep_figure

        return sweep_figure(self)

    def plot(self, path: str | Path) -> Path:
        """Write :meth:`figure`; as PNG, SVG or PDF by the suffix. Raises :class:`AnalysisError` on others."""
        from zoo.analysis.figures import save

        return save(self.figure, Path(path))


def sweep(
    items: Any,
    delays: Sequence[int] = (1, 2, 5, 10, 20),
    ranks: Sequence[int] = (2, 5, 10, 15, 20, 30),
    *,
    held_out: float = 0.25,
    progress: bool = False,
    **parameters: Any,
) -> Sweep:
    """How well every combination of delays and rank predicts a network's next state, and what it sees.

    Args:
        items: As for :func:`zoo.compare`; one network is enough.
        delays, ranks: What is tried, in ascending order.
        held_out: Share of the trials that operators are not fitted to; of time, where there is one trial.
        parameters: Fields of :class:`DSASpec`: those in :data:`READ`.

    Raises:
        AnalysisError: Nothing to fit, states that are not finite or never change, a parameter that is not
            read, or numbers that are no delays, ranks or shares.
    """
    tried = [tuple(sorted({int(value) for value in values})) for values in (delays, ranks)]
    if not all(tried) or min(map(min, tried)) < 1 or not 0 < held_out < 1:
        raise AnalysisError(
            f"a sweep needs delays and ranks of 1 or more and a share between 0 and 1 that is held out; "
            f"it was given {list(delays)}, {list(ranks)} and {held_out}."
        )
    if unused := parameters.keys() - READ:
        raise AnalysisError(
            f"a sweep does not read {', '.join(sorted(unused))}; it takes {', '.join(sorted(READ))}, "
            "and tries 'delays' and 'ranks'."
        )
    spec = validate(DSASpec, parameters)
    found = gather(items, spec, None, least=1)
    measured, spectra = [], []
    with Bars(progress) as bars:
        for item in bars.over(found, "sweep"):
            run = replace(item.open(), name=item.name)
            numbers, values = _network(run, spec, tried[0], tried[1], held_out)
            measured.append(numbers)
            spectra.append(values)
    aic, mase, unseen, shift = np.array(measured).mean(0)
    names = tuple(item.name for item in found)
    return Sweep(tried[0], tried[1], names, aic, mase, unseen, shift, _between(spectra, tried))


def _network(
    run: Trajectories, spec: DSASpec, delays: Sequence[int], ranks: Sequence[int], held_out: float
) -> tuple[np.ndarray, dict[tuple[int, int], np.ndarray]]:
    """``[quantity, delay, rank]``, and the eigenvalues of each choice."""
    if run.lengths is not None:
        raise AnalysisError(
            f"the trials of {calling(run.name)} differ in length; a sweep needs trials of one length."
        )
    states = checked(run.states, f"a sweep cannot use the states of {calling(run.name)}")
    states = observe(replace(run, states=states), spec.observe).states
    fitted, rest = _split(states, held_out)
    stretched = fitted @ _stretch(states.shape[2]).to(states)
    numbers = np.full((4, len(delays), len(ranks)), np.nan)
    spectra: dict[tuple[int, int], np.ndarray] = {}
    for row, delay in enumerate(delays):
        try:
            whole = delay_coordinates(fitted, delay, spec.interval, calling(run.name))
            moved = delay_coordinates(stretched, delay, spec.interval, calling(run.name))
        except AnalysisError:
            continue  # too short for so many delays, which NaN says
        covariances, others = whole.covariances(), moved.covariances()
        outside = _elsewhere(whole, rest)
        for column, rank in enumerate(ranks):
            if rank > min(len(whole.size), len(moved.size), whole.transitions):
                continue
            operator, other = (
                regression(before[:rank, :rank], after[:rank, :rank], spec.ridge, calling(run.name))
                for before, after in (covariances, others)
            )
            aic, mase = _errors(whole, operator)
            eigenvalues = spectra[row, column] = torch.linalg.eigvals(operator).cpu().numpy()
            clouds = [eigenvalues, torch.linalg.eigvals(other).cpu().numpy()]
            shift = transport_costs(clouds, 2, np.array([[0, 1]]))[0] ** 0.5
            unseen = _errors(outside, operator)[1] if outside else np.nan
            numbers[:, row, column] = aic, mase, unseen, shift
    return numbers, spectra


def _split(states: Tensor, held_out: float) -> tuple[Tensor, Tensor]:
    """Trials to fit and trials to predict; parts of the only one where there is one."""
    if len(states) > 1:
        kept = len(states) - max(1, round(held_out * len(states)))
        return states[:kept], states[kept:]
    kept = states.shape[1] - max(1, round(held_out * states.shape[1]))
    return states[:, :kept], states[:, kept:]


def _stretch(units: int) -> Tensor:
    """A linear map ``[unit, unit]`` that stretches random axes, the first :data:`STRETCH` times the last."""
    drawn = torch.randn(2, units, units, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, right = torch.linalg.qr(drawn).Q
    return left @ torch.diag(torch.logspace(0, -np.log10(STRETCH), units, dtype=torch.float64)) @ right


def _elsewhere(whole: Coordinates, states: Tensor) -> Coordinates | None:
    """Other trials in the same coordinates; none where they are too short."""
    rows = states.shape[1] - (whole.delays - 1) * whole.interval
    return replace(whole, states=states, transitions=len(states) * (rows - 1)) if rows > 1 else None


def _errors(of: Coordinates, operator: Tensor) -> tuple[float, float]:
    """AIC and MASE of predicting each next sample from the delay vector before it."""
    rank = len(operator)
    part = replace(of, size=of.size[:rank], directions=of.directions[:rank])
    found = part.of(slice(None), slice(0, of.rows - 1))
    back = (of.delays - 1) * of.interval
    last, truth = of.states[:, back:-1], of.states[:, back + 1 :]
    error = found @ (operator.T @ part.newest()) - truth
    persistence = float((truth - last).abs().mean())
    aic = float(torch.log(error.square().mean())) + 2 * (rank**2 + 1) / error.numel()
    return aic, float(error.abs().mean()) / persistence if persistence > 0 else np.nan


def _between(spectra: Sequence[dict[tuple[int, int], np.ndarray]], tried: Sequence[Sequence[int]]) -> Any:
    """``[delay, rank]``: the median W₂ between networks."""
    found = np.full((len(tried[0]), len(tried[1])), np.nan)
    pairs = np.stack(np.triu_indices(len(spectra), 1), 1)
    for place in np.ndindex(found.shape):
        if len(pairs) and all(place in values for values in spectra):
            costs = transport_costs([values[place] for values in spectra], 2, pairs)
            found[place] = np.median(np.sqrt(costs))
    return found
