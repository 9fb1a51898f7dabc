"""The digest is the identity of what a spec describes: of all that matters, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from zoo.specs import reading
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.loading import parse
from zoo.specs.writing import to_yaml

TEXT = """\
spec: experiment/1
name: x
model: {kind: rate, hidden: 16, tau: 2.0, init: {distribution: normal}}
task: {kind: flip-flop, splits: {longer: {steps: 70}, sparse: {pulse_probability: 0.05}}}
learner: {kind: backprop, optimizer: {kind: sgd, momentum: 0.5}}
train: {seed: 3, stop: {at_most: 0.1}}
record: {snapshots: {at: [5, 7]}}
population: {members: 2, grid: {model.hidden: [8, 16], train.batch_size: [4, 8]}}
claims:
  - {metric: test/loss, at_most: 1.0, source: {kind: design}}
"""
GOLDEN = "63de74386fa06b9338b794ab80367fc2010d640f64692ecf08c3e974b418bd8c"


def reordered(value: Any) -> Any:
    """The same data with the keys of every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: reordered(item) for key, item in reversed(value.items())}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def test_it_stays_what_it_is() -> None:
    assert parse(TEXT).digest() == GOLDEN


def test_the_order_of_keys_does_not_matter() -> None:
    data = reordered(reading.read(TEXT).data)
    again = ExperimentSpec.model_validate(data)
    assert again.digest() == GOLDEN
    assert [m.digest() for m in again.members()] == [
        m.digest() for m in parse(TEXT, expected=ExperimentSpec).members()
    ]


@pytest.mark.parametrize(
    "override",
    [
        "name=y",
        "title=T",
        "description=D",
        "paper=p",
        "tags=[a]",
        "license=MIT",
        "claims=[]",
        "train.accelerator=cpu",
        "train.devices=2",
        "train.log_every=1",
        "train.loggers=[]",
        "train.save_every=7",
        # written out or not, as a whole number or not, a default is the default
        "train.steps=1000",
        "model.dt=1",
        "model.init.gain=1.0",
        "record.evaluation={splits: [test]}",
    ],
)
def test_it_does_not_see_what_changes_no_result(override: str) -> None:
    assert parse(TEXT, [override]).digest() == GOLDEN


@pytest.mark.parametrize(
    "override",
    [
        "model.hidden=17",
        "model.tau=2.5",
        "model={kind: gru, hidden: 16}",
        "task.steps=61",
        "task.splits.longer.steps=71",
        "task.splits.other={steps: 70}",
        "learner.optimizer.momentum=0.6",
        "train.seed=4",
        "train.steps=999",
        "train.stop=null",
        "train.precision=64-true",
        "record.snapshots.at=[7, 5]",
        "record.ledger={}",
        "population=null",
        "population.members=3",
        "population.grid={model.hidden: [16, 8], train.batch_size: [4, 8]}",
    ],
)
def test_it_sees_what_does(override: str) -> None:
    assert parse(TEXT, [override]).digest() != GOLDEN


def test_it_survives_writing() -> None:
    for full in (False, True):
        assert parse(to_yaml(parse(TEXT), full)).digest() == GOLDEN


def test_it_is_the_same_in_every_process() -> None:
    code = "import sys; from zoo.specs.loading import parse; print(parse(sys.stdin.read()).digest())"
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=TEXT,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert done.stdout.strip() == GOLDEN
