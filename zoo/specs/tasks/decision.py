"""Classical trials, each a task of its own: weigh evidence, compare, remember, hold back."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.specs.base import Fraction, NonNegative, Positive, located
from zoo.specs.tasks.timing import Drawn, Skippable, TimedSpec, steps_in


class EvidenceSpec(TimedSpec):
    """Integrate noisy evidence, of the channel that the context names (Mante et al. 2013), or of all.

    Inputs are a cue that is 1 until it is time to respond, the evidence, and a context unit a channel.
    Evidence is ±coherence plus white noise while the stimulus is on, independent in each channel; where all
    count, its mean is the same in each. The output is the sign, ±1, while a response is due. One channel is
    perceptual decision making; two with a context, context-dependent integration; two that add up, a
    multi-sensory decision. With ``reaction``, the response is due as soon as the stimulus is on.
    """

    kind: Literal["evidence"] = "evidence"
    periods: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "response")
    stretched: ClassVar[frozenset[str]] = frozenset({"stimulus", "delay"})

    channels: Annotated[int, Field(ge=1, le=1000)] = 1
    rule: Literal["context", "sum"] = "context"
    """Whether one channel decides, which a context input names, or all of them together."""
    coherence: Drawn = (0.009, 0.036, 0.15)
    """Of one number, that; of two, uniform between them; of more, any of them with equal chance. The sign is
    random."""
    noise: NonNegative = 0.0316
    """σ of white noise on the evidence, which has the deviation σ / √dt at each step (dt in seconds)."""
    fixation: Drawn = (0.1,)
    """Durations in seconds, drawn in the same way."""
    stimulus: Drawn = (0.75,)
    delay: Skippable = (0.0,)
    response: Drawn = (0.1,)
    reaction: bool = False
    """Whether the response is due as soon as the stimulus is on; the cue does not go off then."""
    grace: NonNegative = 0.0
    """Seconds from when a response is due in which the output is not judged."""
    hold: bool = False
    """Whether the output has to be 0 before a response is due; if not, it may be anything."""
    splits: dict[str, dict[str, Any]] = {"longer": {"stretch": 2.0}, "noisier": {"noise": 0.0632}}

    @property
    def contexts(self) -> int:
        return self.channels if self.rule == "context" and self.channels > 1 else 0

    @property
    def inputs(self) -> int:
        return 1 + self.channels + self.contexts

    @property
    def outputs(self) -> int:
        return 1

    @model_validator(mode="after")
    def _time_to_respond(self) -> Self:
        due = min(self.durations("stimulus" if self.reaction else "response"))
        if due <= steps_in(self.grace, self.dt):
            raise located(f"{self.grace} s leave nothing of the time to respond", "grace")
        return self


class ComparisonSpec(TimedSpec):
    """Which of two vibrations, one after the other, was the faster? (Romo et al. 1999)

    Inputs are a cue that is 1 until it is time to respond, and the frequency while it is felt, scaled so that
    ``low`` is -1 and ``high`` is 1. The output while a response is due is 1 where the first was faster and -1
    where the second was; before, it is 0. With ``graded`` and without ``hold``, target and loss are those of
    Dubreuil et al. (2022), whose trials have no cue.
    """

    kind: Literal["delayed-comparison"] = "delayed-comparison"
    periods: ClassVar[tuple[str, ...]] = ("fixation", "first", "delay", "second", "wait", "response")

    low: Positive = 10.0
    """In Hz."""
    high: Positive = 34.0
    difference: Drawn = (8.0,)
    """Of the two frequencies. Of one number, that; of two, uniform between them; of more, any of them with
    equal chance."""
    noise: NonNegative = 0.01
    """σ of white noise on the scaled frequency, which has the deviation σ / √dt at each step."""
    fixation: Drawn = (0.1, 0.3)
    """Durations in seconds, drawn in the same way."""
    first: Drawn = (0.5,)
    delay: Drawn = (0.5, 2.0)
    second: Drawn = (0.5,)
    wait: Skippable = (0.0,)
    response: Drawn = (0.2,)
    graded: bool = False
    """Whether the output says by how much as well: the difference, first less second, as a part of the range
    from ``low`` to ``high``."""
    hold: bool = True
    """Whether the output has to be 0 before a response is due; if not, it may be anything."""
    splits: dict[str, dict[str, Any]] = {"longer": {"stretch": 2.0}, "noisier": {"noise": 0.05}}

    @property
    def inputs(self) -> int:
        return 2

    @property
    def outputs(self) -> int:
        return 1

    @model_validator(mode="after")
    def _pairs_fit(self) -> Self:
        if max(self.difference) > self.high - self.low:
            raise located(
                f"no two frequencies from {self.low} to {self.high} differ by so much", "difference"
            )
        return self


class WorkingMemorySpec(TimedSpec):
    """Remember a direction, and ignore those that follow.

    Inputs are a cue that is 1 until it is time to respond, a mark that is 1 while the direction to remember
    is shown, and the direction that is shown. The output is the remembered one while a response is due, and
    0 before. Distractors come at random times in the delay, one after the other. Without them this is the
    delayed response.
    """

    kind: Literal["working-memory"] = "working-memory"
    periods: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "response")

    distractors: Annotated[int, Field(ge=0, le=1000)] = 1
    distraction: Positive = 0.2
    """Seconds that a distractor is shown for."""
    strength: Positive = 1.0
    """Of the distractors, compared with 1 for what is to be remembered."""
    encoding: Literal["ring", "cos-sin"] = "cos-sin"
    """How a direction is coded."""
    units: Annotated[int, Field(ge=4, le=10_000)] = 32
    """Of a ring."""
    noise: NonNegative = 0.01
    """σ of white noise on the inputs, which has the deviation σ / √dt at each step."""
    tolerance: Annotated[float, Field(gt=0, le=180)] = 36.0
    """A response is right within so many degrees."""
    fixation: Drawn = (0.1, 0.3)
    """Durations in seconds: of one number, that; of two, uniform between them; of more, any of them with
    equal chance."""
    stimulus: Drawn = (0.3,)
    delay: Drawn = (0.5, 1.5)
    response: Drawn = (0.3,)
    splits: dict[str, dict[str, Any]] = {
        "longer": {"stretch": 2.0},
        "noisier": {"noise": 0.05},
        "undistracted": {"distractors": 0},
    }

    @property
    def width(self) -> int:
        """Of a coded direction."""
        return self.units if self.encoding == "ring" else 2

    @property
    def inputs(self) -> int:
        return 2 + self.width

    @property
    def outputs(self) -> int:
        return self.width

    @model_validator(mode="after")
    def _distractors_fit(self) -> Self:
        shown, room = steps_in(self.distraction, self.dt), min(self.durations("delay"))
        if self.distractors and shown < 1:
            raise located(f"{self.distraction} s is shorter than a time step of {self.dt} s", "distraction")
        if self.distractors * shown > room:
            message = (
                f"{self.distractors} of {self.distraction} s do not fit into a delay of {room * self.dt:g} s"
            )
            raise located(message, "distractors")
        return self


class GoNoGoSpec(TimedSpec):
    """Respond after one stimulus, and hold back after the other.

    Inputs are a cue that is 1 until it is time to respond, and a channel for each of the two stimuli.
    Outputs are to hold, and to respond: one of them is 1 and the other 0.
    """

    kind: Literal["go-no-go"] = "go-no-go"
    periods: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "response")

    go_probability: Fraction = 0.5
    noise: NonNegative = 0.01
    """σ of white noise on the stimuli, which has the deviation σ / √dt at each step."""
    fixation: Drawn = (0.1, 0.3)
    """Durations in seconds: of one number, that; of two, uniform between them; of more, any of them with
    equal chance."""
    stimulus: Drawn = (0.3,)
    delay: Skippable = (0.2, 1.0)
    response: Drawn = (0.3,)
    splits: dict[str, dict[str, Any]] = {"longer": {"stretch": 2.0}, "noisier": {"noise": 0.05}}

    @property
    def inputs(self) -> int:
        return 3

    @property
    def outputs(self) -> int:
        return 2


class ForcedChoiceSpec(TimedSpec):
    """Which of two inputs is larger on average? Say so when the cue goes off, and until then keep still.

    Two-alternative forced choice in coarse steps, as recurrent networks are given it (Liu et al. 2024).
    Inputs are a cue that is 1 until it is time to respond, and the evidence, (1 ± coherence) / 2 while the
    stimulus is on, with white noise of deviation ``noise`` on all three at every step. Outputs are logits of
    keeping still and of the two choices; all steps count.
    """

    kind: Literal["forced-choice"] = "forced-choice"
    loss: ClassVar[str] = "cross-entropy"
    periods: ClassVar[tuple[str, ...]] = ("stimulus", "response")
    stretched: ClassVar[frozenset[str]] = frozenset({"stimulus"})

    dt: Positive = 0.1
    coherence: Drawn = (0.064, 0.128, 0.256, 0.512)
    """Of one number, that; of two, uniform between them; of more, any of them with equal chance. Which input
    is the larger is random."""
    noise: NonNegative = 0.1
    stimulus: Drawn = (0.7,)
    """Durations in seconds, drawn in the same way."""
    response: Drawn = (0.1,)
    splits: dict[str, dict[str, Any]] = {"longer": {"stretch": 2.0}, "noisier": {"noise": 0.3}}

    @property
    def inputs(self) -> int:
        return 3

    @property
    def outputs(self) -> int:
        return 3
