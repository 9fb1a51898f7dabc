"""Formal languages: which strings belong to them, and what may come next."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Fraction, Spec, located
from zoo.specs.families import TaskSpec

State = Annotated[int, Field(ge=0, le=999)]
States = Annotated[tuple[State, ...], Field(strict=False)]


class AutomatonSpec(Spec):
    """A deterministic finite automaton that starts in state 0."""

    transitions: Annotated[tuple[States, ...], Field(strict=False, min_length=1)]
    """For each state, the state that each symbol leads to."""
    accepting: States
    """States in which a string may end."""

    @property
    def symbols(self) -> int:
        """How many there are."""
        return len(self.transitions[0])

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        states = range(len(self.transitions))
        for number, row in enumerate(self.transitions):
            if len(row) != self.symbols or not row:
                raise located(
                    f"state {number} has another number of symbols than state 0", "transitions", number
                )
            if not set(row) <= set(states):
                raise located(
                    f"leads to states that are not there; there are {len(states)}", "transitions", number
                )
        if not set(self.accepting) <= set(states):
            raise located(f"names states that are not there; there are {len(states)}", "accepting")
        return self


def _automaton(accepting: list[int], *transitions: list[int]) -> AutomatonSpec:
    return AutomatonSpec(transitions=tuple(map(tuple, transitions)), accepting=tuple(accepting))


TOMITA = {
    "tomita-1": _automaton([0], [1, 0], [1, 1]),
    "tomita-2": _automaton([0], [2, 1], [0, 2], [2, 2]),
    "tomita-3": _automaton([0, 1, 3], [0, 1], [2, 0], [3, 4], [2, 1], [4, 4]),
    "tomita-4": _automaton([0, 1, 2], [1, 0], [2, 0], [3, 0], [3, 3]),
    "tomita-5": _automaton([0], [1, 2], [0, 3], [3, 0], [2, 1]),
    "tomita-6": _automaton([0], [1, 2], [2, 0], [0, 1]),
    "tomita-7": _automaton([0, 1, 2, 3], [0, 1], [2, 1], [2, 3], [4, 3], [4, 4]),
}
"""The languages of Tomita (1982) over 0 and 1: 1 1*; 2 (10)*; 3 no odd run of 1s with an odd run of 0s after
it; 4 no 000; 5 even numbers of 0s and of 1s; 6 as many 0s as 1s modulo 3; 7 0*1*0*1*."""


class RegularLanguageSpec(TaskSpec):
    """Does what has been read so far belong to a regular language?

    The input is a one-hot symbol; the target at each step is two probabilities, of no and of yes. A symbol
    is one of those after which the string can still be completed, or, with the probability ``error``, any;
    once that is hopeless, any.
    """

    kind: Literal["regular-language"] = "regular-language"
    loss: ClassVar[str] = "cross-entropy"

    language: Literal[
        "tomita-1", "tomita-2", "tomita-3", "tomita-4", "tomita-5", "tomita-6", "tomita-7", "other"
    ] = "tomita-4"
    automaton: AutomatonSpec | None = None
    """Of the language, where that is 'other'."""
    steps: Count = 20
    error: Fraction = 0.1
    splits: dict[str, dict[str, Any]] = {"long": {"steps": 100}}

    @property
    def accepted_by(self) -> AutomatonSpec:
        """The automaton of the language."""
        if (self.language == "other") != (self.automaton is not None):
            raise located("is given where the language is 'other', and only there", "automaton")
        return self.automaton or TOMITA[self.language]

    @property
    def inputs(self) -> int:
        return self.accepted_by.symbols

    @property
    def outputs(self) -> int:
        return 2

    @model_validator(mode="after")
    def _automaton_of_the_language(self) -> Self:
        _ = self.accepted_by
        return self


class DyckSpec(TaskSpec):
    """Brackets of several kinds that close in the order in which they opened (Hewitt et al. 2020).

    The input is a one-hot bracket, those that open before those that close. With the target ``next``, the
    output is the probability of each bracket to come next, by which they are indeed drawn: one opens with
    the probability ``opens``, of any kind; it has to where none is open, and cannot where ``depth`` are.
    With ``valid``, a random bracket stands in for one of every other string, and the output is two
    probabilities: that something is wrong by now, and that nothing is.
    """

    kind: Literal["dyck"] = "dyck"
    loss: ClassVar[str] = "cross-entropy"

    brackets: Annotated[int, Field(ge=1, le=1000)] = 2
    """Kinds of them."""
    depth: Annotated[int, Field(ge=1, le=100)] = 5
    """Most that can be open at a time."""
    steps: Count = 40
    opens: Annotated[float, Field(gt=0, lt=1)] = 0.5
    target: Literal["next", "valid"] = "next"
    splits: dict[str, dict[str, Any]] = {"long": {"steps": 200}}

    @property
    def inputs(self) -> int:
        return 2 * self.brackets

    @property
    def outputs(self) -> int:
        return 2 * self.brackets if self.target == "next" else 2
