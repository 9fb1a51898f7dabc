"""Learning one task after another: what was forgotten, what can still be learned, dead units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.analysis.finding import Finding
from zoo.analysis.learning.curves import curve_of, values_of
from zoo.analysis.measure import Found, Measurement
from zoo.errors import AnalysisError, calling
from zoo.models.layered import Layered
from zoo.models.trajectories import Trajectories
from zoo.specs.analyses.forgetting import DormantUnitsSpec, ForgettingSpec, PlasticitySpec
from zoo.specs.stream import StreamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network


class Forgetting(Measurement[ForgettingSpec]):
    """Numbers, with a_l,k the score on task k when task l has ended, and K the last one: ``final``, the mean
    of a_K,k; ``learned``, that of a_k,k; ``forgetting``, the mean over k < K of the best a_l,k before less
    a_K,k; ``backward``, that of a_K,k - a_k,k. Arrays: ``scores`` ``[end, task]`` and ``steps`` of the ends.
    """

    requires = frozenset({"network"})
    looks = False

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One that was seen to learn a stream."""
        _ends(network)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        count, curve = len(stream_of(network)), curve_of(network)
        steps, places = _ends(network)
        if count < 2 or len(steps) < count:
            raise AnalysisError(
                f"{calling(network.name)} has come to the end of {min(count, len(steps))} of its {count} "
                "tasks; forgetting is measured after all of two or more. Train it for longer."
            )
        split = self.spec.split
        scores = np.stack(
            [values_of(curve, f"{split}-{k}/{self.spec.metric}", network)[places] for k in range(count)], 1
        )
        task, last = np.arange(count), scores[-1]
        learned = scores[task, task]
        lost = scores[:-1].max(0) - last
        before = np.delete(task, (len(steps) - 1) % count)  # the one learned last cannot have been forgotten
        numbers = {
            "final": last.mean(),
            "learned": learned.mean(),
            "forgetting": lost[before].mean(),
            "backward": (last - learned)[before].mean(),
        }
        return Found(numbers, {"scores": scores, "steps": np.array(steps)})

    def figure(self, finding: Finding) -> Figure:
        """The score on each task, as one after another ends."""
        from zoo.analysis.learning.figures import forgetting_figure

        return forgetting_figure(finding, self.spec.metric)


class Plasticity(Measurement[PlasticitySpec]):
    """Numbers: ``first`` and ``last``, the mean scores at the end of the first and of the last ``few`` tasks,
    and ``change``, the difference. Arrays: ``scores`` and ``steps``, ``[end]``."""

    requires = frozenset({"network"})
    looks = False

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """One that was seen to learn a stream."""
        _ends(network)

    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        curve = curve_of(network)
        steps, places = _ends(network)
        few = self.spec.few
        if len(steps) < 2 * few:
            raise AnalysisError(
                f"{calling(network.name)} has come to the end of {len(steps)} tasks, of which the first and "
                f"the last {few} cannot be held against each other. Give few={max(1, len(steps) // 2)}, or "
                "train it for longer."
            )
        scores = values_of(curve, self.spec.metric, network)[places]
        first, last = scores[:few].mean(), scores[-few:].mean()
        numbers = {"first": first, "last": last, "change": last - first}
        return Found(numbers, {"scores": scores, "steps": np.array(steps)})

    def figure(self, finding: Finding) -> Figure:
        """The score at the end of each task."""
        from zoo.analysis.learning.figures import plasticity_figure

        return plasticity_figure(finding, self.spec.metric)


class DormantUnits(Measurement[DormantUnitsSpec]):
    """Numbers: ``fraction`` of the units that are dormant, and of those at each site, ``fraction/h1``. Array:
    ``scores`` ``[unit]`` of all sites, one after the other, mean |h| over that of the layer; a layer of which
    no unit is ever active has 0 throughout."""

    requires = frozenset({"network"})
    looks = False

    @torch.no_grad()
    def find(self, run: Trajectories, network: Network | None) -> Found:
        assert network is not None
        model, spec = network.model, self.spec
        x = network.batch(spec.split, spec.seed, 0, spec.trials).x
        layers = model.hidden if isinstance(model, Layered) else ()
        sites = [spec.site] if spec.site else [*layers] or [model.exposed]
        missing = [site for site in sites if site not in model.sites]
        if missing:
            raise AnalysisError(
                f"{calling(network.name)} has no site {missing[0]!r}; its sites: {', '.join(model.sites)}."
            )
        with model.capture(sites) as seen:
            network.eval()(x)
        scores = {site: dormancy(seen[site].abs().mean((0, 1)).double()) for site in sites}
        dead = {f"fraction/{site}": (each <= spec.tau).double().mean() for site, each in scores.items()}
        every = torch.cat(list(scores.values()))
        return Found({"fraction": (every <= spec.tau).double().mean(), **dead}, {"scores": every})

    def figure(self, finding: Finding) -> Figure:
        """All scores in their order."""
        from zoo.analysis.learning.figures import dormant_figure

        return dormant_figure(finding, self.spec.tau)


def dormancy(activity: Tensor) -> Tensor:
    """The score of each unit of a layer, ``[unit]``, from its mean |h|: that over the mean of all."""
    mean = activity.mean()
    return activity / mean if mean > 0 else torch.zeros_like(activity)


def stream_of(network: Network) -> StreamSpec:
    """The stream that a network was trained on. Raises :class:`AnalysisError` where it has a single task."""
    stream = network.experiment.task.stream
    if stream is None:
        raise AnalysisError(
            f"{calling(network.name)} was trained on a single task; ask one whose task has a stream, such as "
            "permuted-digits-ewc."
        )
    return stream


def _ends(network: Network) -> tuple[list[int], list[int]]:
    """Steps at which the tasks of a stream have ended, and their places in the curve.

    Raises :class:`AnalysisError` where there is no stream, or no curve that was looked at there.
    """
    stream, curve = stream_of(network), curve_of(network)
    last = curve.steps[-1]
    steps = list(range(stream.every, last + 1, stream.every))
    known = {step: place for place, step in enumerate(curve.steps)}
    if any(step not in known for step in steps):
        raise AnalysisError(
            f"the record of {calling(network.name)} was not looked at when its tasks ended, every "
            f"{stream.every} steps; a train.validate_every that divides {stream.every} does."
        )
    return steps, [known[step] for step in steps]
