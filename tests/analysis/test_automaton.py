"""Automata out of networks that are known to be automata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from examples import experiment

import zoo
from zoo.analysis.dynamics.automaton import k_means
from zoo.errors import AnalysisError
from zoo.network import build


def test_k_means_finds_what_lies_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    middles = torch.tensor([[0.0, 0], [10, 0], [0, 10]])
    samples = (middles[:, None] + 0.1 * torch.randn(3, 50, 2, generator=generator)).flatten(0, 1)
    centres = k_means(samples, 3, 2, generator)
    assert torch.cdist(middles, centres).min(1).values.max() < 0.1
    assert len(k_means(torch.ones(5, 2), 4, 1, generator)) == 1


def test_published_networks_are_their_tasks_automata(tmp_path: Path) -> None:
    for name, states in (("parity-rnn/3", 2), ("s3-bilinear/0", 6)):
        found = zoo.analyse(name, "automaton", trials=64, cache=False).only
        assert found.numbers["states"] == states == found.numbers["task-states"]
        assert found.numbers["equivalent"] == found.numbers["correct"] == found.numbers["fidelity"] == 1
        assert found.plot(tmp_path / "automaton.png").stat().st_size > 5_000
    leads = found["transitions"]
    assert all(sorted(column) == list(range(6)) for column in leads.T)  # a group acts by permutations
    np.testing.assert_array_equal(np.sort(leads[0]), np.arange(6))


def test_a_network_that_learned_nothing_is_another_automaton() -> None:
    network = build(experiment(task="parity")).eval()
    found = zoo.analyse([network], "automaton", trials=40, clusters=[2, 4]).only
    assert found.numbers["equivalent"] == 0
    assert found.numbers["correct"] < 0.8


def test_what_it_cannot_serve_is_refused() -> None:
    with pytest.raises(AnalysisError, match="'sine' is no automaton"):
        zoo.analyse([build(experiment(task="sine")).eval()], "automaton")
    with pytest.raises(AnalysisError, match="holds out half of the trials"):
        zoo.analyse([build(experiment(task="parity")).eval()], "automaton", trials=1)
