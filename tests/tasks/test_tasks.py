"""The tasks' own facts."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zoo.registry import spec_class
from zoo.specs.tasks.dynamics import SineSpec
from zoo.specs.tasks.memory import FlipFlopSpec
from zoo.tasks.dynamics import Sine
from zoo.tasks.memory import FlipFlop


@given(
    bits=st.integers(1, 5),
    steps=st.integers(1, 40),
    p=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    seed=st.integers(0, 99),
)
def test_flip_flop_holds_the_last_pulse(bits: int, steps: int, p: float, seed: int) -> None:
    task = FlipFlop(FlipFlopSpec(bits=bits, steps=steps, pulse_probability=p))
    batch = task.batch("train", seed, 0, 3)
    for example in range(3):
        for bit in range(bits):
            held = 0.0
            for t in range(steps):
                held = batch.x[example, t, bit].item() or held
                assert batch.y[example, t, bit].item() == held != 0
    assert batch.latents["state"].max() < 2**bits


def test_flip_flop_pulses_at_the_declared_rate() -> None:
    batch = FlipFlop(FlipFlopSpec(steps=200)).batch("train", 0, 0, 400)
    assert (batch.x[:, 0] != 0).all()
    assert (batch.x[:, 1:] != 0).double().mean().item() == pytest.approx(0.1, abs=0.004)
    assert batch.x[:, 1:].sum().abs() / (batch.x[:, 1:] != 0).sum() < 0.02


def test_flip_flop_states_and_the_share_that_is_right() -> None:
    task = FlipFlop(FlipFlopSpec())
    batch = task.batch("train", 0, 0, 40)
    first, second, third = (batch.y > 0).long().unbind(-1)
    assert torch.equal(batch.latents["state"], first + 2 * second + 4 * third)
    y = batch.y.clone()
    y[:, 45:, 0] *= -1  # a quarter of the time, on one channel of three
    assert task.metrics(0.1 * y, batch)["sign_accuracy"].tolist() == pytest.approx([11 / 12] * 40)


def test_shifted_splits_differ_as_declared() -> None:
    task = FlipFlop(FlipFlopSpec())
    assert [task.batch(split, 0, 0, 1).x.shape[1] for split in ("train", "test", "longer")] == [60, 100, 300]
    sparse = task.batch("sparse", 0, 0, 50).x[:, 1:]
    assert (sparse != 0).double().mean().item() == pytest.approx(0.02, abs=0.004)


def test_sine_golden_values() -> None:
    batch = Sine(SineSpec(frequencies=(1.0, 2.0), dt=0.05, steps=10)).batch("train", 0, 0, 32)
    for example in range(32):
        f = batch.latents["frequency"][example].item()
        assert batch.x[example, 0, 0].item() == pytest.approx((1 if f == 1 else 2) / 2 + 0.25)
        for t in range(10):
            assert batch.y[example, t, 0].item() == pytest.approx(
                math.sin(2 * math.pi * f * 0.05 * (t + 1)), abs=1e-5
            )
    assert set(batch.latents["condition"].tolist()) == {0, 1}


def test_impossible_tasks_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"not below 1/\(2 dt\)"):
        SineSpec(frequencies=(30.0,), dt=0.02)
    with pytest.raises(ValidationError, match="may not change the width"):
        FlipFlopSpec(splits={"wide": {"bits": 4}})
    with pytest.raises(ValidationError, match=r"splits\.long\.stepz"):
        FlipFlopSpec(splits={"long": {"stepz": 4}})


@pytest.mark.parametrize(
    "kind",
    ["sine", "chaos", "head-direction", "path-integration", "reach", "linear-teacher", "linear-episodes"],
)
def test_tasks_in_which_something_has_to_follow_need_two_steps(kind: str) -> None:
    with pytest.raises(ValidationError, match=r"steps\n.*greater than or equal to 2"):
        spec_class("tasks", kind).model_validate({"kind": kind, "steps": 1, "splits": {}})


def test_float64_and_devices_keep_the_examples() -> None:
    batch = Sine(SineSpec()).batch("test", 0, 0, 4)
    moved = batch.to("cpu", torch.float64)
    assert moved.x.dtype == torch.float64
    assert moved.latents["condition"].dtype == torch.int64
