"""What is wrong with a task is told where it was written, once."""

from __future__ import annotations

import pytest

from zoo.errors import SpecError
from zoo.specs.loading import parse

GOOD = """\
spec: experiment/1
name: exp
model: {kind: gru, hidden: 8}
task: TASK
learner: {kind: backprop}
"""


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        # not under a split that the task has by default
        (
            "{kind: chaos, parameters: {forcing: 3}}",
            "4:34: task.parameters.forcing: lorenz has no parameter 'forcing'; it has sigma, rho, beta.",
        ),
        (
            "{kind: evidence, stimulus: [0.001]}",
            "4:24: task.stimulus: 0.001 s is shorter than a time step of 0.02 s",
        ),
        # nor under a task of a stream
        (
            "{kind: digits, classes: [1, 1], stream: {every: 4, tasks: [{permutation: 1}]}}",
            "4:22: task.classes: names a digit twice",
        ),
        # but there where only the variant is wrong
        (
            "{kind: evidence, splits: {other: {stimulus: [0.001]}}}",
            "4:41: task.splits.other.stimulus: 0.001 s is shorter than a time step of 0.02 s",
        ),
        (
            "{kind: digits, stream: {every: 4, tasks: [{classes: [1, 1]}]}}",
            "4:50: task.stream.tasks.0.classes: names a digit twice",
        ),
        # and items that are wrong are not missing as well
        ("{kind: evidence, response: [0.0]}", "4:35: task.response.0: should be greater than 0 (got 0.0)"),
        ("{kind: evidence, coherence: [no]}", "4:36: task.coherence.0: should be a number (got 'no')"),
        ("{kind: evidence, coherence: []}", "4:24: task.coherence: should have at least 1 items, not 0"),
    ],
)
def test_one_mistake_at_its_own_place(task: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(GOOD.replace("TASK", task), (), place="exp.yaml")
    assert str(caught.value) == f"exp.yaml:{problem}"
