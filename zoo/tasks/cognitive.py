"""Cognitive trials: one network, many tasks, told apart by a rule input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from zoo.specs.tasks.cognitive import PERIODS, TRIALS, MultiTaskSpec, Trial
from zoo.tasks.base import Batch, Task
from zoo.tasks.directions import decode, difference, encode
from zoo.tasks.drawing import Chances, drawn, drawn_steps, pick, sign
from zoo.tasks.timing import epochs

RESPONSE, OVER = PERIODS.index("response"), len(PERIODS)
FIRST = {"go": ("stimulus", "response"), "reaction": ("response",)}
"""Periods in which the first stimulus is shown, by the timing; for others, that of the stimulus."""
SECOND = {"decision": "stimulus", "comparison": "second", "match": "response", "category": "response"}
"""Period in which there is a second one."""
CUE_STAYS = ("reaction", "match", "category", "hold")
"""Timings in which the fixation cue does not go off when it is time to respond."""
MODALITIES = {"first": (1.0, 0.0), "second": (0.0, 1.0)}
FIXATION, BASELINE = 0.8, 0.05


class MultiTask(Task):
    """Fixate, and respond in the right direction when it is time (Yang et al. 2019; Driscoll et al. 2024).

    Each trial has a task, times and stimuli of its own; what follows its end is not judged.

    Latents, ``[example]``: ``task``, its number among those of the spec; ``angle_1`` and ``angle_2``, where
    the stimuli are, in radians (the same where there is one); ``evidence_1`` and ``evidence_2``, half of what
    the first is stronger than the second in each modality (0 where that does not matter); ``responds``, 1
    where there is a response to give, and ``response``, its direction; ``go`` and ``end``, the steps at which
    the time to respond begins and ends. ``[example, time]``: ``epoch``, the number of the period among
    fixation, stimulus, delay, second, wait and response, and 6 when the trial is over.
    """

    independent = True
    spec: MultiTaskSpec

    def draw(self, spec: MultiTaskSpec, examples: int, generator: torch.Generator) -> Batch:  # type: ignore[override]
        u = Chances(examples, 22, generator)
        trials = [TRIALS[name] for name in spec.occurring]
        which = _task(spec, u())
        ends, lit = _periods(spec, trials, which, u)
        epoch = epochs(ends, spec.steps)
        cue, *shown = lit.gather(2, epoch[:, None].expand(-1, 3, -1)).unbind(1)

        angles, strengths, responds, response = _stimuli(spec, trials, which, u)
        coded = encode(angles, spec.encoding, spec.units)
        rule = pick([spec.tasks.index(name) for name in spec.occurring], which)
        rules = torch.zeros(examples, len(spec.tasks), device=which.device)
        rules[torch.arange(examples, device=which.device), rule] = 1
        running = (epoch < OVER).to(rules.dtype)[..., None]
        seen = [torch.stack(shown, -1) @ (strengths[:, m, :, None] * coded) for m in (0, 1)]
        x = torch.cat([cue[..., None], *seen, running * rules[:, None]], -1)
        if spec.noise:
            deviation = spec.noise * math.sqrt(2 * spec.tau / spec.dt)
            x.add_(torch.randn(x.shape, generator=generator, device=which.device), alpha=deviation)

        y, mask = _answer(
            spec, epoch, ends[:, RESPONSE - 1], responds, encode(response, spec.encoding, spec.units)
        )
        decides = pick([trial.answer == "stronger" for trial in trials], which)
        evidence = torch.where(decides[:, None], strengths[..., 0] - strengths[..., 1], 0.0) / 2
        two = pick([trial.epochs in SECOND for trial in trials], which)
        latents = {
            "task": rule,
            "angle_1": angles[:, 0],
            "angle_2": torch.where(two, angles[:, 1], angles[:, 0]),
            "evidence_1": evidence[:, 0],
            "evidence_2": evidence[:, 1],
            "responds": responds.long(),
            "response": response,
            "go": ends[:, RESPONSE - 1],
            "end": ends[:, RESPONSE],
            "epoch": epoch,
        }
        return Batch(x, y, mask, torch.zeros(examples), latents)

    def losses(self, y: Tensor, batch: Batch, kind: str | None = None) -> Tensor:
        """The fixation output counts ``fixation_weight`` times as much as each of the others, for ``mse``."""
        if (kind or self.spec.loss) == "mse":
            scale = torch.ones(self.spec.outputs, dtype=y.dtype, device=y.device)
            scale[0] = math.sqrt(self.spec.fixation_weight)
            y, batch = y * scale, replace(batch, y=batch.y * scale)
        return super().losses(y, batch, kind)

    def metrics(self, y: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``accuracy``: 1 where fixation was kept until it was time to respond, and the response is right.

        ``response_accuracy``: the latter alone. At the last step of a trial, the network fixates (its
        fixation output is above ½) where no response is due; where one is, it does not fixate and its
        direction is within the tolerance.
        """
        latents = batch.latents
        fixates = y[..., 0] > 0.5
        judged = (batch.mask > 0) & (latents["epoch"] < RESPONSE)
        kept = (fixates | ~judged).all(1)
        row = torch.arange(len(y), device=y.device)
        last = latents["end"] - 1
        away = difference(decode(y[row, last, 1:], self.spec.encoding), latents["response"])
        near = away.abs() <= math.radians(self.spec.tolerance)
        fixates = fixates[row, last]
        right = torch.where(latents["responds"] > 0, near & ~fixates, fixates)
        return {"accuracy": (right & kept).to(y.dtype), "response_accuracy": right.to(y.dtype)}


