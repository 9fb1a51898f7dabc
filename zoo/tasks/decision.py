"""Classical trials, each a task of its own: weigh evidence, compare, remember, hold back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.specs.tasks.decision import (
    ComparisonSpec,
    EvidenceSpec,
    ForcedChoiceSpec,
    GoNoGoSpec,
    WorkingMemorySpec,
)
from zoo.specs.tasks.timing import steps_in
from zoo.tasks.base import Batch, Task
from zoo.tasks.directions import decode, difference, encode
from zoo.tasks.drawing import Chances, drawn, sign, whole
from zoo.tasks.timing import at_end, timeline


class Evidence(Task):
    """The sign of evidence that has to be integrated over time.

    Latents, ``[example]``: ``context``, the channel that decides (0 where all do), ``coherence_1`` … signed,
    of each channel, ``choice``, the right answer, -1 or 1, and ``end``, the length of the trial in steps.
    ``[example, time]``: ``epoch``, 0 fixation, 1 stimulus, 2 delay, 3 response, 4 when the trial is over.
    """

    independent = True
    spec: EvidenceSpec

    def draw(self, spec: EvidenceSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        channels = spec.channels if spec.rule == "context" else 1
        u = Chances(examples, 5 + 2 * channels, generator)
        ends, epoch = timeline(spec, u)
        context = whole(u(), 0, channels - 1)
        coherence = torch.stack([drawn(u(), spec.coherence) * sign(u()) for _ in range(channels)], -1)
        choice = coherence.gather(1, context[:, None])[:, 0].sign().long()

        shape = (examples, spec.steps, spec.channels)
        white = torch.randn(shape, generator=generator, device=ends.device)
        shown = (epoch == 1)[..., None]
        evidence = shown * (coherence[:, None] + white * (spec.noise / math.sqrt(spec.dt)))
        waits = (epoch < 3) | ((epoch < 4) & spec.reaction)
        parts = [waits[..., None].to(evidence), evidence]
        if spec.contexts:
            running = (epoch < 4)[..., None]
            names = torch.nn.functional.one_hot(context, spec.contexts)[:, None]
            parts.append((running * names).to(evidence))
        now = self._due(spec, epoch)
        y = torch.where(now, choice[:, None], 0).to(evidence)[..., None]
        late = torch.nn.functional.pad(now, (steps_in(spec.grace, spec.dt), 0))[:, : spec.steps]
        mask = (now & late) | ((epoch < 4) & ~now & spec.hold)
        latents = {"context": context, "choice": choice, "end": ends[:, -1], "epoch": epoch}
        latents |= {f"coherence_{k + 1}": coherence[:, min(k, channels - 1)] for k in range(spec.channels)}
        return Batch(torch.cat(parts, -1), y, mask.to(y.dtype), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """The sign of all the evidence: the best that an observer can say at the end of the stimulus."""
        spec = self.spec
        evidence = batch.x[..., 1 : 1 + spec.channels].sum(1)
        if spec.contexts:
            context = batch.x[:, 0, 1 + spec.channels :].argmax(-1)
            evidence = evidence.gather(1, context[:, None])
        choice = evidence.sum(-1).sign()
        return torch.where(self._due(spec, batch.latents["epoch"]), choice[:, None], 0.0)[..., None]

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the output has the right sign at the last step of the trial."""
        last = at_end(y[..., 0], batch.latents["end"][:, None])
        return {"accuracy": (last * batch.latents["choice"] > 0).to(y.dtype)}

    @staticmethod
    def _due(spec: EvidenceSpec, epoch: Tensor) -> Tensor:
        """Whether a response is due, ``[example, time]``."""
        return (epoch < 4) & (epoch >= (1 if spec.reaction else 3))


