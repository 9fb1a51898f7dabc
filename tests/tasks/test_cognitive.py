"""The standard trials, against a reader that looks at the inputs alone, step by step."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from zoo.errors import SpecError
from zoo.specs.tasks.cognitive import TRIALS, TWENTY, MultiTaskSpec, TrialName
from zoo.tasks.base import Batch
from zoo.tasks.cognitive import MultiTask
from zoo.tasks.directions import encode

CUED = ("rt-go", "rt-anti", "dms", "dnms", "dmc", "dnmc")
"""Tasks in which it is the stimulus that says when to respond."""
RING = torch.arange(32) * (2 * math.pi / 32)


def make(**fields: Any) -> MultiTask:
    return MultiTask(MultiTaskSpec.model_validate({"noise": 0.0, "dt": 0.05, **fields}))


def angle(activity: Tensor) -> float:
    return math.atan2((activity * RING.sin()).sum(), (activity * RING.cos()).sum())


def apart(a: float, b: float) -> float:
    return abs((a - b + math.pi) % (2 * math.pi) - math.pi)


def answer(name: str, x: Tensor) -> tuple[int, float | None]:
    """When to respond and where to, as the methods of Yang et al. (2019) describe the task in words."""
    rings = [x[:, 1:33], x[:, 33:65]]
    both = rings[0] + rings[1]
    running = x[:, 65:].sum(1) > 0
    lit = (both.sum(1) > 0).tolist()
    onsets = [t for t in range(len(lit)) if lit[t] and (t == 0 or not lit[t - 1])]
    first = onsets[0]
    if name in ("rt-go", "rt-anti"):
        go = first
    elif name in ("dms", "dnms", "dmc", "dnmc"):
        go = onsets[1]
    else:
        go = int(((x[:, 0] == 0) & running).nonzero()[0])
    place = angle(both[first])
    match name:
        case "go" | "rt-go" | "dly-go":
            return go, place
        case "anti" | "rt-anti" | "dly-anti":
            return go, place + math.pi
        case "dms" | "dnms":
            same = apart(place, angle(both[go])) < 0.05
            return go, angle(both[go]) if same == (name == "dms") else None
        case "dmc" | "dnmc":
            same = (place % (2 * math.pi) < math.pi) == (angle(both[go]) % (2 * math.pi) < math.pi)
            return go, angle(both[go]) if same == (name == "dmc") else None
    attended = {"1": rings[0], "2": rings[1]}.get(name[-1], both)
    if "dly" not in name:
        return go, RING[attended[first].argmax()].item()
    second = onsets[1]
    stronger = first if attended[first].sum() > attended[second].sum() else second
    return go, angle(attended[stronger])


@pytest.mark.parametrize("name", TWENTY)
def test_every_target_follows_from_the_inputs(name: str) -> None:
    task = make(coherence=(0.3,), delayed_coherence=(0.1, 0.4))
    batch = task.batch(name, 0, 0, 60)
    responses = 0
    for row in range(60):
        go, where = answer(name, batch.x[row])
        end = batch.latents["end"][row].item()
        y, rule = batch.y[row], batch.x[row, :, 65:]
        assert (rule[:end].argmax(1) == TWENTY.index(name)).all()
        assert not batch.x[row, end:].any()
        assert batch.latents["go"][row].item() == go
        cue = batch.x[row, :end, 0]
        assert (cue[:go] == 1).all()
        assert (cue[go:] == (name in CUED)).all()
        torch.testing.assert_close(y[:go, 0], torch.full((go,), 0.8))
        torch.testing.assert_close(y[:go, 1:], torch.full((go, 32), 0.05))
        held = torch.full((end - go,), 0.8 if where is None else 0.05)
        torch.testing.assert_close(y[go:end, 0], held)
        if where is None:
            assert (y[go:end, 1:] == 0.05).all()
            continue
        responses += 1
        away = max(apart(angle(y[t, 1:]), where) for t in range(go, end))
        assert away < (0.2 if name in ("dm1", "dm2", "ctx-dm1", "ctx-dm2", "multsen-dm") else 0.01)
        assert y[go:end, 1:].max().item() == pytest.approx(0.85, abs=0.03)
    assert responses > 10


def test_names_are_those_of_the_table() -> None:
    assert get_args(TrialName) == tuple(TRIALS)
    assert MultiTaskSpec().tasks == TWENTY
    assert len(TWENTY) == 20


def test_fixation_is_held_whatever_is_shown() -> None:
    task = make(tasks=["fixation", "go"])
    batch = task.batch("fixation", 0, 0, 50)
    running = batch.latents["epoch"] < 6
    assert (batch.x[..., 0] == running).all()
    assert (batch.y[..., 0][running] == 0.8).all()
    assert (batch.y[..., 1:] == 0.05).all()
    assert (batch.x[..., 1:65].sum((1, 2)) > 0).all()
    assert task.metrics(batch.y, batch)["accuracy"].all()


def test_inputs_of_conflicting_modalities_disagree_and_shared_ones_add_up() -> None:
    conflict = make().batch("ctx-dm1", 0, 0, 400).latents
    signs = conflict["evidence_1"].sign() * conflict["evidence_2"].sign()
    assert signs.mean().abs() < 0.15
    assert set(conflict["evidence_1"].abs().mul(100).round().tolist()) == {1, 2, 4, 8}
    shared = make().batch("multsen-dm", 0, 0, 400).latents
    total = (shared["evidence_1"] + shared["evidence_2"]) / 2
    assert set(total.abs().mul(100).round().tolist()) == {1, 2, 4, 8}
    assert not make().batch("dly-go", 0, 0, 9).latents["evidence_1"].any()
    alone = make().batch("dm2", 0, 0, 50)
    assert not alone.x[..., 1:33].any()
    assert not alone.latents["evidence_1"].any()


def test_what_both_modalities_share_is_split_unevenly_between_them() -> None:
    """Of each stimulus by itself: one modality has a tenth to four tenths more than the mean, either one."""
    batch = make(tasks=["multsen-dly-dm"]).batch("test", 0, 0, 2000)
    found = []
    for period in (1, 3):
        on = (batch.latents["epoch"] == period)[..., None]
        first, second = ((batch.x[..., part] * on).sum((1, 2)) for part in (slice(1, 33), slice(33, 65)))
        found.append((first - second) / (first + second))
    split = torch.stack(found)
    assert split.abs().min() >= 0.1 - 1e-4
    assert split.abs().max() <= 0.4 + 1e-4
    assert split.abs().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (split > 0).double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert torch.corrcoef(split)[0, 1].abs() < 0.1


def test_stimuli_are_drawn_as_published() -> None:
    """Means of strengths, and directions; modalities of two stimuli independent of each other."""
    task = make(tasks=["dly-dm1", "dms", "dmc"])
    batch = task.batch("dly-dm1", 0, 0, 1000)
    first, second = (_seen(batch, period) for period in (1, 3))
    mean = (first + second).sum(1) / 2 / encode(torch.zeros(1), "ring", 32).sum()
    assert mean.aminmax().min.item() == pytest.approx(0.8, abs=0.01)
    assert mean.aminmax().max.item() == pytest.approx(1.2, abs=0.01)
    gap = (batch.latents["angle_2"] - batch.latents["angle_1"]) % (2 * math.pi) / (2 * math.pi)
    assert gap.aminmax().min.item() == pytest.approx(0.25, abs=0.01)
    assert gap.aminmax().max.item() == pytest.approx(0.75, abs=0.01)

    batch = task.batch("dms", 0, 0, 1000)
    first, second = (_seen(batch, period).sum(1) > 0 for period in (1, 5))
    assert torch.corrcoef(torch.stack([first, second]).double())[0, 1].abs() < 0.1
    gap = (batch.latents["angle_2"] - batch.latents["angle_1"]) % (2 * math.pi) / (2 * math.pi)
    differs = gap[batch.latents["responds"] == 0]
    assert differs.aminmax().min.item() == pytest.approx(1 / 18, abs=0.01)
    assert differs.aminmax().max.item() == pytest.approx(17 / 18, abs=0.01)

    batch = task.batch("dmc", 0, 0, 1000)
    for name in ("angle_1", "angle_2"):
        tenths = batch.latents[name] / (2 * math.pi) * 10 - 0.5
        assert tenths.round().unique().tolist() == list(range(10))
        assert (tenths - tenths.round()).abs().max() < 1e-4


def test_where_there_is_one_stimulus_both_angles_are_its() -> None:
    latents = make().batch("dly-anti", 0, 0, 50).latents
    assert torch.equal(latents["angle_1"], latents["angle_2"])


def _seen(batch: Batch, period: int) -> Tensor:
    """Activity of the first modality at the end of a period, ``[example, unit]``."""
    last = (batch.latents["epoch"] <= period).sum(1) - 1
    return batch.x[torch.arange(len(last)), last, 1:33]


def test_durations_are_those_declared() -> None:
    batch = make(dt=0.02).batch("dly-go", 0, 0, 500)
    epoch = batch.latents["epoch"]
    assert set((epoch == 0).sum(1).tolist()) == {15, 25, 35}
    assert set((epoch == 1).sum(1).tolist()) == {10, 20, 30}
    assert set((epoch == 2).sum(1).tolist()) == {10, 20, 40, 80}
    assert set((epoch == 5).sum(1).tolist()) == {25}
    assert not ((epoch == 3) | (epoch == 4)).any()
    stimulus = (make(dt=0.02).batch("go", 0, 0, 2000).latents["epoch"] == 1).sum(1)
    assert set(stimulus.tolist()) == set(range(25, 76))
    longer = make(dt=0.02, delay_factor=2.0)
    assert set((longer.batch("dly-go", 0, 0, 99).latents["epoch"] == 2).sum(1).tolist()) == {20, 40, 80, 160}


def test_the_longest_trial_is_the_length() -> None:
    # fixation 0.6, stimulus 0.6, delay 1.6, second 0.6, wait 0.3, response 0.5: 4.2 s
    spec = MultiTaskSpec()
    assert (spec.steps, spec.inputs, spec.outputs) == (210, 85, 33)
    assert spec.for_split("longer").steps == 290
    assert spec.for_split("rt-go").steps == 150
    assert spec.for_split("rt-go").inputs == 85
    assert make(dt=0.02).batch("train", 0, 0, 2000).latents["end"].max() <= 210


def test_noise_has_the_declared_deviation() -> None:
    quiet, noisy = make(dt=0.02), make(dt=0.02, noise=0.01)
    difference = noisy.batch("train", 0, 0, 64).x - quiet.batch("train", 0, 0, 64).x
    assert difference.std().item() == pytest.approx(0.01 * math.sqrt(2 * 0.1 / 0.02), rel=0.01)
    assert noisy.batch("noisier", 0, 0, 64).x.std() > noisy.batch("train", 0, 0, 64).x.std()


def test_tasks_occur_as_often_as_declared() -> None:
    task = make(tasks=["go", "anti", "ctx-dm1"], weights={"ctx-dm1": 5.0})
    counts = task.batch("train", 0, 0, 7000).latents["task"].bincount() / 7000
    assert counts.tolist() == pytest.approx([1 / 7, 1 / 7, 5 / 7], abs=0.02)
    held_out = make(tasks=["go", "anti", "dms"], only=["anti", "go"], splits={"new": {"only": ["dms"]}})
    assert held_out.batch("train", 0, 0, 99).latents["task"].unique().tolist() == [0, 1]
    assert held_out.batch("new", 0, 0, 9).latents["task"].unique().tolist() == [2]
    assert held_out.batch("dms", 0, 0, 9).latents["task"].unique().tolist() == [2]


def test_weights_in_the_loss() -> None:
    task = make(dt=0.02)
    batch = task.batch("dly-go", 0, 0, 3)
    go, end = batch.latents["go"].tolist(), batch.latents["end"].tolist()
    for row in range(3):
        expected = [0.0] * 5 + [1.0] * (go[row] - 5) + [0.0] * 5 + [5.0] * (end[row] - go[row] - 5)
        assert batch.mask[row].tolist() == [*expected, *[0.0] * (batch.mask.shape[1] - end[row])]
    y = torch.randn_like(batch.y)
    error = (y - batch.y) ** 2
    error[..., 0] *= 2
    expected_loss = (error.mean(-1) * batch.mask).sum(1) / batch.mask.sum(1)
    torch.testing.assert_close(task.losses(y, batch), expected_loss)


def turned(batch: Batch, degrees: float) -> Tensor:
    """Outputs that point so much further."""
    y = batch.y.clone()
    now = (batch.latents["epoch"] == 5) & (batch.latents["responds"] > 0)[:, None]
    code = encode(batch.latents["response"] + math.radians(degrees), "ring", 32)
    y[..., 1:] = torch.where(now[..., None], 0.05 + code[:, None], y[..., 1:])
    return y


def test_what_counts_as_right() -> None:
    task = make()
    batch = task.batch("dly-anti", 0, 0, 20)
    for degrees, right in ((35.0, 1), (-35.0, 1), (37.0, 0), (-37.0, 0), (180.0, 0)):
        assert (task.metrics(turned(batch, degrees), batch)["accuracy"] == right).all()
    broken = batch.y.clone()
    broken[:, 4, 0] = 0.4  # after the grace at the start, before the signal
    assert (task.metrics(broken, batch)["accuracy"] == 0).all()
    assert (task.metrics(broken, batch)["response_accuracy"] == 1).all()
    early = batch.y.clone()
    early[:, 1, 0] = 0.0  # within the grace
    assert (task.metrics(early, batch)["accuracy"] == 1).all()
    holding = batch.y.clone()
    holding[..., 0] = 0.8
    assert (task.metrics(holding, batch)["accuracy"] == 0).all()


def test_the_settings_of_driscoll() -> None:
    epochs = {"delay": {"fixation": [0.3, 0.7], "stimulus": [0.2, 1.6], "delay": [0.2, 1.6]}}
    task = make(encoding="cos-sin", noise=0.1, epochs=epochs, category_angles=None, tolerance=18.0)
    assert (task.spec.inputs, task.spec.outputs) == (25, 3)
    batch = task.batch("test", 0, 0, 30)
    assert (task.metrics(batch.y, batch)["accuracy"] == 1).all()
    row, last = torch.arange(30), batch.latents["end"] - 1
    responds = batch.latents["responds"] > 0
    found = torch.atan2(batch.y[row, last, 2], batch.y[row, last, 1]) % (2 * math.pi)
    torch.testing.assert_close(found[responds], batch.latents["response"][responds] % (2 * math.pi))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"epochs": {"delay": {"delay": [0.01]}}},
            r"epochs\.delay\.delay: 0\.01 s is shorter than a time step",
        ),
        ({"epochs": {"go": {"response": [0.1]}}}, r"epochs\.go\.response: 0\.1 s is over within the grace"),
        ({"epochs": {"go": {"delay": [0.1]}}}, r"epochs\.go\.delay"),
        ({"tasks": ["go", "gone"]}, r"tasks\.1"),
        ({"tasks": ["go", "go"]}, "twice"),
        ({"tasks": []}, "at least 1"),
        ({"tasks": ["go"], "only": ["anti"]}, "only: 'anti' is not among the tasks"),
        ({"tasks": ["go"], "weights": {"anti": 2.0}}, "weights: 'anti' is not among the tasks"),
        ({"category_angles": 9}, "category_angles: an odd number"),
        ({"splits": {"other": {"tasks": ["go"]}}}, "may not change the width"),
        ({"splits": {"other": {"only": ["oh"]}}}, r"splits\.other\.only"),
        ({"dt": 0.3}, "shorter than a time step"),
    ],
)
def test_impossible_trials_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MultiTaskSpec.model_validate(fields)


def test_a_split_of_a_task_that_is_not_there_is_refused() -> None:
    with pytest.raises(SpecError, match=r"no split 'dm3'\. Did you mean 'dm2'"):
        make().batch("dm3", 0, 0, 1)
    with pytest.raises(SpecError, match="no split 'dms'"):
        make(tasks=["go"]).batch("dms", 0, 0, 1)
