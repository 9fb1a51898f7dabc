"""Classical trials: what is shown, what is right, and what an ideal observer reaches."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from zoo.registry import implementation, spec_class
from zoo.specs.tasks.decision import (
    ComparisonSpec,
    EvidenceSpec,
    ForcedChoiceSpec,
    GoNoGoSpec,
    WorkingMemorySpec,
)
from zoo.tasks.decision import Comparison, Evidence, ForcedChoice, GoNoGo, WorkingMemory


def evidence(**fields: Any) -> Evidence:
    return Evidence(EvidenceSpec.model_validate(fields))


@pytest.mark.parametrize("coherence", [0.009, 0.036, 0.15])
@pytest.mark.parametrize("stretch", [1.0, 2.0])
def test_an_ideal_observer_is_as_good_as_signal_detection_says(coherence: float, stretch: float) -> None:
    task = evidence(coherence=[coherence], stretch=stretch)
    batch = task.batch("test", 0, 0, 20_000)
    seconds = task.spec.durations("stimulus")[0] * task.spec.dt
    expected = NormalDist().cdf(coherence * math.sqrt(seconds) / 0.0316)
    found = task.metrics(task.oracle(batch), batch)["accuracy"].mean().item()
    assert found == pytest.approx(expected, abs=0.012)


def test_more_senses_are_better_by_the_root_of_their_number() -> None:
    task = evidence(channels=4, rule="sum", coherence=[0.02])
    batch = task.batch("test", 0, 0, 20_000)
    assert batch.x.shape[-1] == 5
    steps = task.spec.durations("stimulus")[0]
    expected = NormalDist().cdf(2 * 0.02 * math.sqrt(steps * 0.02) / 0.0316)
    assert task.metrics(task.oracle(batch), batch)["accuracy"].mean().item() == pytest.approx(
        expected, abs=0.012
    )


def test_the_context_names_the_channel_that_decides() -> None:
    task = evidence(channels=3, noise=0.0, hold=True)
    batch = task.batch("train", 0, 0, 300)
    assert batch.x.shape[-1] == 7
    epoch, context = batch.latents["epoch"], batch.latents["context"]
    assert context.unique().tolist() == [0, 1, 2]
    for row in range(300):
        shown = batch.x[row, epoch[row] == 1]
        which = context[row].item()
        assert (shown[:, 4:].argmax(1) == which).all()
        for k in range(3):
            assert (shown[:, 1 + k] == batch.latents[f"coherence_{k + 1}"][row]).all()
        right = shown[0, 1 + which].sign().item()
        assert batch.latents["choice"][row].item() == right
        assert (batch.y[row, epoch[row] == 3] == right).all()
        assert not batch.y[row, epoch[row] < 3].any()
        assert (batch.x[row, epoch[row] < 3, 0] == 1).all()
        assert (batch.x[row, epoch[row] == 3, 0] == 0).all()
    signs = torch.stack([batch.latents[f"coherence_{k}"].sign() for k in (1, 2, 3)])
    assert (torch.corrcoef(signs) - torch.eye(3)).abs().max() < 0.2
    assert batch.mask.all()
    assert (evidence().batch("train", 0, 0, 3).mask.sum(1) == 5).all()


def test_a_response_that_is_due_at_once() -> None:
    task = evidence(reaction=True, grace=0.1, noise=0.0, fixation=[0.1, 0.5])
    batch = task.batch("train", 0, 0, 50)
    for row in range(50):
        onset = int((batch.latents["epoch"][row] == 1).nonzero()[0])
        end = batch.latents["end"][row].item()
        assert not batch.y[row, :onset].any()
        assert (batch.y[row, onset:end, 0] == batch.latents["choice"][row]).all()
        assert (batch.x[row, :end, 0] == 1).all()
        assert batch.mask[row].nonzero()[:, 0].tolist() == list(range(onset + 5, end))


def test_frequencies_differ_as_declared_and_stay_in_range() -> None:
    task = Comparison(ComparisonSpec(noise=0.0, difference=(4.0, 10.0)))
    batch = task.batch("train", 0, 0, 2000)
    first, second = batch.latents["first"], batch.latents["second"]
    for values in (first, second):
        assert values.min() >= 10
        assert values.max() <= 34
    assert (first - second).abs().min() >= 4 - 1e-4
    assert (first - second).abs().max() <= 10 + 1e-4
    assert ((first > second) == (batch.latents["choice"] > 0)).all()
    assert (first > second).double().mean().item() == pytest.approx(0.5, abs=0.04)
    epoch = batch.latents["epoch"]
    felt = batch.x[..., 1]
    assert not felt[(epoch != 1) & (epoch != 3)].any()
    scaled = ((first - 22) / 12)[:, None].expand_as(felt)
    torch.testing.assert_close(felt[epoch == 1], scaled[epoch == 1])
    assert (task.oracle(batch) == batch.y).all()


def test_a_graded_comparison_says_by_how_much_and_is_judged_when_due() -> None:
    """The target of Dubreuil et al. (2022): (f1 - f2) / (fmax - fmin), and nothing asked before."""
    spec = ComparisonSpec(difference=(8.0, 16.0, 24.0), noise=0.0, graded=True, hold=False)
    task = Comparison(spec)
    batch = task.batch("train", 0, 0, 300)
    due = batch.latents["epoch"] == 5
    first, second = batch.latents["first"], batch.latents["second"]
    assert sorted({round(abs(float(y)), 4) for y in batch.y[due]}) == [0.3333, 0.6667, 1.0]
    torch.testing.assert_close(batch.y[..., 0], due * ((first - second) / 24)[:, None])
    assert torch.equal(batch.mask > 0, due)
    torch.testing.assert_close(task.oracle(batch), batch.y)
    assert task.metrics(batch.y, batch)["accuracy"].all()
    assert not task.metrics(-batch.y, batch)["accuracy"].any()


TIMED = {"delayed-comparison": [1], "working-memory": [0, 1, 2, 3], "go-no-go": [1, 2]}
"""Inputs that have noise, by the kind."""


@pytest.mark.parametrize("kind", TIMED)
def test_cues_and_noise(kind: str) -> None:
    """The cue goes off when it is time to respond; noise has the same power per second at every step size."""
    made = []
    for noise in (0.0, 0.1):
        fields = {"kind": kind, "noise": noise, **({"wait": [0.1]} if kind == "delayed-comparison" else {})}
        spec = spec_class("tasks", kind).model_validate(fields)
        made.append(implementation("tasks", kind)(spec).batch("train", 0, 0, 100))
    quiet, noisy = made
    respond = len(spec.periods) - 1
    assert torch.equal(quiet.x[..., 0], (quiet.latents["epoch"] < respond).float())
    deviation = (noisy.x - quiet.x).std((0, 1))
    expected = [0.1 / math.sqrt(0.02) if k in TIMED[kind] else 0.0 for k in range(spec.inputs)]
    assert deviation.tolist() == pytest.approx(expected, abs=0.02)


def test_nothing_is_shown_when_a_trial_is_over() -> None:
    batch = evidence(channels=2, noise=0.0, fixation=[0.1, 0.5]).batch("train", 0, 0, 50)
    over = batch.latents["epoch"] == 4
    assert over.any()
    assert not batch.x[over].any()


def test_distractors_have_their_strength() -> None:
    task = WorkingMemory(WorkingMemorySpec(noise=0.0, strength=2.0))
    batch = task.batch("train", 0, 0, 50)
    length = batch.x[..., 2:].norm(dim=-1)
    expected = (batch.latents["epoch"] == 1) + 2.0 * (batch.latents["distractor"] > 0)
    torch.testing.assert_close(length, expected)


@pytest.mark.parametrize("kind", ["evidence", "delayed-comparison", "forced-choice"])
def test_a_choice_is_a_class(kind: str) -> None:
    """Whole numbers, which analyses take for classes and not for a quantity."""
    spec = spec_class("tasks", kind).model_validate({"kind": kind})
    choice = implementation("tasks", kind)(spec).batch("train", 0, 0, 50).latents["choice"]
    assert choice.dtype == torch.long
    assert choice.unique().tolist() == ([1, 2] if kind == "forced-choice" else [-1, 1])


def test_distractors_fit_into_the_delay_one_after_the_other() -> None:
    task = WorkingMemory(WorkingMemorySpec(distractors=3, distraction=0.16, noise=0.0, delay=(0.5, 1.0)))
    batch = task.batch("train", 0, 0, 300)
    number, epoch = batch.latents["distractor"], batch.latents["epoch"]
    assert not number[epoch != 2].any()
    for k in (1, 2, 3):
        assert ((number == k).sum(1) == 8).all()
    ordered = torch.where(number > 0, number, number.cummax(1).values)
    assert (ordered.diff(dim=1) >= 0).all()  # each ends before the next begins
    firsts = (number == 1).int().argmax(1) - (epoch < 2).sum(1)
    assert firsts.min() == 0
    assert len(firsts.unique()) > 10
    assert not batch.x[..., 2:][(number == 0) & (epoch != 1)].any()
    assert (batch.x[..., 1] == (epoch == 1)).all()
    first = (number == 1)[..., None] * batch.x[..., 2:]
    angle = torch.atan2(first.sum(1)[:, 1], first.sum(1)[:, 0])
    assert (torch.cos(angle - batch.latents["angle"]).mean()).abs() < 0.15
    alone = task.batch("undistracted", 0, 0, 20)
    assert not alone.latents["distractor"].any()


@pytest.mark.parametrize("encoding", ["ring", "cos-sin"])
def test_what_counts_as_remembered(encoding: str) -> None:
    task = WorkingMemory(WorkingMemorySpec.model_validate({"encoding": encoding, "noise": 0.1}))
    batch = task.batch("test", 0, 0, 200)
    assert task.metrics(batch.y, batch)["accuracy"].all()
    assert task.metrics(task.oracle(batch), batch)["accuracy"].mean() > 0.9
    others = batch.y[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    assert task.metrics(others, batch)["accuracy"].mean() < 0.35


def test_holding_back() -> None:
    task = GoNoGo(GoNoGoSpec(go_probability=0.25, noise=0.0))
    batch = task.batch("train", 0, 0, 4000)
    go, epoch = batch.latents["go"], batch.latents["epoch"]
    assert go.double().mean().item() == pytest.approx(0.25, abs=0.02)
    assert (batch.y[..., 1].amax(1) == go).all()
    assert (batch.y.sum(-1) == (epoch < 4)).all()
    always, never = torch.zeros_like(batch.y), torch.zeros_like(batch.y)
    always[..., 0] = (epoch < 3).float()
    always[..., 1] = (epoch == 3).float()
    never[..., 0] = 1
    assert (task.metrics(always, batch)["accuracy"] == go).all()
    assert (task.metrics(never, batch)["accuracy"] == 1 - go).all()
    early = batch.y.clone()
    early[:, 3] = torch.tensor([0.0, 1.0])
    assert not task.metrics(early, batch)["accuracy"].any()


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (EvidenceSpec, {"stimulus": [0.01]}, r"stimulus: 0\.01 s is shorter than a time step of 0\.02"),
        (EvidenceSpec, {"grace": 0.1}, r"grace: 0\.1 s leave nothing"),
        (EvidenceSpec, {"coherence": []}, "coherence"),
        (EvidenceSpec, {"splits": {"two": {"channels": 2}}}, "may not change the width"),
        (EvidenceSpec, {"splits": {"short": {"response": [0.001]}}}, r"splits\.short: response"),
        (ComparisonSpec, {"difference": [30.0]}, "difference: no two frequencies"),
        (ComparisonSpec, {"wait": [0.005, 0.5]}, "wait"),
        (
            WorkingMemorySpec,
            {"distractors": 3},
            r"distractors: 3 of 0\.2 s do not fit into a delay of 0\.5 s",
        ),
        (WorkingMemorySpec, {"distraction": 0.001}, "distraction"),
        (GoNoGoSpec, {"go_probability": 1.1}, "go_probability"),
    ],
)
def test_impossible_trials_are_refused(kind: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind.model_validate(fields)


def test_the_larger_input_is_the_choice() -> None:
    task = ForcedChoice(ForcedChoiceSpec(noise=0.0))
    batch = task.batch("train", 0, 0, 50)
    assert batch.x.shape == batch.y.shape == (50, 8, 3)
    assert batch.mask.all()
    assert torch.equal(batch.x[:, :, 0], (torch.arange(8) < 7).float().expand(50, -1))
    assert torch.equal(batch.x[:, 0, 1:].argmax(1) + 1, batch.latents["choice"])
    torch.testing.assert_close(batch.x[:, 0, 1:].sum(1), torch.ones(50))
    torch.testing.assert_close((batch.x[:, 0, 1] - batch.x[:, 0, 2]).abs(), batch.latents["coherence"])
    assert torch.equal(batch.y[:, :7].argmax(2), torch.zeros(50, 7).long())
    assert torch.equal(batch.y[:, 7].argmax(1), batch.latents["choice"])
    noisy = ForcedChoice(ForcedChoiceSpec()).batch("train", 0, 0, 500)
    assert noisy.x[:, 7].std().item() == pytest.approx(0.1, rel=0.1)
