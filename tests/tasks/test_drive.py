"""What is fed to systems, and the reach."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from zoo.specs.tasks.drive import DriveSpec, ReachSpec
from zoo.tasks.base import Batch
from zoo.tasks.drive import Drive, Reach


def draw(examples: int = 6, **fields: Any) -> Batch:
    return Drive(DriveSpec.model_validate(fields)).batch("train", 0, 0, examples)


def test_levels_take_turns() -> None:
    batch = draw(5, steps=3, levels=[-0.5, 0.25], channels=2, width=3)
    assert batch.latents["condition"].tolist() == [0, 1, 0, 1, 0]
    assert batch.x[:, :, 0].tolist() == [[level] * 3 for level in (-0.5, 0.25, -0.5, 0.25, -0.5)]
    assert torch.equal(batch.x[..., 0], batch.x[..., 1])
    assert batch.y.shape == (5, 3, 3)
    assert not batch.y.any()


def test_signs_change_after_dwell_times() -> None:
    batch = draw(40, steps=300, levels=[2.0], dwell=[7, 12])
    assert set(batch.x.unique().tolist()) == {-2.0, 2.0}
    assert (batch.x[:, 0] == 2).all()
    seen = set()
    for row in batch.x[..., 0]:
        changes = (row.diff() != 0).nonzero()[:, 0] + 1
        seen |= set(changes.diff(prepend=torch.zeros(1, dtype=torch.long)).tolist())
    assert seen == set(range(7, 13))


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.95])
def test_noise_is_stationary_and_remembers(memory: float) -> None:
    x = draw(3000, steps=40, noise=0.3, memory=memory).x[..., 0]
    assert x.var(0).tolist() == pytest.approx([0.09] * 40, rel=0.15)
    assert x.var().item() == pytest.approx(0.09, rel=0.05)
    for lag in (1, 3, 10):
        found = (x[:, lag:] * x[:, :-lag]).mean().item() / 0.09
        assert found == pytest.approx(memory**lag, abs=0.05)


def test_parts_of_the_input_are_independent_and_of_their_size() -> None:
    batch = draw(4000, steps=3, channels=2, pulse=2.0, disturbances=2, disturbance=0.1)
    assert batch.x.shape == (4000, 3, 4)
    assert batch.x[:, 0, :2].std().item() == pytest.approx(2, rel=0.05)
    assert not batch.x[:, 1:, :2].any()
    assert batch.x[..., 2:].std().item() == pytest.approx(0.1, rel=0.05)
    correlation = torch.corrcoef(torch.cat([batch.x[:, 0], batch.x[:, 1, 2:]], 1).T)
    assert (correlation - torch.eye(6)).abs().max() < 0.06
    assert torch.equal(batch.latents["signal"], batch.x[..., :2])


def test_balance_leaves_the_levels() -> None:
    fields = {"levels": [-1.0, 1.0, 3.0], "noise": 1.0, "disturbances": 2, "pulse": 5.0, "balanced": True}
    batch = draw(20, **fields)
    for which, level in enumerate((-1.0, 1.0, 3.0)):
        mean = batch.x[batch.latents["condition"] == which].mean(0)
        torch.testing.assert_close(mean[:, 0], torch.full((100,), level), rtol=0, atol=1e-5)
        torch.testing.assert_close(mean[:, 1:], torch.zeros(100, 2), rtol=0, atol=1e-5)


def test_draws_differ_and_nothing_else_does() -> None:
    assert torch.equal(draw(noise=1.0).x, draw(noise=1.0).x)
    assert not torch.equal(draw(noise=1.0).x, draw(noise=1.0, draw=1).x)
    assert torch.equal(draw(noise=1.0, draw=1).x, draw(noise=1.0, draw=1, splits={"test": {"steps": 5}}).x)


def test_a_reach_is_that_of_a_critically_damped_mass() -> None:
    spec = ReachSpec(steps=60, dwell=(60, 60), omega=5.0, dt=0.05)
    batch = Reach(spec).batch("train", 0, 0, 1)
    goal = batch.x[0, 0, 0].item()

    def flow(_: float, state: list[float]) -> list[float]:
        return [state[1], 25 * (goal - state[0]) - 10 * state[1]]

    times = [0.05 * k for k in range(1, 61)]
    peer = solve_ivp(flow, (0, 3.01), [0, 0], t_eval=times, rtol=1e-9, atol=1e-9).y
    assert batch.y[0, :, 0].tolist() == pytest.approx(peer[0].tolist(), abs=1e-5)
    assert batch.latents["velocity"][0, :, 0].tolist() == pytest.approx(peer[1].tolist(), abs=1e-5)
    force = [25 * (goal - p) - 10 * v for p, v in peer.T]
    assert batch.latents["force"][0, :, 0].tolist() == pytest.approx(force, abs=1e-3)


@pytest.mark.parametrize("delay", [0, 5, 79])
def test_feedback_comes_late(delay: int) -> None:
    batch = Reach(ReachSpec(delay=delay, steps=80)).batch("train", 0, 0, 3)
    target, seen = batch.x.split(2, -1)
    assert (target.abs() <= 1).all()
    for t in range(80):
        before = batch.y[:, t - delay - 1] if t > delay else torch.zeros(3, 2)
        expected = target[:, t - delay] - before if t >= delay else torch.zeros(3, 2)
        torch.testing.assert_close(seen[:, t], expected)


def test_targets_jump_within_the_dwell_times() -> None:
    batch = Reach(ReachSpec(steps=400, dwell=(20, 30))).batch("train", 0, 0, 20)
    for row in batch.x[..., 0]:
        changes = (row.diff() != 0).nonzero()[:, 0] + 1
        waits = changes.diff(prepend=torch.zeros(1, dtype=torch.long))
        assert waits.min() >= 20
        assert waits.max() <= 30


def test_impossible_drives_are_refused() -> None:
    for kind in (DriveSpec, ReachSpec):
        with pytest.raises(ValidationError, match="from the shortest to the longest"):
            kind(dwell=(5, 4))
    with pytest.raises(ValidationError, match="may not change the width"):
        DriveSpec(splits={"more": {"disturbances": 1}})
    with pytest.raises(ValidationError, match="less than 1"):
        DriveSpec(memory=1.0)
    with pytest.raises(ValidationError, match="delay: no feedback comes within 5 steps"):
        ReachSpec(steps=5, delay=5)
    assert ReachSpec(steps=6, delay=5).steps == 6
    assert math.isfinite(draw(noise=1.0, memory=0.999999).x.sum())
