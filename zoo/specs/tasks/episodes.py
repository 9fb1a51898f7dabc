"""Episodes, each about something else that has to be found out from its own beginning."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Count, Seed, located
from zoo.specs.families import TaskSpec

Noise = Annotated[float, Field(gt=0, lt=1)]


class CompositionalHMMSpec(TaskSpec):
    """Predict the next symbol of a hidden Markov model that is new in each episode, from the symbols so far.

    A model is composed of a rule, by which its states follow each other in a cycle, and of a map from states
    to symbols; ``parts`` draws some of each, so that no two of their compositions are alike. What there is
    to be learned is the parts; which of its models an episode is of can only be inferred from within. The
    oracle is Bayes' prediction, by the forward algorithm of all compositions at once.
    """

    kind: Literal["compositional-hmm"] = "compositional-hmm"
    loss: ClassVar[str] = "cross-entropy"

    states: Annotated[int, Field(ge=3, le=12)] = 6
    symbols: Annotated[int, Field(ge=2, le=12)] = 4
    """Fewer than states: a symbol does not tell the state."""
    rules: Annotated[int, Field(ge=1, le=20)] = 5
    maps: Annotated[int, Field(ge=1, le=20)] = 5
    slip: Noise = 0.1
    """Probability that the next state is any state, and not that of the rule."""
    noise: Noise = 0.1
    """Probability that a symbol is any symbol, and not that of the map."""
    steps: Count = 64
    """Predictions in an episode."""
    parts: Seed = 0
    """Draws the rules and the maps."""
    held_out: Annotated[int, Field(ge=0, le=399)] = 5
    """So many compositions are not seen in training, though each rule and each map is."""
    compositions: Literal["seen", "held-out"] = "seen"
    """Which of them episodes are of."""
    splits: dict[str, dict[str, Any]] = {"held-out": {"compositions": "held-out"}}

    @property
    def inputs(self) -> int:
        return self.symbols

    @property
    def outputs(self) -> int:
        return self.symbols

    def pairs(self) -> list[tuple[int, int]]:
        """Rule and map of each composition that episodes are of."""
        every = [(rule, which) for rule in range(self.rules) for which in range(self.maps)]
        # evenly over rules and maps: along one diagonal after another
        diagonal = sorted(every, key=lambda pair: ((pair[1] - pair[0]) % self.maps, pair))
        held = set(diagonal[: self.held_out])
        return [pair for pair in every if (pair in held) == (self.compositions == "held-out")]

    @model_validator(mode="after")
    def _parts_are_seen(self) -> Self:
        if self.symbols >= self.states:
            raise located(
                f"should be fewer than the {self.states} states, which would not be hidden", "symbols"
            )
        if self.compositions == "held-out":
            if not self.held_out:
                raise located("none is held out; set held_out, or splits: {}", "compositions")
            return self
        seen = self.pairs()
        if {rule for rule, _ in seen} != set(range(self.rules)) or {m for _, m in seen} != set(
            range(self.maps)
        ):
            raise located("leaves a rule or a map that is never seen: hold out fewer", "held_out")
        return self
