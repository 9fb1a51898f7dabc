"""Where a search looks for members, and how it chooses: at random, or by what it has found."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Line, Seed, Spec, canonical_json, located

MOST = 4096
"""Combinations of one population at most."""
DIGITS = 6
"""Of a number that is drawn, so that tables can be read and a processor's last bit changes no digest."""


class UniformSpec(Spec):
    """A number between two others, each as likely; with ``log-uniform`` its logarithm is."""

    kind: Literal["uniform", "log-uniform"]
    low: Annotated[float, Field(ge=-1e300, le=1e300)]
    high: Annotated[float, Field(ge=-1e300, le=1e300)]

    @model_validator(mode="after")
    def _range(self) -> Self:
        _check(self.kind, self.low, self.high)
        return self

    def at(self, quantile: float) -> float:
        """The value below which a fraction of the draws lies; ``quantile`` is from 0 up to 1."""
        if self.kind == "uniform":
            return self.short(self.low * (1 - quantile) + self.high * quantile)
        return self.short(math.exp(math.log(self.low) * (1 - quantile) + math.log(self.high) * quantile))

    def holds(self, value: Any) -> bool:
        """Whether a value may have been drawn."""
        return isinstance(value, float | int) and self.low <= value <= self.high

    def short(self, value: float) -> float:
        """A value with as many digits as tell it from others in the range."""
        scale = value if self.kind == "log-uniform" else self.high / 2 - self.low / 2
        rounded = round(value, DIGITS - 1 - math.floor(math.log10(max(scale, 1e-300))))
        return min(max(rounded, self.low), self.high)


class IntegerSpec(Spec):
    """A whole number from ``low`` to ``high``, both included; small ones likelier with ``log-integer``."""

    kind: Literal["integer", "log-integer"]
    low: Annotated[int, Field(ge=-(10**12), le=10**12)]
    high: Annotated[int, Field(ge=-(10**12), le=10**12)]

    @model_validator(mode="after")
    def _range(self) -> Self:
        _check(self.kind, self.low, self.high)
        return self

    def at(self, quantile: float) -> int:
        """The value below which a fraction of the draws lies; ``quantile`` is from 0 up to 1."""
        if self.kind == "integer":
            drawn = self.low + math.floor(quantile * (self.high + 1 - self.low))
        else:
            low, high = math.log(self.low), math.log(self.high + 1)
            drawn = math.floor(math.exp(low * (1 - quantile) + high * quantile))
        return min(max(drawn, self.low), self.high)

    def holds(self, value: Any) -> bool:
        """Whether a value may have been drawn."""
        return isinstance(value, int) and self.low <= value <= self.high


class ChoiceSpec(Spec):
    """One of a few values, each as likely."""

    kind: Literal["choice"]
    values: Annotated[tuple[Any, ...], Field(strict=False, min_length=2, max_length=MOST)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(map(repr, self.values))) < len(self.values):
            raise located("has a value twice; each is as likely as the others", "values")
        return self

    def at(self, quantile: float) -> Any:
        """The value at a fraction of the list; ``quantile`` is from 0 up to 1."""
        return self.values[min(int(quantile * len(self.values)), len(self.values) - 1)]

    def holds(self, value: Any) -> bool:
        """Whether a value may have been drawn."""
        return canonical_json(value) in map(canonical_json, self.values)


Distribution = Annotated[UniformSpec | IntegerSpec | ChoiceSpec, Field(discriminator="kind")]


def _check(kind: str, low: float, high: float) -> None:
    if not low < high:
        raise located(f"should be above 'low', which is {low:g} (got {high:g})", "high")
    if kind.startswith("log-") and low <= 0:
        raise located(f"should be above 0 where the logarithm is drawn from (got {low:g})", "low")


class _Search(Spec):
    adaptive: ClassVar[bool]
    """Whether points follow from the outcomes of others, and not from the spec alone."""

    kind: str
    space: Annotated[dict[str, Distribution], Field(min_length=1)]
    """Dotted path in the experiment → what its value is drawn from."""
    trials: Annotated[int, Field(ge=1, le=MOST)]
    """Points, each trained with every seed of the population."""
    seed: Seed = 0
    """Of the search, not of the networks."""

    def drawn(self, trial: int) -> dict[str, Any]:
        """Path → value of a trial of the random search; a path's draws do not depend on the other paths."""
        return {path: values.at(uniform(self.seed, path, trial)) for path, values in self.space.items()}

    def holds(self, point: Any) -> bool:
        """Whether a point may have been found in the space."""
        inside = isinstance(point, dict) and point.keys() == self.space.keys()
        return inside and all(values.holds(point[path]) for path, values in self.space.items())


class RandomSearchSpec(_Search):
    """Points drawn independently (Bergstra & Bengio 2012). Trial k is the same however many there are."""

    adaptive: ClassVar[bool] = False

    kind: Literal["random"]


class TPESearchSpec(_Search):
    """Points where a tree-structured Parzen estimator expects the best of a metric (Bergstra et al. 2011).

    Trial k is chosen from the outcomes of trials 0 to k − ``parallel``, so that the points are the same
    wherever the members train, in whatever order they end.
    """

    adaptive: ClassVar[bool] = True

    kind: Literal["tpe"]
    metric: Line = "validation/loss"
    """``split/name``, of a split that the network is evaluated on in the end or, for ``validation``, of
    the last validation. Averaged over the seeds; a trial that fails counts as the worst there is."""
    direction: Literal["minimise", "maximise"] = "minimise"
    startup: Annotated[int, Field(ge=1, le=MOST)] = 10
    """Trials before the first that is chosen by outcomes: those of the random search with the same seed."""
    parallel: Annotated[int, Field(ge=1, le=MOST)] = 8
    """Trials that may be on their way at a time. More keep more workers busy and choose with less known."""


SearchSpec = Annotated[RandomSearchSpec | TPESearchSpec, Field(discriminator="kind")]


def uniform(*key: Any) -> float:
    """A number from 0 up to 1 with 53 random bits, which a key of plain data determines everywhere."""
    digest = hashlib.sha256(canonical_json(["search", *key]).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53