def _task(spec: MultiTaskSpec, u: Tensor) -> Tensor:
    """Which of the tasks that occur, ``[example]``."""
    shares = torch.tensor([spec.weights.get(name, 1.0) for name in spec.occurring], device=u.device).cumsum(0)
    return torch.searchsorted(shares / shares[-1], u, right=True).clamp_max(len(shares) - 1)


def _periods(spec: MultiTaskSpec, trials: list[Trial], which: Tensor, u: Chances) -> tuple[Tensor, Tensor]:
    """When each period of a trial ends, ``[example, period]``; and whether the fixation cue, the first and
    the second stimulus are on in each and afterwards, ``[example, 3, period + 1]``."""
    timings = list(dict.fromkeys(trial.epochs for trial in trials))
    timing = pick([timings.index(trial.epochs) for trial in trials], which)
    columns = [u() for _ in PERIODS]
    lasting = []
    for name in timings:
        seconds = spec.durations(name)
        steps = {p: [spec.in_steps(each, p) for each in seconds[p]] for p in seconds}
        found = [drawn_steps(c, steps.get(p, [0])) for p, c in zip(PERIODS, columns, strict=True)]
        lasting.append(torch.stack(found, -1))
    row = torch.arange(len(timing), device=timing.device)
    lit = torch.tensor([_lit(name) for name in timings], device=timing.device)
    return torch.stack(lasting, 1)[row, timing].cumsum(-1), lit[timing]


def _lit(timing: str) -> list[list[float]]:
    """Whether the fixation cue and the two stimuli are on, by the period, and 0 afterwards."""
    cue = [float(period != "response" or timing in CUE_STAYS) for period in PERIODS]
    first = [float(period in FIRST.get(timing, ("stimulus",))) for period in PERIODS]
    second = [float(period == SECOND.get(timing)) for period in PERIODS]
    return [[*cue, 0.0], [*first, 0.0], [*second, 0.0]]


def _stimuli(
    spec: MultiTaskSpec, trials: list[Trial], which: Tensor, u: Chances
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Directions ``[example, stimulus]`` and strengths ``[example, modality, stimulus]`` of the two stimuli;
    whether there is a response to give, and its direction, ``[example]``."""

    def of(name: str, *values: str) -> Tensor:
        return pick([getattr(trial, name) in values for trial in trials], which)

    stronger, category = of("answer", "stronger"), of("epochs", "category")
    first, other, same = u(), u(), u() < 0.5
    if spec.category_angles is not None:
        n = spec.category_angles
        first = torch.where(category, ((first * n).floor().clamp_max(n - 1) + 0.5) / n, first)
        grid = ((other * n).floor().clamp_max(n - 1) + 0.5) / n
    else:
        grid = other
    apart = torch.where(stronger, 0.25 + 0.5 * other, torch.where(same, 0.0, (1 + 16 * other) / 18))
    second = torch.where(category, grid, (first + apart) % 1)
    matches = torch.where(category, (first < 0.5) == (second < 0.5), same)

    strengths = _strengths(spec, of, u)
    attended = torch.tensor([MODALITIES.get(trial.attended, (1.0, 1.0)) for trial in trials])
    total = (strengths * attended.to(which.device)[which][..., None]).sum(1)
    response = torch.where(of("answer", "away"), (first + 0.5) % 1, first)
    response = torch.where(stronger & (total[:, 1] > total[:, 0]), second, response)
    response = torch.where(of("answer", "match", "non-match"), second, response)
    responds = torch.where(of("answer", "match"), matches, ~of("answer", "non-match") | ~matches)
    responds = responds & ~of("answer", "hold")
    turn = 2 * math.pi
    return torch.stack([first, second], -1) * turn, strengths, responds, response * turn


def _strengths(spec: MultiTaskSpec, of: Callable[..., Tensor], u: Chances) -> Tensor:
    """Of the stimuli, ``[example, modality, stimulus]``."""
    modality = torch.stack([u() < 0.5, u() < 0.5], -1)
    either = torch.stack([modality, ~modality], 1).float()
    found = []
    for _ in range(2):
        mean, share = 0.8 + 0.4 * u(), u()
        together, delayed = drawn(share, spec.coherence), drawn(share, spec.delayed_coherence)
        differs = torch.where(of("epochs", "comparison"), delayed, together) * sign(u())
        found.append(torch.stack([mean + differs, mean - differs], -1))
    evidence = torch.stack(found, 1)
    split = torch.stack([(0.2 + 0.6 * u()) * sign(u()) for _ in range(2)], -1)
    shared = evidence[:, 0, None] * (1 + torch.stack([split, -split], 1) / 2)

    def chosen(*values: str) -> Tensor:
        return of("shown", *values)[:, None, None]

    evidence = torch.where(chosen("shared"), shared, evidence)
    here = torch.stack([of("shown", "first", "both", "shared"), of("shown", "second", "both", "shared")], 1)
    return torch.where(chosen("either"), either, evidence * here[..., None])


def _answer(
    spec: MultiTaskSpec, epoch: Tensor, go: Tensor, responds: Tensor, response: Tensor
) -> tuple[Tensor, Tensor]:
    """Target ``[example, time, output]`` and weight in the loss ``[example, time]``."""
    baseline = BASELINE if spec.encoding == "ring" else 0.0
    now = (epoch == RESPONSE) & responds[:, None]
    fixation = torch.where((epoch < OVER) & ~now, FIXATION, baseline)
    y = torch.cat([fixation[..., None], baseline + now[..., None] * response[:, None]], -1)
    time, grace = torch.arange(epoch.shape[1], device=epoch.device), spec.in_steps(spec.grace, "")
    before = (epoch < RESPONSE) & (time >= grace)
    after = (epoch == RESPONSE) & (time >= go[:, None] + grace)
    return y, before.to(y.dtype) + spec.response_weight * after.to(y.dtype)
