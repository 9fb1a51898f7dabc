"""Automata that answer each symbol: minimal ones, whether two are the same, and those of tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.errors import AnalysisError
from zoo.specs.families import TaskSpec
from zoo.specs.tasks.languages import RegularLanguageSpec
from zoo.specs.tasks.sequences import CounterSpec, WordProblemSpec


@dataclass(frozen=True, eq=False)
class Machine:
    """A Mealy machine: each symbol leads to a state, and is answered."""

    transitions: np.ndarray
    """The state ``[state, symbol]`` that each symbol leads to."""
    answers: np.ndarray
    """What is said ``[state, symbol]`` as it does."""
    start: int = 0

    def follow(self, words: np.ndarray) -> np.ndarray:
        """Answers ``[word, time]`` to words ``[word, time]`` of symbols."""
        state, said = np.full(len(words), self.start), np.empty_like(words)
        for t in range(words.shape[1]):
            said[:, t] = self.answers[state, words[:, t]]
            state = self.transitions[state, words[:, t]]
        return said

    def minimal(self) -> Machine:
        """The smallest machine with the same answers (Moore 1956), its states in the order in which words
        first reach them."""
        rows = self.reached()
        place = np.full(len(self.transitions), -1)
        place[rows] = np.arange(len(rows))
        transitions, answers = place[self.transitions[rows]], self.answers[rows]
        block = np.unique(answers, axis=0, return_inverse=True)[1].ravel()
        while True:
            told = np.concatenate([block[:, None], block[transitions]], 1)
            finer = np.unique(told, axis=0, return_inverse=True)[1].ravel()
            if finer.max() == block.max():
                break
            block = finer
        first = np.unique(block, return_index=True)[1]
        merged = Machine(block[transitions[first]], answers[first], int(block[0]))
        order = merged.reached()
        renamed = np.empty(len(order), dtype=np.int64)
        renamed[order] = np.arange(len(order))
        return Machine(renamed[merged.transitions[order]], merged.answers[order])

    def reached(self) -> np.ndarray:
        """States that words lead to, the start first, in the order of the shortest word."""
        found = [self.start]
        for state in found:  # grows while it is gone through
            found += [int(s) for s in dict.fromkeys(self.transitions[state].tolist()) if s not in found]
        return np.array(found)

    def agrees(self, other: Machine) -> bool:
        """Whether both answer every word alike. Raises :class:`AnalysisError` for other symbols."""
        if self.answers.shape[1] != other.answers.shape[1]:
            raise AnalysisError(
                f"one machine reads {self.answers.shape[1]} symbols and the other {other.answers.shape[1]}; "
                "compare machines over the same."
            )
        # Minimal machines, numbered by the words that reach their states, are the same tables.
        mine, its = self.minimal(), other.minimal()
        return bool(
            np.array_equal(mine.transitions, its.transitions) and np.array_equal(mine.answers, its.answers)
        )


def machine_of(task: TaskSpec) -> tuple[Machine, np.ndarray]:
    """The automaton of a task, and the input ``[symbol, input]`` that stands for each symbol.

    Raises :class:`AnalysisError` for tasks that are no automata.
    """
    if isinstance(task, CounterSpec):
        increments = np.array(task.increments)
        leads = (np.arange(task.modulus)[:, None] + increments) % task.modulus
        one_hot = np.eye(len(increments))
        return Machine(leads, leads), increments[:, None] * 1.0 if task.encoding == "scalar" else one_hot
    if isinstance(task, WordProblemSpec):
        from zoo.tasks.sequences import products

        table, generators = (each.numpy() for each in products(task.generating))
        leads = table if task.symbols == "elements" else table[:, generators]
        return Machine(leads, leads), np.eye(leads.shape[1])
    if isinstance(task, RegularLanguageSpec):
        automaton = task.accepted_by
        leads = np.array(automaton.transitions)
        accepts = np.isin(np.arange(len(leads)), automaton.accepting).astype(np.int64)
        return Machine(leads, accepts[leads]), np.eye(leads.shape[1])
    raise AnalysisError(
        f"the task {task.kind!r} is no automaton; modular-counter, word-problem and regular-language are."
    )
