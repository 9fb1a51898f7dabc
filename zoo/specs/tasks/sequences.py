"""Sequences of symbols: counting, multiplying, copying, recalling, adding."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, located
from zoo.specs.families import TaskSpec

Symbols = Annotated[int, Field(ge=1, le=10_000)]
Permutation = Annotated[
    tuple[Annotated[int, Field(ge=0, le=11)], ...], Field(strict=False, min_length=1, max_length=12)
]


class CounterSpec(TaskSpec):
    """Add up increments, modulo a number; with the defaults, streaming parity.

    The target at each step is the sum so far, as so many probabilities.
    """

    kind: Literal["modular-counter"] = "modular-counter"
    loss: ClassVar[str] = "cross-entropy"

    steps: Count = 10
    modulus: Annotated[int, Field(ge=2, le=10_000)] = 2
    increments: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (0, 1)
    """Drawn with equal chance at each step."""
    encoding: Literal["scalar", "one-hot"] = "scalar"
    """Whether the input is the increment, or a unit for each of them."""
    splits: dict[str, dict[str, Any]] = {"long": {"steps": 100}}

    @property
    def inputs(self) -> int:
        return 1 if self.encoding == "scalar" else len(self.increments)

    @property
    def outputs(self) -> int:
        return self.modulus

    @model_validator(mode="after")
    def _increments_differ(self) -> Self:
        if len({each % self.modulus for each in self.increments}) < len(self.increments):
            raise located(f"has two that are the same modulo {self.modulus}", "increments")
        return self


GENERATORS: dict[str, tuple[tuple[int, ...], ...]] = {
    "S3": ((1, 0, 2), (1, 2, 0)),
    "S4": ((1, 0, 2, 3), (1, 2, 3, 0)),
    "S5": ((1, 0, 2, 3, 4), (1, 2, 3, 4, 0)),
    "A4": ((1, 2, 0, 3), (0, 2, 3, 1)),
    "A5": ((1, 2, 3, 4, 0), (1, 2, 0, 3, 4)),
}
"""Permutations that generate a group, each as what 0, 1, 2 … become."""
LARGEST = 1000


@cache
def elements(generators: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Every permutation of the group that some generate, the identity first; stops beyond ``LARGEST``."""
    found = {tuple(range(len(generators[0]))): None}
    fresh = list(found)
    while fresh and len(found) <= LARGEST:
        products = [tuple(g[k] for k in p) for p in fresh for g in generators]
        fresh = [p for p in dict.fromkeys(products) if p not in found]
        found |= dict.fromkeys(fresh)
    return tuple(found)


class WordProblemSpec(TaskSpec):
    """Multiply the elements of a group as they come (Barrington 1989; Liu et al. 2023).

    The input is a one-hot symbol, an element or a generator; the target at each step is the product so
    far, as one probability an element. S3 is solvable, and so is S4; A5 and S5 are not.
    """

    kind: Literal["word-problem"] = "word-problem"
    loss: ClassVar[str] = "cross-entropy"

    steps: Count = 16
    group: Literal["S3", "S4", "S5", "A4", "A5", "other"] = "S3"
    """A symmetric or alternating group; or another, which ``generators`` generate."""
    generators: Annotated[tuple[Permutation, ...], Field(strict=False)] = ()
    """Permutations, each as the list of what 0, 1, 2 … become. Without them, a transposition (in alternating
    groups, a cycle of three) and a cycle."""
    symbols: Literal["elements", "generators"] = "elements"
    """What a symbol can be."""
    splits: dict[str, dict[str, Any]] = {"long": {"steps": 128}}

    @property
    def generating(self) -> tuple[tuple[int, ...], ...]:
        """The generators."""
        if self.group == "other" and not self.generators:
            raise located("says which group it is, where that is 'other'", "generators")
        for number, each in enumerate(self.generators):
            if sorted(each) != list(range(len(self.generators[0]))):
                raise located(
                    f"{list(each)} is no permutation of 0 … {len(self.generators[0]) - 1}",
                    "generators",
                    number,
                )
        return self.generators or GENERATORS[self.group]

    @property
    def inputs(self) -> int:
        return self.outputs if self.symbols == "elements" else len(self.generating)

    @property
    def outputs(self) -> int:
        return len(elements(self.generating))

    @model_validator(mode="after")
    def _is_a_group(self) -> Self:
        order = len(elements(self.generating))
        if order > LARGEST:
            raise located(f"generate a group of more than {LARGEST:,} elements", "generators")
        expected = len(elements(GENERATORS[self.group])) if self.group in GENERATORS else order
        if order != expected:
            raise located(f"generate a group of {order} elements; {self.group} has {expected}", "generators")
        return self


class CopySpec(TaskSpec):
    """Say symbols again, in their order, after a delay.

    Inputs are a one-hot symbol and a marker, which is 1 at the step at which to begin; otherwise there is
    nothing. With ``scattered`` the symbols are at random steps of the time before (selective copying, Gu &
    Dao 2023).
    """

    kind: Literal["copy"] = "copy"
    loss: ClassVar[str] = "cross-entropy"

    symbols: Annotated[int, Field(ge=2, le=10_000)] = 8
    length: Count = 10
    """How many symbols there are to remember."""
    delay: Annotated[int, Field(ge=0, le=10**6)] = 10
    """Steps without a symbol, after the last one or, where they are scattered, between them."""
    scattered: bool = False
    splits: dict[str, dict[str, Any]] = {"long": {"length": 20}, "delayed": {"delay": 50}}

    @property
    def steps(self) -> int:
        """Length of a trial in time steps."""
        return 2 * self.length + self.delay

    @property
    def inputs(self) -> int:
        return self.symbols + 1

    @property
    def outputs(self) -> int:
        return self.symbols


class RecallSpec(TaskSpec):
    """Remember which value went with which key (associative recall).

    Inputs are a one-hot key, a one-hot value, and a marker that is 1 while a key is a query. First come
    pairs, a key and a value one after the other; then queries, and the target at each is the value that its
    key came with.
    """

    kind: Literal["associative-recall"] = "associative-recall"
    loss: ClassVar[str] = "cross-entropy"

    pairs: Count = 4
    queries: Count = 1
    key_symbols: Symbols = 8
    value_symbols: Annotated[int, Field(ge=2, le=10_000)] = 8
    splits: dict[str, dict[str, Any]] = {"queried": {"queries": 8}}

    @property
    def steps(self) -> int:
        """Length of a trial in time steps."""
        return 2 * self.pairs + self.queries

    @property
    def inputs(self) -> int:
        return self.key_symbols + self.value_symbols + 1

    @property
    def outputs(self) -> int:
        return self.value_symbols

    @model_validator(mode="after")
    def _keys_suffice(self) -> Self:
        if self.pairs > self.key_symbols:
            raise located(f"{self.pairs} pairs need as many keys, and there are {self.key_symbols}", "pairs")
        return self


class AddingSpec(TaskSpec):
    """Add the two numbers that are marked (Hochreiter & Schmidhuber 1997).

    Inputs are a number in [0, 1) and a mark, at one random step of each half. The target, at the last step,
    is the sum; who always says 1 has a mean squared error of 1/6.
    """

    kind: Literal["adding"] = "adding"
    steps: Annotated[int, Field(ge=2, le=10**6)] = 50
    tolerance: Annotated[float, Field(gt=0)] = 0.04
    """An answer is right within this (Martens & Sutskever 2011)."""
    splits: dict[str, dict[str, Any]] = {"long": {"steps": 200}}

    @property
    def inputs(self) -> int:
        return 2

    @property
    def outputs(self) -> int:
        return 1
