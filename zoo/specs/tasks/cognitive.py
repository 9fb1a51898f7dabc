"""Cognitive trials: one network, many tasks, told apart by a rule input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from zoo.specs.base import NonNegative, Positive, Spec, located
from zoo.specs.families import TaskSpec
from zoo.specs.tasks.timing import Drawn, steps_in


class Trial(NamedTuple):
    """What tells one of the tasks from another."""

    epochs: str
    """Which timing it has: a field of :class:`EpochsSpec`."""
    answer: Literal["toward", "away", "stronger", "match", "non-match", "hold"]
    """Where to respond: to the stimulus, opposite, to the stronger of two; or to the second stimulus, if
    it matches the first, or if it does not; or not at all."""
    shown: Literal["either", "first", "second", "both", "shared"]
    """Modality of the stimuli: a random one for each, a given one, independent evidence in both, or
    the same evidence split between both."""
    attended: Literal["first", "second", "both"] = "both"
    """Whose evidence decides."""


TRIALS = {
    "go": Trial("go", "toward", "either"),
    "rt-go": Trial("reaction", "toward", "either"),
    "dly-go": Trial("delay", "toward", "either"),
    "anti": Trial("go", "away", "either"),
    "rt-anti": Trial("reaction", "away", "either"),
    "dly-anti": Trial("delay", "away", "either"),
    "dm1": Trial("decision", "stronger", "first"),
    "dm2": Trial("decision", "stronger", "second"),
    "ctx-dm1": Trial("decision", "stronger", "both", "first"),
    "ctx-dm2": Trial("decision", "stronger", "both", "second"),
    "multsen-dm": Trial("decision", "stronger", "shared"),
    "dly-dm1": Trial("comparison", "stronger", "first"),
    "dly-dm2": Trial("comparison", "stronger", "second"),
    "ctx-dly-dm1": Trial("comparison", "stronger", "both", "first"),
    "ctx-dly-dm2": Trial("comparison", "stronger", "both", "second"),
    "multsen-dly-dm": Trial("comparison", "stronger", "shared"),
    "dms": Trial("match", "match", "either"),
    "dnms": Trial("match", "non-match", "either"),
    "dmc": Trial("category", "match", "either"),
    "dnmc": Trial("category", "non-match", "either"),
    "fixation": Trial("hold", "hold", "either"),
}
TWENTY = tuple(TRIALS)[:20]
"""Those of Yang et al. (2019)."""
TrialName = Literal[
    "go",
    "rt-go",
    "dly-go",
    "anti",
    "rt-anti",
    "dly-anti",
    "dm1",
    "dm2",
    "ctx-dm1",
    "ctx-dm2",
    "multsen-dm",
    "dly-dm1",
    "dly-dm2",
    "ctx-dly-dm1",
    "ctx-dly-dm2",
    "multsen-dly-dm",
    "dms",
    "dnms",
    "dmc",
    "dnmc",
    "fixation",
]
TrialNames = Annotated[tuple[TrialName, ...], Field(strict=False, min_length=1)]


class GoEpochs(Spec):
    """The stimulus comes on, and stays; the fixation cue goes off, and that is the signal to respond."""

    fixation: Drawn = (0.3, 0.7)
    """Of one number, that; of two, uniform between them; of more, any of them with equal chance."""
    stimulus: Drawn = (0.5, 1.5)
    response: Drawn = (0.5,)


class ReactionEpochs(Spec):
    """The stimulus itself is the signal to respond, while the fixation cue stays on."""

    fixation: Drawn = (0.5, 2.5)
    response: Drawn = (0.5,)


class DelayEpochs(Spec):
    """The stimulus is to be remembered."""

    fixation: Drawn = (0.3, 0.5, 0.7)
    stimulus: Drawn = (0.2, 0.4, 0.6)
    delay: Drawn = (0.2, 0.4, 0.8, 1.6)
    response: Drawn = (0.5,)


class DecisionEpochs(Spec):
    """Two stimuli at once."""

    fixation: Drawn = (0.1, 0.4)
    stimulus: Drawn = (0.4, 0.8, 1.6)
    response: Drawn = (0.5,)


class ComparisonEpochs(Spec):
    """Two stimuli, one after the other."""

    fixation: Drawn = (0.2, 0.4, 0.6)
    stimulus: Drawn = (0.2, 0.4, 0.6)
    delay: Drawn = (0.2, 0.4, 0.8, 1.6)
    second: Drawn = (0.2, 0.4, 0.6)
    wait: Drawn = (0.1, 0.3)
    response: Drawn = (0.5,)


class MatchEpochs(Spec):
    """The second stimulus is the signal to respond, or to hold, while the fixation cue stays on."""

    fixation: Drawn = (0.2, 0.4, 0.6)
    stimulus: Drawn = (0.2, 0.4, 0.6)
    delay: Drawn = (0.2, 0.4, 0.8, 1.6)
    response: Drawn = (0.5,)


class HoldEpochs(Spec):
    """There is a stimulus, and the fixation cue stays on: it is never time to respond."""

    fixation: Drawn = (0.3, 0.7)
    stimulus: Drawn = (0.5, 1.5)
    response: Drawn = (0.5,)


class EpochsSpec(Spec):
    """Durations of the periods of a trial, in seconds, by the timing that a task has."""

    go: GoEpochs = GoEpochs()
    """Of go and anti."""
    reaction: ReactionEpochs = ReactionEpochs()
    """Of rt-go and rt-anti."""
    delay: DelayEpochs = DelayEpochs()
    """Of dly-go and dly-anti."""
    decision: DecisionEpochs = DecisionEpochs()
    """Of dm1, dm2, ctx-dm1, ctx-dm2 and multsen-dm."""
    comparison: ComparisonEpochs = ComparisonEpochs()
    """Of their delayed forms."""
    match: MatchEpochs = MatchEpochs()
    """Of dms and dnms."""
    category: MatchEpochs = MatchEpochs(response=(0.2, 0.4, 0.6))
    """Of dmc and dnmc."""
    hold: HoldEpochs = HoldEpochs()
    """Of fixation; the response is what others have, to hold on."""


PERIODS = ("fixation", "stimulus", "delay", "second", "wait", "response")
"""Of a trial, in this order; a timing has some of them."""


class MultiTaskSpec(TaskSpec):
    """Standard trials of many cognitive tasks, with a rule input that says which it is (Yang et al. 2019).

    Inputs are a fixation cue, two modalities of stimuli, each a direction with a strength, and a rule unit a
    task. Outputs are fixation (0.8 until it is time to respond) and the direction of the response. What is
    coded on a ring of units is 0.8 exp(-d²/2), d being the distance from a unit's preferred direction in
    units of π/8. The defaults are those of the published code; the 15 tasks of Driscoll et al. (2024) are in
    ``docs/tasks.md``.

    Besides the usual splits, there is one for each of the tasks, named like it, with trials of that alone.
    """

    kind: Literal["multi-task"] = "multi-task"
    tasks: TrialNames = TWENTY  # type: ignore[assignment]
    """Those that the rule input can name, in the order of its units."""
    only: TrialNames | None = None
    """Those that occur; without it, all."""
    weights: dict[TrialName, Positive] = {}
    """How often a task occurs, compared with 1 for the rest."""
    dt: Positive = 0.02
    """Duration of a time step in seconds."""
    encoding: Literal["ring", "cos-sin"] = "ring"
    """How a direction is coded, in the stimuli and in the response."""
    units: Annotated[int, Field(ge=4, le=10_000)] = 32
    """Of a ring."""
    noise: NonNegative = 0.01
    """σ of white noise on the inputs, which has the deviation σ √(2 tau / dt) at each step."""
    tau: Positive = 0.1
    """Time constant that the noise refers to, in seconds."""
    coherence: Drawn = (0.01, 0.02, 0.04, 0.08)
    """By how much two stimuli shown together are stronger and weaker than their mean: of one number, that;
    of two, uniform between them; of more, any of them with equal chance."""
    delayed_coherence: Drawn = (0.08, 0.16, 0.32)
    """The same for stimuli shown one after the other."""
    category_angles: Annotated[int, Field(ge=2, le=10_000)] | None = 10
    """Directions that are categorised, evenly spread; without it, all."""
    epochs: EpochsSpec = EpochsSpec()
    delay_factor: Positive = 1.0
    """On all delays."""
    grace: NonNegative = 0.1
    """Seconds at the start of a trial, and after the signal to respond, in which the output is not judged."""
    response_weight: Positive = 5.0
    """Weight in the loss of the time after the signal, against 1 before it."""
    fixation_weight: Positive = 2.0
    """Weight in the loss of the fixation output, against 1 for each of the others."""
    tolerance: Annotated[float, Field(gt=0, le=180)] = 36.0
    """A response is right within so many degrees."""
    splits: dict[str, dict[str, Any]] = {"longer": {"delay_factor": 2.0}, "noisier": {"noise": 0.05}}

    @property
    def width(self) -> int:
        """Of a coded direction."""
        return self.units if self.encoding == "ring" else 2

    @property
    def inputs(self) -> int:
        return 1 + 2 * self.width + len(self.tasks)

    @property
    def outputs(self) -> int:
        return 1 + self.width

    @property
    def steps(self) -> int:
        """Length of the longest trial in time steps."""
        longest = [
            sum(self.in_steps(max(times), period) for period, times in self.durations(timing).items())
            for timing in {TRIALS[name].epochs for name in self.occurring}
        ]
        return max(longest)

    @property
    def occurring(self) -> tuple[TrialName, ...]:
        """The tasks that occur."""
        return self.only or self.tasks

    def durations(self, timing: str) -> dict[str, tuple[float, ...]]:
        """By the period, in seconds, for the periods that a timing has."""
        return dict(getattr(self.epochs, timing))

    def in_steps(self, seconds: float, period: str) -> int:
        """A duration in whole time steps."""
        factor = self.delay_factor if period == "delay" else 1.0
        return steps_in(seconds * factor, self.dt)

    def split_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*super().split_names(), *self.tasks]))

    def for_split(self, split: str) -> Self:
        if split in self.tasks and split not in self.splits:
            return self.updated(only=(split,), splits={})
        return super().for_split(split)

    @field_validator("tasks", "only")
    @classmethod
    def _names_differ(cls, names: TrialNames | None) -> TrialNames | None:
        if names is not None and len(set(names)) < len(names):
            raise ValueError("names a task twice")
        return names

    @model_validator(mode="after")
    def _tasks_are_known(self) -> Self:
        for field, names in (("only", self.only or ()), ("weights", self.weights)):
            for name in names:
                if name not in self.tasks:
                    raise located(f"{name!r} is not among the tasks of this spec", field)
        if self.category_angles is not None and self.category_angles % 2:
            raise located("an odd number of directions has one between the categories", "category_angles")
        return self

    @model_validator(mode="after")
    def _periods_last(self) -> Self:
        for timing, period, times in self._all_durations():
            where = ("epochs", timing, period)
            if self.in_steps(min(times), period) < 1:
                raise located(f"{min(times)} s is shorter than a time step of {self.dt} s", *where)
            if period == "response" and self.in_steps(min(times), period) <= self.in_steps(self.grace, ""):
                raise located(f"{min(times)} s is over within the grace of {self.grace} s", *where)
        return self

    def _all_durations(self) -> Iterator[tuple[str, str, tuple[float, ...]]]:
        for timing in dict.fromkeys(TRIALS[name].epochs for name in self.tasks):
            for period, times in self.durations(timing).items():
                yield timing, period, times