class Comparison(Task):
    """Compare what is felt with what is remembered.

    Latents, ``[example]``: ``first`` and ``second``, the frequencies in Hz, ``choice``, 1 where the first is
    higher and -1 where it is lower, and ``end``, the length of the trial in steps. ``[example, time]``:
    ``epoch``, the number of the period among fixation, first, delay, second, wait and response, and 6 when
    the trial is over.
    """

    independent = True
    spec: ComparisonSpec

    def draw(self, spec: ComparisonSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        u = Chances(examples, 9, generator)
        ends, epoch = timeline(spec, u)
        gap, choice = drawn(u(), spec.difference), sign(u())
        lower = spec.low + (spec.high - spec.low - gap) * u()
        first = torch.where(choice > 0, lower + gap, lower)
        second = first - choice * gap
        middle, half = (spec.low + spec.high) / 2, (spec.high - spec.low) / 2

        white = torch.randn(epoch.shape, generator=generator, device=ends.device)
        felt = torch.where(epoch == 1, (first[:, None] - middle) / half, 0.0)
        felt = torch.where(epoch == 3, (second[:, None] - middle) / half, felt)
        felt = felt + white * (spec.noise / math.sqrt(spec.dt))
        x = torch.stack([(epoch < 5).to(felt), felt], -1)
        y = torch.where(epoch == 5, self._answer(spec, first - second)[:, None], 0.0)[..., None]
        mask = (epoch == 5) | ((epoch < 5) & spec.hold)
        latents = {"first": first, "second": second, "choice": choice.long()}
        latents |= {"end": ends[:, -1], "epoch": epoch}
        return Batch(x, y, mask.to(y.dtype), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """The answer to what was felt on average in the two periods, which are known."""
        spec, epoch, felt = self.spec, batch.latents["epoch"], batch.x[..., 1]
        first, second = ((felt * (epoch == k)).sum(1) / (epoch == k).sum(1) for k in (1, 3))
        difference = (first - second) * (spec.high - spec.low) / 2
        return torch.where(epoch == 5, self._answer(spec, difference)[:, None], 0.0)[..., None]

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the output has the right sign at the last step of the trial."""
        last = at_end(y[..., 0], batch.latents["end"][:, None])
        return {"accuracy": (last * batch.latents["choice"] > 0).to(y.dtype)}

    @staticmethod
    def _answer(spec: ComparisonSpec, difference: Tensor) -> Tensor:
        """To a difference of frequencies in Hz, of the same shape."""
        return difference / (spec.high - spec.low) if spec.graded else difference.sign()


class WorkingMemory(Task):
    """Remember the direction that was marked, whatever else is shown.

    Latents, ``[example]``: ``angle`` in radians, and ``end``, the length of the trial in steps. ``[example,
    time]``: ``epoch``, 0 fixation, 1 stimulus, 2 delay, 3 response, 4 when the trial is over; and
    ``distractor``, the number of the one that is shown, from 1, and 0 when there is none.
    """

    independent = True
    spec: WorkingMemorySpec

    def draw(self, spec: WorkingMemorySpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        u = Chances(examples, 5 + 2 * spec.distractors, generator)
        ends, epoch = timeline(spec, u)
        angle = u() * (2 * math.pi)
        code = encode(angle, spec.encoding, spec.units)
        sample = (epoch == 1)[..., None].to(code)
        shown, number = sample * code[:, None], torch.zeros_like(epoch)
        if spec.distractors:
            number = self._distractors(spec, ends, [u() for _ in range(spec.distractors)])
            others = torch.stack([u() * (2 * math.pi) for _ in range(spec.distractors)], -1)
            codes = spec.strength * encode(others, spec.encoding, spec.units)
            which = torch.nn.functional.one_hot(number, spec.distractors + 1)[..., 1:]
            shown = shown + which.to(codes) @ codes
        x = torch.cat([(epoch < 3)[..., None].to(code), sample, shown], -1)
        white = torch.randn(x.shape, generator=generator, device=x.device)
        x = x + white * (spec.noise / math.sqrt(spec.dt))
        y = (epoch == 3)[..., None] * code[:, None]
        latents = {"angle": angle, "end": ends[:, -1], "epoch": epoch, "distractor": number}
        return Batch(x, y, (epoch < 4).to(y.dtype), torch.zeros(examples), latents)

    @staticmethod
    def _distractors(spec: WorkingMemorySpec, ends: Tensor, u: list[Tensor]) -> Tensor:
        """Number of the distractor that is shown, ``[example, time]``. The time that is left of the delay
        falls between them at random, as sorted uniform numbers cut it."""
        lasts = steps_in(spec.distraction, spec.dt)
        free = ends[:, 2] - ends[:, 1] - spec.distractors * lasts
        gaps = (torch.stack(u, -1).sort(-1).values * (free[:, None] + 1)).long()
        starts = ends[:, 1, None] + torch.minimum(gaps, free[:, None])
        starts = starts + lasts * torch.arange(spec.distractors, device=ends.device)
        time = torch.arange(spec.steps, device=ends.device)[:, None]
        on = (time >= starts[:, None]) & (time < starts[:, None] + lasts)
        return (on * torch.arange(1, spec.distractors + 1, device=ends.device)).sum(-1)

    def oracle(self, batch: Batch) -> Tensor:
        """What was shown on average while the mark was on, the time of which is known."""
        epoch, spec = batch.latents["epoch"], self.spec
        seen = (batch.x[..., 2:] * (epoch == 1)[..., None]).sum(1)
        code = encode(decode(seen, spec.encoding), spec.encoding, spec.units)
        return (epoch == 3)[..., None] * code[:, None]

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the direction at the last step of the trial is within the tolerance."""
        last = at_end(y, batch.latents["end"][:, None])
        away = difference(decode(last, self.spec.encoding), batch.latents["angle"])
        return {"accuracy": (away.abs() <= math.radians(self.spec.tolerance)).to(y.dtype)}


class GoNoGo(Task):
    """Respond after one stimulus, hold back after the other.

    Latents, ``[example]``: ``go``, 1 where a response is due, and ``end``, the length of the trial in steps.
    ``[example, time]``: ``epoch``, 0 fixation, 1 stimulus, 2 delay, 3 response, 4 when the trial is over.
    """

    independent = True
    spec: GoNoGoSpec

    def draw(self, spec: GoNoGoSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        u = Chances(examples, 5, generator)
        ends, epoch = timeline(spec, u)
        go = (u() < spec.go_probability).long()
        which = torch.stack([go, 1 - go], -1)
        white = torch.randn(examples, spec.steps, 2, generator=generator, device=ends.device)
        seen = (epoch == 1)[..., None] * which[:, None] + white * (spec.noise / math.sqrt(spec.dt))
        x = torch.cat([(epoch < 3)[..., None].to(seen), seen], -1)
        latents = {"go": go, "end": ends[:, -1], "epoch": epoch}
        y = self._outputs(epoch, go > 0).to(seen)
        return Batch(x, y, (epoch < 4).to(y.dtype), torch.zeros(examples), latents)

    def oracle(self, batch: Batch) -> Tensor:
        """A response where the one stimulus was stronger than the other on average, the times being known."""
        epoch = batch.latents["epoch"]
        seen = (batch.x[..., 1:] * (epoch == 1)[..., None]).sum(1)
        return self._outputs(epoch, seen[:, 0] > seen[:, 1]).to(batch.y.dtype)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the output to hold is the larger at every step until it is time to respond,
        and the right one is at the last step."""
        responds, epoch = y[..., 1] > y[..., 0], batch.latents["epoch"]
        early = (responds & (epoch < 3)).any(1)
        last = at_end(responds, batch.latents["end"][:, None])
        return {"accuracy": ((last == (batch.latents["go"] > 0)) & ~early).to(y.dtype)}

    @staticmethod
    def _outputs(epoch: Tensor, go: Tensor) -> Tensor:
        """Whether to hold and whether to respond, ``[example, time, 2]``."""
        respond = (epoch == 3) & go[:, None]
        return torch.stack([(epoch < 4) & ~respond, respond], -1)


class ForcedChoice(Task):
    """The larger of two inputs.

    Latents, ``[example]``: ``coherence``, ``choice``, 1 or 2, and ``end``, the length of the trial in steps.
    ``[example, time]``: ``epoch``, 0 stimulus, 1 response, 2 when the trial is over.
    """

    independent = True
    spec: ForcedChoiceSpec

    def draw(self, spec: ForcedChoiceSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        u = Chances(examples, 4, generator)
        ends, epoch = timeline(spec, u)
        coherence, side = drawn(u(), spec.coherence), sign(u())
        white = torch.randn((examples, spec.steps, 3), generator=generator, device=ends.device)
        levels = torch.stack(
            [torch.ones_like(side), 0.5 + side * coherence / 2, 0.5 - side * coherence / 2], -1
        )
        shown = (epoch == 0)[..., None]
        x = shown * levels[:, None] + spec.noise * white
        choice = torch.where(side > 0, 1, 2)
        right = torch.where(epoch == 1, choice[:, None], 0)
        mask = (epoch < 2).to(x.dtype)
        latents = {"coherence": coherence, "choice": choice, "end": ends[:, -1], "epoch": epoch}
        return Batch(x, torch.nn.functional.one_hot(right, 3).to(x), mask, torch.zeros(examples), latents)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where the larger logit of the two choices is the right one, at the last step."""
        last = at_end(y[..., 2] - y[..., 1], batch.latents["end"][:, None])
        return {"accuracy": ((last > 0) == (batch.latents["choice"] == 2)).to(y.dtype)}
