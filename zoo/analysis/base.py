"""The contract of a comparator: features once a network, then distances between all pairs at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.observe import observe
from zoo.analysis.tiles import Parts, Progress, Spread, gathered, in_turn
from zoo.errors import AnalysisError, calling
from zoo.models.trajectories import Trajectories

S = TypeVar("S", bound=Any)


@dataclass(frozen=True)
class Features:
    """What a comparator keeps of one network."""

    values: Mapping[str, Tensor]
    """Whatever the comparator's ``pairwise`` works on, by name."""
    trials: int = 0
    steps: int = 0
    name: str = ""


class Comparator(ABC, Generic[S]):
    """A distance between networks, seen through their trajectories. Built from ``(spec)`` alone.

    A new comparator gives ``measure``, ``extract`` and ``pairwise``. Results are deterministic, in
    float64, and never change what they were given.
    """

    arity: ClassVar[Literal["one", "pair", "series", "population"]] = "pair"
    requires: frozenset[str] = frozenset({"states"})
    """Fields of :class:`Trajectories` that must be there."""
    aligned: ClassVar[bool] = True
    """Whether sample (trial, time) of one network must be the same sample in every other."""
    ragged: ClassVar[bool] = False
    """Whether trials may differ in length (``source.lengths``)."""
    independent: bool = False
    """Whether what ``pairwise`` finds of two networks depends on these two alone, so that pairs can be
    computed in tiles. Where it does not, ``pairwise`` gets all pairs at once, and may ``spread`` parts."""
    version: ClassVar[int] = 1
    """Raised when the numbers change, so that cached results are not taken for new ones."""
    invariances: tuple[str, ...] = ()
    """Changes of the states that leave every distance as it is."""

    def __init__(self, spec: S) -> None:
        self.spec = spec
        self.progress: Progress = lambda share: None
        """Told now and then which share of the pairs is done."""
        self.spread: Spread = in_turn
        """Where tiles of pairs are computed."""

    def __reduce__(self) -> tuple[type, tuple[S]]:
        """Another process makes it again from its spec."""
        return type(self), (self.spec,)

    # What a comparator gives ----------------------------------------------------------------

    @property
    @abstractmethod
    def measure(self) -> str:
        """Name and unit of the distance, as on a colour bar: ``CKA angle (rad)``."""

    @abstractmethod
    def extract(self, states: Tensor, source: Trajectories) -> Mapping[str, Tensor]:
        """Features from float64 states ``[trial, time, unit]``, finite and not constant.

        ``source`` holds whatever else is needed, observed in the same way as ``states``; its own states
        are those that were given. Raises :class:`AnalysisError` where features cannot be had.
        """

    @abstractmethod
    def pairwise(self, features: Sequence[Features], pairs: Tensor) -> Mapping[str, Tensor]:
        """``distance`` of ``pairs`` ``[pair, 2]``, and what else is known of each: name → ``[pair]``."""

    # What follows from it -------------------------------------------------------------------

    def require(self, trajectories: Trajectories, name: str = "") -> None:
        """Refuse, early, what lacks a part that is needed. Raises :class:`AnalysisError`."""
        for part in sorted(self.requires):
            if getattr(trajectories, part, None) is None:
                raise AnalysisError(
                    f"{self.spec.kind} needs the {part} of every network, and {calling(name)} has none. "
                    f"Give trajectories that hold {part}."
                )
        if trajectories.lengths is not None and not self.ragged:
            raise AnalysisError(
                f"{self.spec.kind} needs trials of one length, and those of {calling(name)} have "
                f"{int(trajectories.lengths.min())} to {int(trajectories.lengths.max())} steps. Cut them to "
                "the shortest, or use a metric of dynamics, such as dsa."
            )

    def features(self, trajectories: Trajectories) -> Features:
        """What is compared of one network.

        Raises :class:`AnalysisError` for states that are missing, not finite, constant or too few.
        """
        kind, called = self.spec.kind, calling(trajectories.name)
        self.require(trajectories, trajectories.name)
        states = checked(trajectories.states, f"{kind} cannot use the states of {called}")
        observed = observe(replace(trajectories, states=states), self.spec.observe)
        states = observed.states
        values = self.extract(states, replace(observed, states=trajectories.states))
        if not all(bool(torch.isfinite(value).all()) for value in values.values()):
            raise AnalysisError(
                f"{kind} of {called} gave values that are not finite. "
                "The states may be too large or nearly degenerate; scale them, or look at them first."
            )
        return Features(values, states.shape[0], states.shape[1], trajectories.name)

    def distance(self, a: Trajectories | Features, b: Trajectories | Features) -> float:
        """The distance of two networks, in the unit that ``measure`` says. Raises as ``matrix`` does."""
        return float(self.matrix([a, b])[0, 1])

    def matrix(self, items: Sequence[Trajectories | Features]) -> np.ndarray:
        """Distances ``[n, n]``: symmetric, zero on the diagonal, finite.

        Raises :class:`AnalysisError` for fewer than two networks, for samples that do not correspond
        where they must, and for distances that are not finite.
        """
        found = [item if isinstance(item, Features) else self.features(item) for item in items]
        if len(found) < 2:
            raise AnalysisError(f"{self.spec.kind} compares at least two networks; {len(found)} given.")
        pairs = np.stack(np.triu_indices(len(found), 1), 1)
        values = np.zeros((len(found), len(found)))
        values[pairs[:, 0], pairs[:, 1]] = values[pairs[:, 1], pairs[:, 0]] = self.measures(found, pairs)[
            "distance"
        ]
        return values

    def measures(self, features: Sequence[Features], pairs: np.ndarray) -> dict[str, np.ndarray]:
        """What :meth:`pairwise` finds for ``pairs`` ``[pair, 2]``, float64 ``[pair]`` by name.

        Raises what :meth:`matrix` does.
        """
        tables = gathered(len(pairs), self.parts(features, pairs))
        return {name: table.numpy() for name, table in tables.items()}

    def parts(self, features: Sequence[Features], pairs: np.ndarray) -> Parts:
        """:meth:`measures` of some pairs after others, each as soon as it is found."""
        if self.aligned:
            self._check_alignment(features)
        device = next(iter(features[0].values.values())).device
        wanted = torch.from_numpy(pairs).to(device)
        if self.independent:
            found = self.spread(self._tile, features, wanted, self.progress)
        else:
            found = iter([(torch.arange(len(pairs)), self.pairwise(features, wanted))])
        for rows, values in found:
            distance = values["distance"]
            if not bool(torch.isfinite(distance).all()):
                worst = pairs[int(rows[torch.nonzero(~torch.isfinite(distance))[0]])].tolist()
                pair = " and ".join(calling(features[index].name) for index in worst)
                raise AnalysisError(
                    f"the {self.spec.kind} distance of {pair} is not finite. "
                    "Look at their states for values that are extremely large or small."
                )
            yield rows, {name: value.double().cpu() for name, value in values.items()}

    def _tile(self, features: Sequence[Features], pairs: Tensor, progress: Progress) -> Mapping[str, Tensor]:
        outer, self.progress = self.progress, progress
        try:
            return self.pairwise(features, pairs)
        finally:
            self.progress = outer

    def _check_alignment(self, found: Sequence[Features]) -> None:
        first = found[0]
        for other in found[1:]:
            if (other.trials, other.steps) != (first.trials, first.steps):
                raise AnalysisError(
                    f"{self.spec.kind} compares sample by sample, so all networks must see the same "
                    f"trials: {calling(first.name)} has {first.trials} trials × {first.steps} steps, "
                    f"{calling(other.name)} has {other.trials} × {other.steps}. Run both on the same task "
                    "and split, or compare them with a metric that needs no shared trials, such as dsa."
                )


def checked(states: Any, complaint: str) -> Tensor:
    """Float64 states ``[trial, time, unit]`` that a comparator can work on; the caller's stay as they are."""
    if not isinstance(states, Tensor):
        raise AnalysisError(
            f"{complaint}: they are {type(states).__name__}, no tensor. Use Trajectories.wrap."
        )
    if states.ndim != 3 or 0 in states.shape:
        raise AnalysisError(f"{complaint}: shape {tuple(states.shape)}; give [trial, time, unit].")
    if states.is_complex() or states.dtype == torch.bool:
        raise AnalysisError(f"{complaint}: type {states.dtype}; give real numbers.")
    device = "cpu" if states.device.type == "mps" else states.device  # no float64 there
    values = states.detach().to(device=device, dtype=torch.float64)
    if not bool(torch.isfinite(values).all()):
        raise AnalysisError(
            f"{complaint}: they hold NaN or infinite values. Remove those trials or fill them in first."
        )
    if bool((values == values[:1, :1]).all()):
        raise AnalysisError(
            f"{complaint}: they never change over {values.shape[0]} trials × {values.shape[1]} steps. "
            "Give more samples, or another site."
        )
    return values
