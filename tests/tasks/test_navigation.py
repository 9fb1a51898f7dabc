"""Path integration: velocities add up to what is asked for, and walks are those that were declared."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from zoo.specs.tasks.navigation import HeadDirectionSpec, PathIntegrationSpec
from zoo.tasks.navigation import HeadDirection, PathIntegration, _place_code, _places


def heading(**fields: Any) -> HeadDirection:
    return HeadDirection(HeadDirectionSpec.model_validate(fields))


def path(**fields: Any) -> PathIntegration:
    return PathIntegration(PathIntegrationSpec.model_validate(fields))


def test_turns_add_up_to_the_direction() -> None:
    batch = heading().batch("train", 0, 0, 300)
    angle = torch.atan2(batch.x[:, 0, 2], batch.x[:, 0, 1])
    assert not batch.x[:, 1:, 1:].any()
    for t in range(100):
        angle = angle + batch.x[:, t, 0]
        torch.testing.assert_close(
            batch.y[:, t], torch.stack([angle.cos(), angle.sin()], 1), atol=1e-4, rtol=0
        )
    assert batch.x[..., 0].std().item() == pytest.approx(0.02 * 11.52, rel=0.02)
    assert batch.latents["direction"].abs().max() <= math.pi + 1e-6


def test_turns_in_one_way_and_with_memory() -> None:
    assert (heading(one_way=True).batch("train", 0, 0, 20).x[..., 0] >= 0).all()
    turns = heading(memory=0.9).batch("train", 0, 0, 3000).latents["turn"]
    found = (turns[:, 5:] * turns[:, :-5]).mean() / turns.var()
    assert found.item() == pytest.approx(0.9**5, abs=0.03)


def test_cells_have_von_mises_tuning() -> None:
    task = heading(code="cells", cells=16, start="zero")
    batch = task.batch("train", 0, 0, 50)
    assert batch.x.shape[-1] == 1
    direction = batch.latents["direction"]
    for cell in range(16):
        preferred = -math.pi + 2 * math.pi * cell / 16
        expected = torch.exp((torch.cos(direction - preferred) - 1) * (6 / math.pi) ** 2)
        torch.testing.assert_close(batch.y[..., cell], expected, atol=1e-5, rtol=1e-4)


def test_errors_of_decoded_directions() -> None:
    task = heading(code="cells")
    batch = task.batch("test", 0, 0, 30)
    assert task.metrics(batch.y, batch)["angle_error"].max() < 0.02
    shifted = batch.y.roll(128, -1)  # a quarter of a turn
    assert task.metrics(shifted, batch)["angle_error"].mean().item() == pytest.approx(math.pi / 2, abs=0.02)


def test_noise_lets_the_sum_of_what_is_seen_wander_off() -> None:
    task = heading(noise=0.3, start="zero", steps=200)
    batch = task.batch("train", 0, 0, 3000)
    off = batch.x[..., 0].sum(1) - batch.latents["turn"].sum(1)
    assert off.std().item() == pytest.approx(0.3 * math.sqrt(200 * 0.02), rel=0.05)
    walk = path(noise=0.3, start="centre")
    batch = walk.batch("train", 0, 0, 2000)
    off = batch.x.sum(1) - batch.y[:, -1]
    assert off.std().item() == pytest.approx(0.3 * math.sqrt(100 * 0.02), rel=0.05)


def test_walks_are_smooth_stay_inside_and_heed_the_walls() -> None:
    task = path(steps=400)
    batch = task.batch("train", 0, 0, 300)
    assert batch.y.abs().max() <= 1.1
    moved = batch.x[..., :2]
    torch.testing.assert_close(batch.x[:, 0, 2:] + moved.sum(1), batch.y[:, -1], atol=1e-4, rtol=0)
    inside = batch.y[:, :-1].abs().amax(-1) < 1.1 - 0.03
    length = moved.norm(dim=-1)[:, 1:]
    mean = 0.26 * math.pi * math.sqrt(math.pi / 2) * 0.02
    assert length[inside].mean().item() == pytest.approx(mean, rel=0.02)
    near = ~inside & (length > 0)
    assert length[near].mean() < 0.8 * mean  # slowed where it faces the wall
    turns = batch.latents["heading"].diff(dim=1)
    turns = (turns + math.pi) % (2 * math.pi) - math.pi
    assert turns[inside].std().item() == pytest.approx(0.02 * 11.52, rel=0.03)
    assert inside.double().mean() > 0.8


def test_walks_begin_anywhere_and_go_where_they_face() -> None:
    batch = path(steps=3, border=0.0).batch("train", 0, 0, 2000)
    start, heading = batch.x[:, 0, 2:], batch.latents["heading"]
    for axis in (0, 1):
        assert start[:, axis].aminmax().min.item() == pytest.approx(-1.1, abs=0.02)
        assert start[:, axis].aminmax().max.item() == pytest.approx(1.1, abs=0.02)
    assert heading[:, 0].cos().mean().abs() < 0.05
    assert heading[:, 0].sin().mean().abs() < 0.05
    inside = (batch.latents["position"].abs() < 1.1).all(-1).all(-1)
    went = torch.atan2(batch.x[..., 1], batch.x[..., 0])[inside]
    torch.testing.assert_close(torch.cos(went - heading[inside]), torch.ones_like(went), atol=1e-3, rtol=0)


def test_a_place_is_read_from_the_three_most_active_cells() -> None:
    task = path(code="cells", cells=20)
    y = torch.zeros(1, 1, 20)
    y[..., [3, 8, 12, 15]] = torch.tensor([1.0, 0.5, 0.6, 0.4])
    torch.testing.assert_close(task.held(y)[0, 0], _places(task.spec, y)[[3, 8, 12]].mean(0))


def test_walks_drift_to_the_anchor() -> None:
    biased = path(drift=0.05, anchor=[0.5, -0.5], steps=300).batch("train", 0, 0, 300)
    torch.testing.assert_close(biased.y[:, -1].mean(0), torch.tensor([0.5, -0.5]), atol=0.05, rtol=0)
    free = path(steps=300).batch("train", 0, 0, 300)
    assert biased.y[:, -1].var(0).sum() < 0.5 * free.y[:, -1].var(0).sum()


def test_place_cells_are_a_softmax_over_distances() -> None:
    task = path(code="cells", cells=64)
    batch = task.batch("test", 0, 0, 5)
    centres = _places(task.spec, batch.x)
    assert centres.abs().max() <= 1.1
    torch.testing.assert_close(batch.y.sum(-1), torch.ones(5, 100))
    where = batch.latents["position"][2, 7]
    raw = torch.exp(-((centres - where) ** 2).sum(-1) / (2 * 0.2**2))
    torch.testing.assert_close(batch.y[2, 7], raw / raw.sum())
    assert (_places(path(code="cells", cells=64, cells_seed=1).spec, batch.x) != centres).all()


def test_errors_of_decoded_positions() -> None:
    task = path(code="cells")
    batch = task.batch("test", 0, 0, 30)
    assert task.metrics(batch.y, batch)["position_error"].mean() < 0.05  # the floor of 512 random centres
    aside = _place_code(task.spec, batch.latents["position"].flip(0))
    assert task.metrics(aside, batch)["position_error"].mean() > 0.5
    plain = path()
    batch = plain.batch("test", 0, 0, 10)
    found = plain.metrics(batch.y + torch.tensor([0.3, 0.4]), batch)
    torch.testing.assert_close(found["position_error"], torch.full((10,), 0.5))


@pytest.mark.parametrize("velocity", ["cartesian", "polar"])
@pytest.mark.parametrize("code", ["position", "cells"])
@pytest.mark.parametrize("cue", ["coordinates", "code"])
def test_the_start_can_be_read_from_the_cue(velocity: str, code: str, cue: str) -> None:
    task = path(velocity=velocity, code=code, cue=cue, cells=100)
    batch = task.batch("test", 0, 0, 20)
    torch.testing.assert_close(task.oracle(batch), batch.y, atol=1e-3, rtol=1e-3)
    other = heading(code="cells" if code == "cells" else "cos-sin", cue=cue, cells=100)
    batch = other.batch("test", 0, 0, 20)
    torch.testing.assert_close(other.oracle(batch), batch.y, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (PathIntegrationSpec, {"border": 1.1}, r"border: leaves no room in a box of 2\.2 m"),
        (PathIntegrationSpec, {"anchor": [0.0, 2.0]}, "anchor: is not in the box"),
        (PathIntegrationSpec, {"drift": 1.0}, "less than 1"),
        (PathIntegrationSpec, {"splits": {"here": {"start": "centre"}}}, "may not change the width"),
        (HeadDirectionSpec, {"turning": 0.0}, "greater than 0"),
        (HeadDirectionSpec, {"cells": 2}, "cells"),
    ],
)
def test_impossible_walks_are_refused(kind: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind.model_validate(fields)
