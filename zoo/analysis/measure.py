"""Analyses of one network at a time: what they give, and the verb that asks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from torch import Tensor

from zoo import registry
from zoo.analysis.base import checked
from zoo.analysis.finding import Finding, Findings
from zoo.analysis.items import Item, content, gather
from zoo.analysis.observe import observe
from zoo.analysis.store import FindingStore
from zoo.errors import AnalysisError, brief, calling
from zoo.models.trajectories import Trajectories
from zoo.progress import Bars
from zoo.specs.analyses.base import CalculationSpec, MeasurementSpec
from zoo.specs.families import AnalysisSpec
from zoo.specs.problems import validate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.network import Network

S = TypeVar("S", bound=Any)

OF_NETWORKS = {"network", "step", "derivative"}
"""Parts that arrays never have."""


@dataclass(frozen=True)
class Found:
    """What a measurement finds in a network."""

    numbers: Mapping[str, float | Tensor]
    arrays: Mapping[str, Tensor | np.ndarray] = field(default_factory=dict)


class Analysis(ABC, Generic[S]):
    """What gives findings. Built from ``(spec)`` alone; ``figure`` draws, where there is something to see."""

    def __init__(self, spec: S) -> None:
        self.spec = spec

    def figure(self, finding: Finding) -> Figure:
        """What was found, drawn. Raises :class:`AnalysisError` where there is nothing to see."""
        raise AnalysisError(f"{self.spec.kind} finds numbers alone, of which there is no figure.")

    def page(self, finding: Finding) -> Any:
        """A plotly figure of what was found. Raises :class:`AnalysisError` where there is none."""
        raise AnalysisError(f"{self.spec.kind} draws no page; write its figure as .png, .svg or .pdf.")


class Calculation(Analysis[S]):
    """Numbers and arrays that follow from the spec alone, without any network. A new one gives ``find``."""

    @abstractmethod
    def find(self) -> Found:
        """What follows from the spec, which is a single draw. Raises :class:`AnalysisError`."""


class Measurement(Analysis[S]):
    """Numbers and arrays of one network. A new one gives ``find``."""

    arity: ClassVar[Literal["one"]] = "one"
    requires: ClassVar[frozenset[str]] = frozenset()
    """``network``, for what arrays cannot serve; ``step``, for what needs a network that iterates, and
    ``derivative``, for what linearises its step; and fields of :class:`Trajectories`, such as ``inputs``."""
    looks: ClassVar[bool] = True
    """Whether it looks at the states of the run, which then have to change at all."""
    version: ClassVar[int] = 1
    """Raised when what it finds changes, so that kept findings are not taken for new ones."""

    @abstractmethod
    def find(self, run: Trajectories, network: Network | None) -> Found:
        """``run`` is observed as the spec says, in float64; arrays come without a ``network``.

        Raises :class:`AnalysisError` where it cannot be measured.
        """

    @classmethod
    def suits(cls, network: Network, name: str) -> None:
        """Refuse a network of which no such analysis can be made, whatever its parameters: for its model, its
        task, how it learned or what its record lacks. ``name`` is what to call it, and nothing is computed.

        Raises :class:`AnalysisError`, which says what would serve.
        """

    @classmethod
    def refusal(cls, kind: str, run: Trajectories, network: Network | None, name: str) -> str:
        """Why it cannot be asked of a network, as far as can be told before; empty where it can."""
        lacks = [part for part in sorted(cls.requires) if not _has(part, run, network)]
        if network is None and OF_NETWORKS & set(lacks):
            lacks = ["network"]
        elif network is not None and lacks == ["derivative"]:
            return (
                f"{kind} linearises the step, and that of the model {network.model.spec.kind!r} of {name} "
                "has surrogates to train by in place of derivatives, which do not say how nearby states "
                "move. Ask networks with a smooth step, such as elman or gru."
            )
        if lacks:
            parts = " and the ".join(lacks)
            return f"{kind} needs the {parts} of what it is asked about, and {name} has none."
        try:
            if network is not None:
                cls.suits(network, name)
        except AnalysisError as problem:
            return str(problem)
        return ""

    def require(self, run: Trajectories, network: Network | None, name: str) -> None:
        """Refuse, early, what cannot be served, with what could be. Raises :class:`AnalysisError`."""
        if why := self.refusal(self.spec.kind, run, network, calling(name)):
            serve = ", ".join(_serving(run, network, calling(name))) or "none"
            raise AnalysisError(f"{why} Analyses that it can serve: {serve}.")


def analyse(
    items: Any,
    measurement: str | AnalysisSpec,
    *,
    progress: bool = False,
    cache: bool = True,
    **parameters: Any,
) -> Findings:
    """What an analysis finds in each network by itself; or, of a calculation, in each draw.

    Args:
        items: As for :func:`zoo.compare`; one is enough. ``None`` for a calculation, which asks no network.
        measurement: A kind of measurement, such as ``fixed-points``, or of calculation, such as
            ``difficulty``; or its spec.
        progress: A bar on standard error.
        cache: Keep what is found in published networks under ``$ZOO_HOME``, and take from there what was
            found before with the same parameters.
        parameters: Fields of the measurement's spec.

    Raises:
        AnalysisError: No such network, or one that cannot be measured; also what :func:`zoo.compare` raises.
    """
    made = _analysis_of(measurement, parameters)
    if isinstance(made, Calculation):
        if items is not None:
            raise AnalysisError(f"{made.spec.kind} asks no network; leave the names out.")
        return calculate(made.spec)
    if items is None:
        raise AnalysisError(f"{made.spec.kind} is asked of networks; name one or more.")
    store = FindingStore(made.spec, made.version) if cache else None
    found = gather(items, made.spec, None, least=1)
    with Bars(progress) as bars:
        return Findings(
            {item.name: _finding(item, made, store) for item in bars.over(found, f"{made.spec.kind}")}
        )


def measure(
    items: Any, measurement: str | AnalysisSpec, *, progress: bool = False, **parameters: Any
) -> dict[str, dict[str, float]]:
    """Numbers of each network by itself: its name → name of the number → value. See :func:`analyse`."""
    found = analyse(items, measurement, progress=progress, **parameters)
    return {name: dict(finding.numbers) for name, finding in found.items()}


def calculate(spec: CalculationSpec) -> Findings:
    """What a calculation finds, by its kind, and by the seed where it is drawn several times."""
    found, drawn = {}, spec.drawn()
    for each in drawn:
        name = each.kind if len(drawn) == 1 else f"{each.kind}@{getattr(each, 'seed', '')}"
        made = registry.implementation("analyses", each.kind)(each)
        found[name] = Finding(name, each, *_checked(made.find(), f"{each.kind}"))
    return Findings(found, "draw")


def _checked(found: Found, called: str) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Numbers, all finite, and arrays."""
    numbers = {name: float(value) for name, value in found.numbers.items()}
    for name, value in numbers.items():
        if not np.isfinite(value):
            raise AnalysisError(
                f"{called} gave a {name} that is not finite. "
                "Look for values that are extremely large or small."
            )
    arrays = {
        name: value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        for name, value in found.arrays.items()
    }
    return numbers, arrays


