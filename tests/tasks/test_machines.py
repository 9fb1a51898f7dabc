"""Machines: minimal, equal, and the same as the tasks that they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from examples import TASKS, experiment

from zoo.errors import AnalysisError
from zoo.network import build
from zoo.specs.tasks.languages import TOMITA
from zoo.tasks.machines import Machine, machine_of


def flip() -> Machine:
    table = np.array([[0, 1], [1, 0]])
    return Machine(table, table)


def test_machines_of_tasks_answer_as_their_targets() -> None:
    for name in ("parity", "modular-counter", "word-problem", "word-problem-generators", "regular-language"):
        task = build(experiment(task=name)).task
        machine, symbols = machine_of(task.spec)
        batch = task.batch("test", 0, 0, 30)
        apart = torch.cdist(batch.x.double(), torch.as_tensor(symbols).expand(30, -1, -1))
        assert apart.min(2).values.max() < 1e-6
        words = apart.argmin(2).numpy()
        assert (machine.follow(words) == batch.y.argmax(-1).numpy()).all(), name


@pytest.mark.parametrize(("language", "states"), [(1, 2), (2, 3), (3, 5), (4, 4), (5, 4), (6, 3), (7, 5)])
def test_tomitas_languages_have_minimal_automata_of_known_size(language: int, states: int) -> None:
    given: dict[str, Any] = {**TASKS["regular-language"], "language": f"tomita-{language}"}
    spec = experiment().updated(task=given).task
    # A state that says nothing but what its symbols lead to: as many as the automaton of the language has.
    assert (
        len(machine_of(spec)[0].minimal().transitions) == states == len(TOMITA[given["language"]].transitions)
    )


def test_copies_of_states_are_merged_and_unreached_ones_left_out() -> None:
    copies = Machine(
        np.array([[2, 1], [3, 0], [0, 3], [1, 2], [4, 4]]), np.array([[0, 1], [1, 0]] * 2 + [[5, 5]])
    )
    least = copies.minimal()
    assert least.transitions.tolist() == [[0, 1], [1, 0]]
    assert copies.agrees(flip())
    assert flip().agrees(copies)


def test_machines_that_differ_far_along_are_told_apart() -> None:
    count = 30
    ring = np.stack([(np.arange(count) + 1) % count] * 2, 1)
    answers = np.zeros((count, 2), dtype=np.int64)
    answers[0] = 1
    late = answers.copy()
    late[count - 1, 1] = 1
    assert Machine(ring, answers).agrees(Machine(ring, answers))
    assert not Machine(ring, answers).agrees(Machine(ring, late))
    assert not flip().agrees(Machine(flip().transitions, 1 - flip().answers))
    assert not flip().agrees(Machine(flip().transitions, flip().answers, start=1))


def test_what_is_no_machine_is_refused() -> None:
    with pytest.raises(AnalysisError, match="'sine' is no automaton"):
        machine_of(experiment(task="sine").task)
    with pytest.raises(AnalysisError, match="reads 2 symbols and the other 3"):
        flip().agrees(Machine(np.zeros((1, 3), dtype=np.int64), np.zeros((1, 3), dtype=np.int64)))
