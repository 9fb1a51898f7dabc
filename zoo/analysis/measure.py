"""Analyses of one network at a time: what they give, and the verb that asks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

from zoo import registry
from zoo.analysis.base import checked
from zoo.analysis.items import gather
from zoo.analysis.observe import observe
from zoo.errors import AnalysisError, brief, calling
from zoo.models.trajectories import Trajectories
from zoo.progress import Bars
from zoo.specs.analyses.base import MeasurementSpec
from zoo.specs.families import AnalysisSpec
from zoo.specs.problems import validate

if TYPE_CHECKING:
    from zoo.network import Network

S = TypeVar("S", bound=Any)


class Measurement(ABC, Generic[S]):
    """Numbers of one network, from its trajectories. Built from ``(spec)`` alone."""

    arity: ClassVar[Literal["one"]] = "one"

    def __init__(self, spec: S) -> None:
        self.spec = spec

    @abstractmethod
    def numbers(self, run: Trajectories, network: Network | None) -> Mapping[str, float]:
        """By name. ``run`` is observed as the spec says, in float64; arrays come without a ``network``.

        Raises :class:`AnalysisError` where it cannot be measured.
        """


def measure(
    items: Any, measurement: str | AnalysisSpec, *, progress: bool = False, **parameters: Any
) -> dict[str, dict[str, float]]:
    """Numbers of each network by itself: its name → name of the number → value.

    Args:
        items: As for :func:`zoo.compare`; one is enough.
        measurement: A kind of measurement, or its spec.
        parameters: Fields of the measurement's spec.

    Raises:
        AnalysisError: No such network, or one that cannot be measured; also what :func:`zoo.compare` raises.
    """
    made = measurement_of(measurement, parameters)
    found = gather(items, made.spec, None, least=1)
    results = {}
    with Bars(progress) as bars:
        for item in bars.over(found, f"{made.spec.kind}: measuring"):
            run = item.open()
            states = checked(run.states, f"{made.spec.kind} cannot use the states of {calling(item.name)}")
            seen = observe(replace(run, states=states, name=item.name), made.spec.observe)
            results[item.name] = {
                name: float(value) for name, value in made.numbers(seen, item.network()).items()
            }
            for name, value in results[item.name].items():
                if not np.isfinite(value):
                    raise AnalysisError(
                        f"{made.spec.kind} of {calling(item.name)} gave a {name} that is not finite. "
                        "Look at its states for values that are extremely large or small."
                    )
    return results


def measurement_of(measurement: str | AnalysisSpec, parameters: Mapping[str, Any]) -> Measurement[Any]:
    """The implementation of a kind or of a spec. Raises :class:`AnalysisError` for what measures nothing."""
    if isinstance(measurement, AnalysisSpec):
        kind, base = type(measurement), dict(measurement)
    elif isinstance(measurement, str):
        kind, base = registry.spec_class("analyses", measurement), {}
    else:
        raise AnalysisError(f"the measurement is {brief(measurement)}; give its spec, or the name of a kind.")
    spec = validate(kind, {**base, **parameters})
    made = registry.implementation("analyses", spec.kind)(spec)
    if not isinstance(spec, MeasurementSpec) or not isinstance(made, Measurement):
        raise AnalysisError(f"the analysis {spec.kind!r} measures no network by itself; see zoo.compare.")
    return made