def _finding(item: Item, made: Measurement[Any], store: FindingStore | None) -> Finding:
    identity = item.identity()
    kept = store.read(identity[1]) if store and identity else None
    if identity and kept:
        return Finding(item.name, made.spec, *kept, identity[0])
    run, network = item.open(), item.network()
    made.require(run, network, item.name)
    complaint = f"{made.spec.kind} cannot use the states of {calling(item.name)}"
    states = checked(run.states, complaint) if made.looks else run.states.double()
    seen = observe(replace(run, states=states, name=item.name), made.spec.observe)
    found = made.find(seen, network)
    numbers, arrays = _checked(found, f"{made.spec.kind} of {calling(item.name)}")
    if store and identity:
        store.keep(identity[1], numbers, arrays)
    origin = identity[0] if identity else run.origin or content(run, ("states",))
    return Finding(item.name, made.spec, numbers, arrays, origin)


def _has(part: str, run: Trajectories, network: Network | None) -> bool:
    if part in OF_NETWORKS:
        if network is None:
            return False
        return {"step": network.model.iterates, "derivative": not network.model.surrogate}.get(part, True)
    return bool(run.latents) if part == "latents" else getattr(run, part) is not None


def _serving(run: Trajectories, network: Network | None, name: str) -> list[str]:
    """Kinds of measurements that would not be refused."""
    kinds = []
    for kind in registry.kinds("analyses"):
        if issubclass(registry.spec_class("analyses", kind), MeasurementSpec):
            made: type[Measurement[Any]] = registry.implementation("analyses", kind)
            if not made.refusal(kind, run, network, name):
                kinds.append(kind)
    return kinds


def measurement_of(measurement: str | AnalysisSpec, parameters: Mapping[str, Any]) -> Measurement[Any]:
    """The implementation of a kind or of a spec. Raises :class:`AnalysisError` for what measures nothing."""
    made = _analysis_of(measurement, parameters)
    if not isinstance(made, Measurement):
        raise AnalysisError(f"{made.spec.kind} asks no network; see zoo.analyse.")
    return made


def _analysis_of(
    measurement: str | AnalysisSpec, parameters: Mapping[str, Any]
) -> Measurement[Any] | Calculation[Any]:
    if isinstance(measurement, AnalysisSpec):
        kind, base = type(measurement), dict(measurement)
    elif isinstance(measurement, str):
        kind, base = registry.spec_class("analyses", measurement), {}
    else:
        raise AnalysisError(f"the measurement is {brief(measurement)}; give its spec, or the name of a kind.")
    spec = validate(kind, {**base, **parameters})
    made = registry.implementation("analyses", spec.kind)(spec)
    if isinstance(spec, CalculationSpec) and isinstance(made, Calculation):
        return made
    if not isinstance(spec, MeasurementSpec) or not isinstance(made, Measurement):
        raise AnalysisError(f"the analysis {spec.kind!r} measures no network by itself; see zoo.compare.")
    return made
